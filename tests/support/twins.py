"""Clients of a transaction pool, each with a twin that has a session of its own: both must be told the same.

A run is a list of events, which can be made by chance and be repeated without some of them: `Run.play()` raises
`Difference` where the two sides differ, `shrink()` finds a short list that still does. One thread drives everything in
lock step. Who has a server is known at each step: a client in a transaction, and one whose twin has something that can't
be moved (`keeps`, SQL that only the twin is asked). The gateway must agree after each step, so nobody keeps a server
without need or loses one that it needs, and it is known who has to wait for one: a client that waits is read when a
server is free, and its twin is sent nothing before that, so both sides do everything in the same order.
"""

import dataclasses
import itertools
import os
import re
import struct
import time

import psycopg

from . import wire
from .wire import Closed, Message, Wire

TIMEOUT = float(os.environ.get("PROPERTY_TIMEOUT") or 8)   # for what must come
WAITS = "waiting for a server connection of the pool"

HEARD = re.compile(rb"notify|nextval", re.IGNORECASE)   # by others, or by whoever comes next in this client's place
SQL_ABOUT_STATEMENTS = re.compile(rb"\b(execute|deallocate|pg_prepared_statements)\b", re.IGNORECASE)


class Difference(Exception):
    """The client was told something else than its twin."""


@dataclasses.dataclass(frozen=True)
class Event:
    """What one client does. `kind`:

    open         logs in with `parameters`
    send         sends `messages` in pieces cut at `cuts`, and reads the answers
    cancel       sends `messages`, which take long, and a cancel request
    cancel_idle  sends a cancel request that has nothing to cancel
    probe        compares what the session has
    leave        sends `messages` but for the last `cut` bytes, and goes as `how` says: X, close or reset
    """

    client: int
    kind: str
    messages: tuple[bytes, ...] = ()
    cuts: tuple[int, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    how: str = ""

    @property
    def data(self) -> bytes:
        return b"".join(self.messages)

    def __str__(self) -> str:
        parts = [f"{self.client}: {self.kind}", *([self.how] if self.how else []), *([str(dict(self.parameters))] if self.parameters else []),
                 *(shown(each) for each in self.messages), *([f"cut {self.cuts}"] if self.cuts else [])]
        return "  ".join(parts)


def shown(message: bytes) -> str:
    """A message of a client, for people."""
    kind, body = chr(message[0]), message[5:]
    if kind == "Q":
        return f"Q({body[:-1].decode(errors='replace')})"
    if kind == "P":
        name, text, _ = body.split(b"\0", 2)
        return f"P({name.decode(errors='replace')}: {text.decode(errors='replace')})"
    if kind == "B":
        portal, name, _ = body.split(b"\0", 2)
        return f"B({name.decode(errors='replace')} -> {portal.decode(errors='replace')})"
    if kind in "DC":
        return f"{kind}({body[:-1].decode(errors='replace')})"
    if kind == "E":
        return f"E({body[:-5].decode(errors='replace')})"
    return kind


def answers(messages: tuple[bytes, ...]) -> int:
    """How many ReadyForQuery they ask for."""
    return sum(message[:1] in (b"Q", b"S", b"F") for message in messages)


def ends(messages: tuple[bytes, ...]) -> list[tuple[int, bool]]:
    """Where each message ends, and whether it asks for a ReadyForQuery."""
    at, result = 0, []
    for message in messages:
        at += len(message)
        result.append((at, answers((message,)) == 1))
    return result


_VARYING = ("F", "L", "R")   # file, line and routine: as good as a version


def told(message: Message) -> tuple | None:
    """What of a message must be equal; None for what is compared as a state."""
    if message.type in "SA":
        return None
    if message.type in "EN":
        fields = message.fields()
        if message.type == "N" and (fields["C"].startswith("TG") or fields["M"] == WAITS):   # of its policies; and when somebody waits long
            return None
        if "prepared statement" in fields["M"]:   # the server knows it by another name; and some names are refused in the gateway's words
            return message.type, (("C", fields["C"]),)
        return message.type, tuple(sorted((k, v) for k, v in fields.items() if k not in _VARYING))
    if message.type == "T":
        return "T", _without_table_oids(message.body)
    return message.type, message.body


def _without_table_oids(body: bytes) -> bytes:
    """The two sides have tables of their own."""
    out, at = body[:2], 2
    while at < len(body):
        end = body.index(b"\0", at) + 1
        (oid,) = struct.unpack_from("!I", body, end)
        out += body[at:end] + (b"\0\0\0\0" if oid >= 16384 else body[end:end + 4]) + body[end + 4:end + 18]
        at = end + 18
    return out


class End:
    """One of the two connections of a client."""

    def __init__(self, target, user: str, database: str, parameters: dict[str, str]):
        self.target = target
        self.wire: Wire = target.login(user, database, parameters=parameters)
        self.notifications: list[bytes] = []

    def read(self, ready: int) -> list[tuple]:
        """The answers up to and with so many ReadyForQuery; "closed" if there are fewer."""
        result, end = [], time.monotonic() + TIMEOUT
        try:
            while ready:
                self._keep(message := self.wire.read(end - time.monotonic()), result)
                ready -= message.type == "Z"
        except Closed:
            result.append(("closed",))
        except TimeoutError:
            result.append(("nothing more",))
        return result

    def _keep(self, message: Message, result: list[tuple]):
        if message.type == "A":
            self.notifications.append(message.body[4:])   # not the pid
        elif (what := told(message)) is not None:
            result.append(what)

    def read_waiting(self, seconds: float = 0.0):
        """What came unasked."""
        result: list[tuple] = []
        while not self.wire.is_quiet(seconds):
            self._keep(self.wire.read(), result)
        if result:
            raise Difference(f"told without having asked: {result}")

    def cancel(self):
        wire.cancel(self.target.host, self.target.port, self.wire.pid, self.wire.key)


class Client:
    def __init__(self, through: End, twin: End, kind: tuple):
        self.through, self.twin = through, twin
        self.port = through.wire.socket.getsockname()[1]
        self.kind = kind              # of clients that share servers
        self.status = "I"
        self.keeps = False            # something that can't be moved is there between transactions
        self.is_heard = False         # it may have a statement that others hear of
        self.waiting: Event | None = None

    @property
    def holds(self) -> bool:
        return self.status != "I" or self.keeps


class Run:
    """`size` is that of the pool. `probe` is SQL that shows a session's state in one row, `keeps` SQL that is true while
    something of the session keeps its server."""

    def __init__(self, gateway, direct, *, user: str, databases: tuple[str, str], size: int, probe: str, keeps: str, observer):
        self.gateway, self.direct, self.user, self.databases, self.size = gateway, direct, user, databases, size
        self.probe, self.keeps = probe, keeps
        self.console = gateway.login("postgres", "tidegate")
        self.observer = observer   # a connection of psycopg's that looks at the server
        self.clients: dict[int, Client] = {}
        self.queue: list[int] = []
        self._agree()              # nobody is left of the run before

    def close(self):
        for client in self.clients.values():
            client.through.wire.close()
            client.twin.wire.close()
        self.clients.clear()
        self.queue.clear()
        self.console.close()

    def play(self, events: list[Event]):
        self.done: list[Event] = []
        self.slow: list[str] = []
        for at, event in enumerate(events):
            self.done.append(event)
            began = time.monotonic()
            try:
                self.step(event)
            except (Difference, Closed, wire.LoginRefused) as difference:
                raise Difference(f"event {at}: {event}\n{type(difference).__name__}: {difference}\n{self._situation(event)}") from difference
            if time.monotonic() - began > 0.5:
                self.slow.append(f"event {at} took {time.monotonic() - began:.1f} s: {event}")

    def step(self, event: Event):
        """Does what an event says. Events that make no sense any more (in a list that was made shorter) do nothing."""
        client = self.clients.get(event.client)
        if event.kind == "open":
            if client is None:
                self._open(event)
        elif client is None:
            return
        elif event.kind == "leave":
            self._leave(event, client)
        elif client.waiting is not None:
            if event.kind == "cancel_idle":
                self._cancel_waiting(event.client, client)
        elif event.kind == "probe":
            self._probe(event.client, client)
        elif event.kind == "cancel_idle":
            client.through.cancel()
            client.twin.cancel()
        else:
            self._send(event, client)
        self._serve()
        self._agree()

    def _history(self, client: int) -> str:
        history = [str(each) for each in self.done if each.client == client]
        opened = max((at for at, each in enumerate(history) if ": open" in each), default=0)
        return "\n".join(["history:", *history[opened:][-40:]])

    def _situation(self, event: Event) -> str:
        """For people who look for the cause."""
        lines = [f"{number}: {client.kind or ''} {client.status} {'keeps' if client.keeps else ''} {'waits' if client.waiting else ''}"
                 for number, client in sorted(self.clients.items())]
        try:
            lines += [str(row) for row in self.observer.execute(
                "SELECT pid, state, wait_event, left(query, 60) FROM pg_stat_activity WHERE datname = %s", (self.databases[0],)).fetchall()]
        except psycopg.Error as reason:
            lines.append(f"{reason}\n{self.direct.postgres.tail()}")
        if event.client in self.clients:
            try:
                lines.append(f"unread: {self.clients[event.client].through.wire.read_rest(0.2)}")
            except (OSError, TimeoutError) as reason:
                lines.append(f"unread: {reason}")
        try:
            with self.gateway.login("postgres", "tidegate") as console:
                for show in ("CLIENTS", "SERVERS", "PINS"):
                    lines += [show, *(str(row) for row in wire.rows(console.query(f"SHOW {show}")))]
        except Exception as reason:
            lines.append(repr(reason))
        lines += [str(sample) for sample in self.gateway.metrics().samples if ("disconnections" in sample[0] or "pin" in sample[0]) and sample[2]]
        lines += self.slow
        return "\n".join(lines)

    def has_to_wait(self, client: Client) -> bool:
        """Whether all servers are with others."""
        return not client.holds and sum(other.holds for other in self.clients.values() if other.kind == client.kind) >= self.size

    def _agree(self):
        """The gateway has lent servers to those who hold one, and to nobody else."""
        expected = {client.port: client.holds for client in self.clients.values()}
        end = time.monotonic() + 6 * TIMEOUT   # on a machine that stalls
        while (found := self._lent()) != expected:   # it may be about to give one back
            if time.monotonic() > end:
                numbers = {client.port: number for number, client in self.clients.items()}
                raise Difference("who has a server: " + ", ".join(f"{numbers.get(port, 'somebody who has left')} {'has' if found.get(port) else 'has none'}"
                                                                  for port in expected | found if expected.get(port) != found.get(port)))

    def _lent(self) -> dict[int, bool]:
        """By the ports of the clients that are there, whether they have a server."""
        return {int(row[6]): bool(row[15]) for row in wire.rows(self.console.query("SHOW CLIENTS")) if row[2] == self.databases[0]}

    def _ask_twin(self, client: Client):
        """Whether what it did last keeps a server. In a transaction it does not matter yet."""
        if client.status != "I":
            return
        # under a name, so that the unnamed statement stays
        client.twin.wire.send(wire.parse(self.keeps, "keeps"), wire.bind("keeps"), wire.execute(), wire.close("S", "keeps"), wire.sync())
        answer = client.twin.read(1)
        (row,) = [Message("D", what[1]) for what in answer if what[0] == "D"]
        client.keeps = row.columns == ["t"]

    # -- events ----------------------------------------------------------------------------------------------------

    def _open(self, event: Event):
        parameters = dict(event.parameters)
        kind = tuple(sorted((k, v) for k, v in parameters.items() if k != "application_name"))
        self.clients[event.client] = Client(End(self.gateway, self.user, self.databases[0], parameters),
                                            End(self.direct, self.user, self.databases[1], parameters), kind)
        self._compare_states(self.clients[event.client])

    def _send(self, event: Event, client: Client):
        if event.kind == "cancel" and (client.status == "E" or self.has_to_wait(client)):   # nothing would run
            return
        client.is_heard = client.is_heard or HEARD.search(event.data) is not None
        if self.has_to_wait(client):
            client.waiting = event
            self.queue.append(event.client)
            client.through.wire.send(event.data)
            return
        self._send_in_pieces(client, event)
        client.twin.wire.send(event.data)
        if event.kind == "cancel":
            self._both_run(event)
            client.through.cancel()
            client.twin.cancel()
        self._finish(event, client)

    def _send_in_pieces(self, client: Client, event: Event):
        """Between two pieces the server may go to somebody who waits, who would then do something before the rest."""
        cuts = event.cuts
        if any(self.clients[number].kind == client.kind for number in self.queue):
            whole, _ = next(each for each in ends(event.messages) if each[1])
            cuts = tuple(cut for cut in cuts if cut < whole)
        for start, end in zip([0, *cuts], [*cuts, len(event.data)]):
            client.through.wire.send(event.data[start:end])

    def _both_run(self, event: Event):
        """Waits until a long statement runs on both sides."""
        marker = re.search(rb"/\* \w+ \*/", event.data)[0].decode()
        end = time.monotonic() + TIMEOUT
        while True:
            (count,) = self.observer.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' "
                                             "AND strpos(query, %s) > 0", (marker,)).fetchone()
            if count == 2:
                return
            if time.monotonic() > end:
                raise Difference(f"runs on {count} of two sides")

    def _serve(self):
        """Who waits and can have a server now gets its answer; who came first comes first."""
        while (number := next((n for n in self.queue if not self.has_to_wait(self.clients[n])), None)) is not None:
            client = self.clients[number]
            self.queue.remove(number)
            event, client.waiting = client.waiting, None
            client.twin.wire.send(event.data)
            self._finish(event, client)

    def _finish(self, event: Event, client: Client):
        """Both have sent the same: both are told the same."""
        ready = answers(event.messages)
        expected, seen = client.twin.read(ready), client.through.read(ready)
        try:
            if expected[-1][0] != "Z":
                raise Difference(f"{_difference(expected, seen)}")
            if _compare(event, expected, seen, client.status):
                return self._part(event)
        except Difference as difference:
            if SQL_ABOUT_STATEMENTS.search(event.data) and self._some_cannot_be_prepared(client, _errors(seen)):
                return self._part(event)
            raise Difference(f"{event}\n{difference}\n{self._history(event.client)}") from None
        client.status = expected[-1][1].decode()
        self._ask_twin(client)
        self._compare_states(client)

    def _some_cannot_be_prepared(self, client: Client, errors: list[tuple]) -> bool:
        """docs/limitations.md: SQL about statements has them prepared first. Whether PostgreSQL gives one of these errors too when it
        prepares what the client has. Its twin is asked for the last time."""
        twin = client.twin
        twin.wire.send(wire.query("ROLLBACK"), wire.query("SELECT statement FROM pg_prepared_statements WHERE NOT from_sql"))
        texts = [Message("D", what[1]).columns[0] for what in twin.read(2) if what[0] == "D"]
        for text in texts:
            twin.wire.send(wire.parse(text, "again"), wire.close("S", "again"), wire.sync())
            if any(error in errors for error in _errors(twin.read(1))):
                return True
        return False

    def _part(self, event: Event):
        """The two are in different states: there is nothing to compare any more. Nor is there for those who were to hear of it."""
        for number in list(self.clients) if self.clients[event.client].is_heard else [event.client]:
            self._leave(Event(number, "leave", how="close"), self.clients[number])

    def _compare_states(self, client: Client):
        """What both were told last of each parameter, and all notifications. What comes late gets some time."""
        end = time.monotonic() + 2
        while True:
            through, twin = client.through, client.twin
            same_parameters = through.wire.parameters == twin.wire.parameters
            if same_parameters and through.notifications == twin.notifications:
                return
            if time.monotonic() > end:
                break
            through.read_waiting(0.01)
            twin.read_waiting()
        if not same_parameters:
            a, b = through.wire.parameters, twin.wire.parameters
            raise Difference("parameters: " + ", ".join(f"{name} is {b.get(name)!r}, the client was told {a.get(name)!r}" for name in a | b if a.get(name) != b.get(name)))
        raise Difference(f"notifications: {client.twin.notifications[-5:]}, the client was told {client.through.notifications[-5:]}")

    def _probe(self, number: int, client: Client):
        if client.status == "E" or self.has_to_wait(client):
            return
        # under a name, so that the unnamed statement stays
        messages = (wire.parse(self.probe, "probe"), wire.bind("probe"), wire.execute(), wire.close("S", "probe"), wire.sync())
        event = Event(number, "send", messages)
        client.through.wire.send(event.data)
        client.twin.wire.send(event.data)
        expected, seen = client.twin.read(1), client.through.read(1)
        if expected != seen and self._some_cannot_be_prepared(client, _errors(seen)):
            return self._part(event)
        if expected != seen or expected[-1][0] != "Z":
            raise Difference(f"the state of the session\n{_different_columns(expected, seen)}\n{self._history(number)}")
        self._compare_states(client)

    def _cancel_waiting(self, number: int, client: Client):
        """Its statement has not begun."""
        event = client.waiting
        if len(event.messages) != 1 or event.data[:1] != b"Q":
            return
        client.through.cancel()
        client.waiting = None
        self.queue.remove(number)
        seen = client.through.read(1)
        if [what[0] for what in seen] != ["E", "Z"] or dict(seen[0][1]).get("C") != "57014":
            raise Difference(f"cancelled while it waited, told {seen}")
        # a query, whatever becomes of it, drops the unnamed statement
        client.twin.wire.send(wire.query(""))
        client.twin.read(1)

    def _leave(self, event: Event, client: Client):
        if client.waiting is not None:
            self.queue.remove(event.client)
        # how much of it is carried out is a matter of chance, and nobody may hear of it
        is_heard = client.is_heard or HEARD.search(event.data) is not None
        data = b"" if is_heard else event.data[:len(event.data) - (event.cuts[0] if event.cuts else 0)]
        for end in (client.through, client.twin):
            try:
                if client.waiting is None or end is client.through:
                    end.wire.send(data)
                if event.how == "X":
                    end.wire.send(wire.terminate())
            except Closed:
                pass
            if event.how == "reset":
                end.wire.reset()
            else:
                end.wire.close()
        del self.clients[event.client]


def _compare(event: Event, expected: list[tuple], seen: list[tuple], status: str) -> bool:
    """Raises Difference. True: one of the documented differences, after which the two may be in different states. `status` is
    that before the first answer."""
    for at, (x, y) in enumerate(itertools.zip_longest(_units(expected), _units(seen), fillvalue=[])):
        # docs/limitations.md: in a failed transaction, SQL about statements behind a ROLLBACK in the same text finds none
        if status == "E" and SQL_ABOUT_STATEMENTS.search(event.data) and x[0] == y[0] == ("C", b"ROLLBACK\0"):
            return True
        if x != y:
            if not _may_differ(x, y, status):
                raise Difference(f"answer {at + 1}{_difference(x, y)}")
            # an error in place of another leaves the same behind
            if x[-1] != y[-1] or [what[0] for what in x] != [what[0] for what in y]:
                return True
        status = x[-1][1].decode() if x[-1][0] == "Z" else ""
    return False


def _may_differ(expected: list[tuple], seen: list[tuple], status: str) -> bool:
    """Whether docs/limitations.md says so."""
    at = next((i for i, (a, b) in enumerate(zip(expected, seen)) if a != b), -1)
    if at < 0 or seen[at][0] != "E":
        return False
    instead, otherwise = dict(seen[at][1]), dict(expected[at][1]) if expected[at][0] == "E" else {}
    # In a failed transaction a statement that the server does not have yet can't be prepared: its Describe, and a Bind
    # with too many or too few values, come to nothing.
    if status == "E" and instead["C"] == "25P02" and seen[at + 1:] == [("Z", b"E")]:
        return expected[at][0] == "t" or otherwise.get("C") == "08P01"
    # Policies: beside a statement that is guarded nothing may change its lock_timeout.
    if instead["C"] == "0A000" and instead["M"].startswith("lock_timeout is changed in the same message"):
        return True
    # Behind an empty statement the gateway may have asked something in the same batch.
    if instead["C"] == "25001" and "pipeline" in instead["M"] and ("I", b"") in seen[:at]:
        return True
    # Who has no temporary objects any more has no schema for them either.
    return otherwise.get("C") == "42P01" and instead["C"] == "3F000" and '"pg_temp"' in instead["M"] and expected[at + 1:] == seen[at + 1:]


def _errors(messages: list[tuple]) -> list[tuple]:
    return [what for what in messages if what[0] == "E"]


def _units(messages: list[tuple]) -> list[list[tuple]]:
    """Cut behind each ReadyForQuery."""
    units: list[list[tuple]] = [[]]
    for message in messages:
        units[-1].append(message)
        if message[0] == "Z":
            units.append([])
    return units[:-1] if not units[-1] else units


def _difference(expected: list[tuple], seen: list[tuple]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, seen)) if a != b), min(len(expected), len(seen)))
    return (f" after {''.join(what[0] for what in expected[:at])!r}\n  the twin was told {expected[at:at + 4]}\n"
            f"  the client       {seen[at:at + 4]}")


def _different_columns(expected: list[tuple], seen: list[tuple]) -> str:
    rows = [next((Message("D", what[1]).columns for what in side if what[0] == "D"), None) for side in (expected, seen)]
    if None in rows:
        return _difference(expected, seen)
    lines = [[line for column in row for line in (column or "-").split("\n")] for row in rows]
    return "\n".join(f"twin: {a}\nclient: {b}" for a, b in zip(*lines) if a != b)


def shrink(events: list[Event], fails, *, seconds: float = 120) -> list[Event]:
    """A short list of events for which `fails(list)` still holds."""
    end = time.monotonic() + seconds
    for last in (50, 200, 1000):
        before = {event.client: event for event in events[:-last] if event.kind == "open"}
        fewer = [*before.values(), *events[-last:]]
        if len(fewer) < len(events) and fails(fewer):
            events = fewer
            break
    for client in {event.client for event in events}:
        fewer = [event for event in events if event.client != client]
        if time.monotonic() < end and fails(fewer):
            events = fewer
    chunk = max(len(events) // 2, 1)
    while time.monotonic() < end:
        at, before = 0, len(events)
        while at < len(events) and time.monotonic() < end:
            fewer = events[:at] + events[at + chunk:]
            if fails(fewer):
                events = fewer
            else:
                at += chunk
        if chunk == 1 and len(events) == before:
            break
        chunk = max(chunk // 2, 1)
    for at in range(len(events)):
        for which in range(len(events[at].messages) - 1, -1, -1):
            messages = events[at].messages
            fewer_messages = messages[:which] + messages[which + 1:]
            if not _is_whole(fewer_messages) or time.monotonic() > end:
                continue
            shorter = dataclasses.replace(events[at], messages=fewer_messages, cuts=())
            if fails(events[:at] + [shorter] + events[at + 1:]):
                events = events[:at] + [shorter] + events[at + 1:]
    return events


def _is_whole(messages: tuple[bytes, ...]) -> bool:
    """Whether everything in it will be answered."""
    return bool(messages) and messages[-1][:1] in (b"Q", b"S")
