"""Bytes that are not messages, and messages that are not whole."""

import struct
import time

import pytest

from support import wire
from support.oracle import assert_same_as_direct
from support.wire import Closed

pytestmark = pytest.mark.usefixtures("bystander")

MEBIBYTE = 1 << 20


def refused(client: wire.Wire, timeout: float = 5) -> list[str]:
    """Waits for the close and returns the SQLSTATEs said before it; nothing but errors may be said."""
    messages = client.read_rest(timeout)
    assert set(wire.types(messages)) <= {"E"}, messages
    return wire.errors(messages)


# -- 1: the startup packet's length ------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 3, 4, 7, -1, -2**31, 10_005, 2**31 - 1])
def test_startup_with_an_impossible_length_is_refused_at_once(target, length):
    with target.wire() as client:
        client.send(struct.pack("!iI", length, wire.PROTOCOL_3_0))
        refused(client)


def test_startup_of_the_greatest_length_is_read(target):
    filler = {"application_name": "a", "options": "-c work_mem=1MB " + " " * 9_800}
    with target.login(parameters=filler) as client:
        assert client.value("SHOW work_mem") == "1MB"


@pytest.mark.parametrize("length", [8, 9])
def test_startup_too_short_for_its_parameters_is_refused(target, length):
    with target.wire() as client:
        client.send(wire.startup_packet(wire.PROTOCOL_3_0, b"\0" * (length - 8)))
        assert refused(client) in ([], ["28000"], ["08P01"])


# -- 2: a message's length ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Q", "P", "S", "d", "X"])
@pytest.mark.parametrize("length", [0, 1, 3, -1, -2**31])
def test_message_shorter_than_its_own_length_field_ends_the_session(target, kind, length):
    with target.login() as client:
        client.send(wire.message(kind, length=length))
        assert refused(client) in ([], ["08P01"])


@pytest.mark.parametrize("kind", ["Q", "P", "B"])
@pytest.mark.parametrize("length", [2**30, 2**31 - 1])
def test_message_that_claims_a_gigabyte_takes_no_memory(target, kind, length):
    """Nobody has to close for a claim alone (PostgreSQL does from version 14 on), but nobody may reserve memory for it either."""
    before = target.resident()
    clients = [target.login() for _ in range(8)]
    for client in clients:
        client.send(wire.message(kind, b"SELECT", length=length))
    try:
        assert refused(clients[0], 1) in ([], ["08P01"], ["54000"])
    except TimeoutError:
        pass
    assert target.resident() - before < 64 * MEBIBYTE
    for client in clients:
        client.close()


# -- 3: pieces ------------------------------------------------------------------------------------------------------------


def test_login_and_queries_arrive_byte_by_byte(target):
    with target.wire() as client:
        client.send_slowly(wire.startup(), 0.001)
        client.authenticate("app", None)
        client.send_slowly(wire.query("SELECT 41 + 1"), 0.001)
        assert wire.rows(client.read_until("Z")) == [["42"]]
        client.send_slowly(wire.parse("SELECT $1::int") + wire.bind(values=(b"7",)) + wire.execute() + wire.sync(), 0.001)
        assert wire.types(client.read_until("Z")) == "12DCZ"


def test_every_split_of_a_pipeline_gives_the_same_answer(target):
    pipeline = wire.parse("SELECT $1::text", "s") + wire.bind("s", values=(b"x" * 20,)) + wire.describe("P") + wire.execute() + \
        wire.close("S", "s") + wire.sync() + wire.query("SELECT 1; SELECT 2")
    with target.login() as client:
        for at in range(1, len(pipeline)):
            client.send(pipeline[:at])
            client.send(pipeline[at:])
            assert wire.types(client.read_until("Z") + client.read_until("Z")) == "12TDC3ZTDCTDCZ", f"split at {at}"


@pytest.mark.gateway_only
@pytest.mark.parametrize("packet", [b"", wire.startup()[:20], wire.startup()], ids=["nothing", "half a startup", "no password"])
def test_slow_login_is_cut_at_its_time_limit(make_gateway, postgres, packet):
    gateway = make_gateway({"timeouts": {"login": "1s"}, "auth": {"method": "passthrough"}})
    with gateway.wire() as client:
        started = time.monotonic()
        client.send(wire.startup("password_user") if packet == wire.startup() else packet)
        messages = client.read_rest(10)
        assert set(wire.types(messages)) <= {"R", "E"}
        assert 0.7 < time.monotonic() - started < 4


@pytest.mark.gateway_only
def test_one_byte_per_moment_does_not_extend_the_time_limit(make_gateway):
    gateway = make_gateway({"timeouts": {"login": "1s"}})
    with gateway.wire() as client:
        started = time.monotonic()
        with pytest.raises(Closed):
            client.send_slowly(wire.startup() + b"\0" * 200, 0.1)
            client.read()
        assert time.monotonic() - started < 4


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("sent", [
    b"\0\0", wire.startup()[:-4]], ids=["half a header", "half a startup"])
def test_client_that_goes_during_startup_leaves_nothing(target, sent, end):
    client = target.wire()
    client.send(sent)
    getattr(client, end)()


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("sent", [
    b"Q", b"Q\0\0", wire.query("SELECT 1")[:9], wire.query("SELECT pg_sleep(60)"), wire.parse("SELECT 1"),
    wire.query("BEGIN"), wire.query("COPY (SELECT generate_series(1, 1000000)) TO STDOUT"), wire.query("CREATE TABLE gone_before_answer ()"),
], ids=["type", "header", "half a query", "long query", "no sync", "transaction", "copy", "ddl"])
def test_client_that_goes_in_mid_session_leaves_nothing(target, postgres, sent, end):
    client = target.login()
    client.send(sent)
    getattr(client, end)()
    if b"pg_sleep" in sent:   # PostgreSQL notices only when it writes, and its query is not for the gateway to end
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND usename = 'app'")


@pytest.fixture(autouse=True)
def no_table_left(postgres):
    yield
    postgres.execute("DROP TABLE IF EXISTS gone_before_answer")


def test_half_closed_client_still_gets_its_answer(target):
    with target.login() as client:
        client.send(wire.query("SELECT pg_sleep(0.2), repeat('x', 100000)"))
        client.half_close()
        messages = client.read_rest()
        assert wire.types(messages).startswith("TDCZ")


# -- 4: types that are none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [b"\0", b"\xff", b"~", b"a", b"R", b"T", b"Z", b"1", b"2", b"G", b"W", b"N", b"A", b"K", b"t",
                                  b"I", b"n", b"s", b"V", b"v", b"3"])
def test_unknown_and_server_only_types_end_the_session(target, kind):
    with target.login() as client:
        client.send(wire.message(kind, b"\0\0\0\0"))
        assert refused(client) in ([], ["08P01"])


@pytest.mark.parametrize("hello", [
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600,
    b"\0" * 64, b"\xff" * 64], ids=["http", "ssh", "tls", "zeros", "ones"])
def test_another_protocol_is_closed(target, hello):
    with target.wire() as client:
        client.send(hello)
        refused(client)


def test_typed_message_instead_of_a_startup_is_closed(target):
    with target.wire() as client:
        client.send(wire.query("SELECT 1"))
        refused(client)


# -- 5: bodies that do not fit --------------------------------------------------------------------------------------------


BODIES = {
    "garbage after a query": wire.message("Q", b"SELECT 1\0SELECT 2\0"),
    "query without its zero": wire.message("Q", b"SELECT 1"),
    "empty query body": wire.message("Q", b""),
    "query of invalid UTF-8": wire.message("Q", b"SELECT '\xff\xfe'\0"),
    "parse of invalid UTF-8": wire.parse(b"SELECT '\xc3'") + wire.sync(),
    "garbage after a parse": wire.message("P", b"\0SELECT 1\0\0\0garbage") + wire.sync(),
    "parse without a name": wire.message("P", b"") + wire.sync(),
    "parse without a statement": wire.message("P", b"name\0") + wire.sync(),
    "parse with fewer types than it says": wire.parse("SELECT $1", count=3) + wire.sync(),
    "parse with a negative count": wire.parse("SELECT 1", count=-1) + wire.sync(),
    "parse with 32767 types it does not have": wire.parse("SELECT 1", count=32767) + wire.sync(),
    "bind with fewer values than it says": wire.parse("SELECT $1::int") + wire.bind(values=(b"1",), count=9) + wire.sync(),
    "bind with a negative count": wire.parse("SELECT $1::int") + wire.bind(count=-5) + wire.sync(),
    "bind with a value longer than the message":
        wire.parse("SELECT $1::text") + wire.message("B", b"\0\0\0\0\0\1" + struct.pack("!i", 2**31 - 1) + b"x\0\0") + wire.sync(),
    "bind with a value of length -2":
        wire.parse("SELECT $1::text") + wire.message("B", b"\0\0\0\0\0\1" + struct.pack("!i", -2) + b"\0\0") + wire.sync(),
    "bind with more formats than values": wire.parse("SELECT $1::int") + wire.bind(values=(b"1",), formats=(0, 0, 0)) + wire.sync(),
    "bind with an unknown format": wire.parse("SELECT $1::int") + wire.bind(values=(b"1",), formats=(7,)) + wire.sync(),
    "bind with too few values": wire.parse("SELECT $1::int, $2::int") + wire.bind(values=(b"1",)) + wire.sync(),
    "garbage after a bind": wire.parse("SELECT 1") + wire.message("B", b"\0\0\0\0\0\0\0\0xx") + wire.sync(),
    "bind cut after its portal": wire.parse("SELECT 1") + wire.message("B", b"p\0") + wire.sync(),
    "describe of neither kind": wire.message("D", b"X\0") + wire.sync(),
    "empty describe": wire.message("D", b"") + wire.sync(),
    "close of neither kind": wire.message("C", b"?name\0") + wire.sync(),
    "execute without a limit": wire.message("E", b"\0") + wire.sync(),
    "execute with a negative limit": wire.parse("SELECT 1") + wire.bind() + wire.execute(limit=-1) + wire.sync(),
    "sync with a body": wire.message("S", b"body"),
    "flush with a body": wire.message("H", b"body") + wire.sync(),
    "function call cut short": wire.message("F", b"\0\0\0\1\0"),
    "function call of a function that is not there": wire.function_call(1, ()),
    "ddl with garbage after it": wire.message("Q", b"CREATE TABLE gone_before_answer ()\0garbage\0"),
    "ddl without its zero": wire.message("Q", b"CREATE TABLE gone_before_answer ()"),
    "ddl of invalid UTF-8": wire.message("Q", b"CREATE TABLE \"\xff\" ()\0"),
}


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES.keys())
def test_body_that_does_not_fit_is_answered_as_postgresql_does(target, data):
    assert_same_as_direct(target, lambda client: client.send(data).read_until("Z"))


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES.keys())
def test_body_that_does_not_fit_is_answered_as_postgresql_does_in_a_transaction(target, data):
    def conversation(client):
        client.query("BEGIN")
        return client.send(data).read_until("Z")
    assert_same_as_direct(target, conversation)
