"""PostgreSQL as the oracle: the same bytes must get the same answer through the gateway as directly."""

from collections.abc import Callable

from .target import Target
from .wire import Closed, Message, Wire

Conversation = Callable[[Wire], list[Message]]


def shape(messages: list[Message]) -> list[str]:
    """What must be equal: types in order, SQLSTATEs, command tags, transaction states and the values of rows.

    Notices, ParameterStatus and the texts of errors are left out: the gateway may say more than PostgreSQL does.
    """
    result = []
    for message in messages:
        if message.type == "E":
            result.append(f"E {message.fields().get('S')} {message.sqlstate}")
        elif message.type == "Z":
            result.append(f"Z {message.status}")
        elif message.type == "C":
            result.append(f"C {message.tag}")
        elif message.type == "D":
            result.append(f"D {message.body.hex()[:400]}")
        elif message.type not in "NS":
            result.append(message.type)
    return result


def answer(target: Target, conversation: Conversation, **login) -> list[str]:
    """The shape of what a conversation got; "closed" at its end if the connection did not outlive it."""
    with target.login(**login) as client:
        try:
            result = shape(conversation(client))
        except Closed:
            return ["closed"]
        try:
            client.send(b"S\0\0\0\4")
            return result + (["usable"] if client.read_until("Z")[-1].type == "Z" else [])
        except Closed:
            return result + ["closed"]


def assert_same_as_direct(target: Target, conversation: Conversation, **login):
    expected = answer(Target(target.postgres), conversation, **login)
    assert answer(target, conversation, **login) == expected
