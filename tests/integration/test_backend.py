"""Servers that die, hang or talk nonsense: the client gets a clear error or a close, the gateway goes on."""

import json
import socket
import struct
import threading

import pytest

from support import fake_server, scram, wire
from support.fake_server import FakeServer, greet
from support.gateway import Gateway
from support.process import free_port, wait_until
from support.wire import Closed

pytestmark = pytest.mark.gateway_only

CONNECTION_FAILURES = {"08000", "08001", "08003", "08004", "08006", "08P01", "57P01", "57P02", "57P03", "28000"}


@pytest.fixture(scope="module")
def pairs(postgres):
    """A fake server and a gateway in front of it for each settings that the tests ask for."""
    made = {}

    def pair(settings: dict):
        key = json.dumps(settings, sort_keys=True)
        if key not in made:
            server = FakeServer(fake_server.obedient, upstream=postgres)
            made[key] = server, Gateway(postgres, settings, upstream=server)
        return made[key]

    yield pair
    for server, gateway in made.values():
        gateway.close()
        server.close()


@pytest.fixture
def facing(pairs):
    """facing(script): a gateway in front of a server that runs `script` for user `app`; everybody else gets PostgreSQL."""
    used = []

    def make(script, settings: dict | None = None) -> Gateway:
        server, gateway = pairs({"timeouts": {"server_connect": "2s"}} | (settings or {}))
        server.script = script
        used.append((server, gateway))
        return gateway

    yield make
    for server, gateway in used:
        gateway.assert_alive()
        assert not server.failures, server.failures
        # the next client, with a server that behaves
        server.script = fake_server.obedient
        with gateway.login() as client:
            assert wire.types(client.query("SELECT 1")) == "TDCZ"
        with gateway.login("postgres") as client:
            assert wire.types(client.query("SELECT 1")) == "TDCZ"


def login_outcome(gateway, timeout: float = 8, **arguments) -> str:
    """The SQLSTATE of a refused login, "" for a close without a word, "in" for a login."""
    with gateway.wire() as client:
        client.send(wire.startup(**arguments))
        seen = []
        try:
            while not seen or seen[-1].type not in "ZE":
                seen.append(client.read(timeout))
        except Closed:
            return ""
        return "in" if seen[-1].type == "Z" else seen[-1].sqlstate


def rest(client: wire.Wire) -> list[wire.Message]:
    return client.read_rest(8)


# -- 11: a server that authenticates badly ------------------------------------------------------------------------------------


def ask_scram(**server_arguments):
    """Asks for SCRAM and answers as told."""
    def script(end, _parameters):
        end.send(wire.authentication(10, b"SCRAM-SHA-256\0\0"))
        body = end.read().body
        exchange = scram.Server("secret", **server_arguments)
        end.send(wire.authentication(11, exchange.first(body.split(b"\0", 1)[1][4:])))
        end.send(wire.authentication(12, exchange.final(end.read().body)), wire.authentication(0))
        end.send(wire.backend_key_data(1, b"1234"), wire.ready())
        end.read_rest(60)
    return script


CREDENTIALS = {"databases": {"*": {"server_auth": {"user": "app", "password": "secret"}}}}


def test_server_that_knows_the_password_is_believed(facing):
    assert login_outcome(facing(ask_scram(), CREDENTIALS)) == "in"


@pytest.mark.parametrize("iterations", [2**31, 2**63, 10**9, 0, -1, "many", ""])
def test_server_chosen_iterations_are_bounded(facing, iterations):
    """Two thousand million rounds of hashing would be a gift of processor time to whoever stands in for the server."""
    gateway = facing(ask_scram(iterations=iterations), CREDENTIALS)
    before = gateway.processor_seconds()
    assert login_outcome(gateway) in CONNECTION_FAILURES
    assert gateway.processor_seconds() - before < 2


@pytest.mark.parametrize("nonce", ["", "x" * 20_000, "\x01\x02\x7f"], ids=["empty", "long", "unprintable"])
def test_odd_server_nonces_are_survived(facing, nonce):
    assert login_outcome(facing(ask_scram(extra_nonce=nonce), CREDENTIALS)) in CONNECTION_FAILURES | {"in"}


SERVER_FIRST = {"foreign nonce": b"r=another,s=c2FsdA==,i=4096", "no salt": b"r=%s,i=4096", "no iterations": b"r=%s,s=c2FsdA==", "salt not base64": b"r=%s,s=!!,i=4096",
                "empty": b"", "garbage": b"\xff" * 100, "extension": b"m=x,r=%s,s=c2FsdA==,i=4096", "a megabyte": b"r=%s,s=" + b"QUJD" * 250_000 + b",i=4096"}


@pytest.mark.parametrize("first", SERVER_FIRST.values(), ids=SERVER_FIRST.keys())
def test_spoilt_server_first_message_is_refused(facing, first):
    def script(end, _parameters):
        end.send(wire.authentication(10, b"SCRAM-SHA-256\0\0"))
        nonce = end.read().body.rsplit(b"r=", 1)[1]
        end.send(wire.authentication(11, first.replace(b"%s", nonce + b"server")))
        end.read_rest(60)
    assert login_outcome(facing(script, CREDENTIALS)) in CONNECTION_FAILURES


@pytest.mark.parametrize("final", [b"", b"v=", b"v=AAAA", b"v=" + b"A" * 44, b"e=other-error", b"x=1", b"v=!!", None],
                         ids=["empty", "empty v", "short", "wrong", "e", "no v", "not base64", "left out"])
def test_server_that_cannot_prove_itself_is_refused(facing, final):
    """It must know the password too, or it is not the server."""
    def script(end, _parameters):
        end.send(wire.authentication(10, b"SCRAM-SHA-256\0\0"))
        exchange = scram.Server("secret")
        end.send(wire.authentication(11, exchange.first(end.read().body.split(b"\0", 1)[1][4:])))
        end.read()
        if final is not None:
            end.send(wire.authentication(12, final))
        end.send(wire.authentication(0), wire.backend_key_data(1, b"1234"), wire.ready())
        end.read_rest(60)
    assert login_outcome(facing(script, CREDENTIALS)) in CONNECTION_FAILURES


@pytest.mark.parametrize("kind, data", [(2, b""), (6, b""), (7, b""), (9, b""), (99, b""), (-1, b""), (5, b""), (5, b"ab"), (10, b""), (10, b"SCRAM-SHA-1\0\0"),
                                        (10, b"no end"), (11, b"r=x"), (12, b"v=x"), (3, b"")])
def test_odd_authentication_requests_are_refused(facing, kind, data):
    def script(end, _parameters):
        end.send(wire.authentication(kind, data))
        end.read_rest(60)
    assert login_outcome(facing(script, CREDENTIALS)) in CONNECTION_FAILURES


@pytest.mark.parametrize("fields", [
    wire.error(None), wire.error(None, None, severity=None), wire.error("28000", None), wire.message("E", b""), wire.message("E", b"SFATAL"),
    wire.message("E", b"\0\0\0\0"), wire.error("TOOLONGSTATE"), wire.error("28000", "x" * 100_000), wire.message("E", b"\xff" * 64 + b"\0\0")],
    ids=["no state", "no field", "no text", "empty", "cut", "zeros", "long state", "long text", "unknown fields"])
@pytest.mark.parametrize("moment", ["login", "session"])
def test_errors_with_missing_or_odd_fields_are_survived(facing, fields, moment):
    def script(end, _parameters):
        if moment == "login":
            end.send(fields)
            return
        greet(end)
        end.read_until("Q")
        end.send(fields, wire.ready())
        fake_server.answer(end)
    gateway = facing(script)
    if moment == "login":
        assert login_outcome(gateway) != "in"
        return
    with gateway.login() as client:
        client.send(wire.query("SELECT 1"))
        try:
            assert client.read_until("Z")[-1].type == "Z"
            assert wire.types(client.query("SELECT 1")) == "TDCZ"
        except Closed:
            pass   # a session with a server that talks nonsense may end


def test_flood_of_parameter_statuses_takes_bounded_memory(facing):
    def script(end, _parameters):
        end.send(wire.authentication(0))
        end.send(*(wire.parameter_status(f"parameter_{number}", "x" * 1000) for number in range(50_000)))
        end.send(wire.ready())
        end.read_rest(60)
    gateway = facing(script)
    before = gateway.resident()
    login_outcome(gateway, 20)
    assert gateway.resident() - before < 96 << 20


# -- 17: logins that do not end well ---------------------------------------------------------------------------------------------


def hang_up(end, _parameters):
    pass


def in_login(*data: bytes):
    """Sends data instead of a login, then waits."""
    def script(end, _parameters):
        end.send(*data)
        end.read_rest(60)
    return script


LOGINS = {
    "hangs up": hang_up,
    "says nothing": fake_server.silent,
    "sends garbage": in_login(b"\xff" * 100),
    "speaks http": in_login(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "sends a row": in_login(wire.data_row(b"1")),
    "is ready before it has authenticated": in_login(wire.ready()),
    "says ok and no more": in_login(wire.authentication(0)),
    "claims a gigabyte": in_login(wire.authentication(0) + wire.message("S", length=2**30)),
    "sends a negative length": in_login(wire.message("R", length=-5)),
    "sends a length of zero": in_login(wire.message("R", length=0)),
    "sends an endless greeting": in_login(wire.authentication(0) + wire.error(None, kind="N") * 200_000),
    "goes after the greeting's half": lambda end, _: end.send(wire.authentication(0), wire.parameter_status("a", "b")),
    "refuses": in_login(wire.error("53300", "sorry, too many clients already", severity="FATAL")),
    "key data cut short": in_login(wire.authentication(0) + wire.message("K", b"\0\0") + wire.ready()),
    "parameter status cut short": in_login(wire.authentication(0) + wire.message("S", b"name") + wire.ready()),
    "ready with no state": in_login(wire.authentication(0) + wire.message("Z", b"")),
    "ready with an unknown state": in_login(wire.authentication(0) + wire.message("Z", b"?")),
}


@pytest.mark.parametrize("script", LOGINS.values(), ids=LOGINS.keys())
def test_server_that_misbehaves_in_its_login(facing, script):
    outcome = login_outcome(facing(script), 12)
    expected = {"53300"} if script is LOGINS["refuses"] else CONNECTION_FAILURES | {""}
    tolerated = {"in"} if script in (LOGINS["ready with an unknown state"], LOGINS["ready with no state"], LOGINS["key data cut short"],
                                     LOGINS["parameter status cut short"]) else set()
    assert outcome in expected | tolerated


def test_server_that_is_not_there(make_gateway, postgres):
    gateway = make_gateway({"databases": {"*": {"port": free_port()}}, "timeouts": {"server_connect": "2s"}})
    assert login_outcome(gateway) in CONNECTION_FAILURES


def test_host_that_has_no_address(make_gateway):
    gateway = make_gateway({"databases": {"*": {"host": "no-such-host.invalid"}}, "timeouts": {"server_connect": "2s"}})
    assert login_outcome(gateway) in CONNECTION_FAILURES


def test_server_that_answers_ssl_with_garbage(make_gateway, postgres):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(8)
            connection.sendall(b"E" + b"x" * 5000)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    gateway = make_gateway({"databases": {"*": {"port": listener.getsockname()[1], "server_tls": {"mode": "require"}}}, "timeouts": {"server_connect": "2s"}})
    assert login_outcome(gateway) in CONNECTION_FAILURES
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


# -- 17: sessions that break ------------------------------------------------------------------------------------------------------


def dies_after(kinds: str):
    """Greets, reads messages up to one of these types, and hangs up."""
    def script(end, _parameters):
        greet(end)
        end.read_until(kinds)
    return script


@pytest.mark.parametrize("kinds, data", [
    ("Q", wire.query("SELECT 1")), ("Q", wire.query("BEGIN")), ("Q", wire.query("COMMIT")), ("P", wire.parse("SELECT 1") + wire.bind() + wire.execute() + wire.sync()),
    ("B", wire.parse("SELECT 1") + wire.bind() + wire.execute() + wire.sync()), ("S", wire.parse("COMMIT") + wire.bind() + wire.execute() + wire.sync()),
    ("QS", wire.query("CREATE TABLE a ()")), ("F", wire.function_call(177, ()))],
    ids=["query", "begin", "commit", "between parse and bind", "between bind and execute", "commit by extended", "ddl", "function call"])
def test_server_that_dies_while_it_works(facing, kinds, data):
    with facing(dies_after(kinds)).login() as client:
        client.send(data)
        assert set(wire.errors(rest(client))) <= CONNECTION_FAILURES


def then(*data: bytes, end_of_session: bool = True):
    """Greets, and answers the first query with `data`."""
    def script(end, _parameters):
        greet(end)
        end.read_until("QS")
        end.send(*data)
        if not end_of_session:
            while True:
                fake_server.answer(end)
    return script


NONSENSE = {
    "garbage": b"\xff" * 1000,
    "a negative length": wire.message("D", length=-1),
    "a length of zero": wire.message("D", length=0),
    "a gigabyte that never comes": wire.message("T", length=2**30) + b"x",
    "client-only types": wire.message("Q", b"SELECT 1\0") + wire.message("P", b""),
    "an authentication request": wire.authentication(3),
    "authentication ok again": wire.authentication(0),
    "key data again": wire.backend_key_data(99, b"abcd"),
    "rows without description": wire.data_row(b"1") + wire.command_complete("SELECT 1"),
    "copy both": wire.message("W", b"\0\0\0"),
    "copy data outside copy": wire.copy_data(b"x"),
    "an unknown type": wire.message("?", b"??"),
    "an answer to no parse": wire.message("1") * 1000,
    "command complete with no tag": wire.message("C", b""),
    "row description cut short": wire.message("T", b"\0\7name"),
    "half a message": wire.row_description("a")[:7],
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
def test_server_that_talks_nonsense_in_a_session(facing, data):
    """It may reach the client (who asked this server), it may end the session; it may not hang or harm the gateway."""
    gateway = facing(then(data))
    before = gateway.resident()
    with gateway.login() as client:
        client.send(wire.query("SELECT 1"))
        with pytest.raises(Closed):
            while True:
                client.read_bytes(1, 8)
    assert gateway.resident() - before < 32 << 20


@pytest.mark.parametrize("ready", [wire.message("Z"), wire.message("Z", b"X"), wire.message("Z", b"II")])
@pytest.mark.parametrize("moment", ["look-up", "statement"])
def test_odd_ready_for_query_to_the_gateways_own_requests(facing, ready, moment):
    def script(end, _parameters):
        greet(end)
        if moment == "statement":
            fake_server.answer(end)   # the names are looked up
        end.read_until("QS")
        end.send(ready)
        end.read_rest()

    with facing(script).login() as client:
        client.send(wire.query("ALTER TABLE t ADD COLUMN a int"))
        assert set(wire.errors(rest(client))) <= CONNECTION_FAILURES


def test_server_that_gives_no_cancel_key(facing):
    def script(end, _parameters):
        end.send(wire.authentication(0), *(wire.parameter_status(*pair) for pair in fake_server.PARAMETERS.items()), wire.ready())
        fake_server.answer(end)

    gateway = facing(script)
    with gateway.login() as client:
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
        assert rest(client) is not None
    gateway.assert_alive()


def test_ready_twice_does_not_confuse_who_gets_what(facing):
    gateway = facing(then(wire.command_complete("SELECT 0"), wire.ready(), wire.ready(), end_of_session=False))
    with gateway.login() as client:
        client.send(wire.query("SELECT 1"))
        try:
            client.read_until("Z")
            messages = client.query("SELECT 2")
            assert wire.types(messages) in ("Z", "TDCZ")
        except Closed:
            pass


def test_ready_that_never_comes_meets_the_query_timeout(facing):
    gateway = facing(then(wire.command_complete("SELECT 0"), end_of_session=False), {"timeouts": {"server_connect": "2s", "query": "1s"}})
    with gateway.login() as client:
        client.send(wire.query("SELECT 1"))
        assert set(wire.errors(rest(client))) <= {"57014", "57P01", "57P05"} | CONNECTION_FAILURES


def test_notice_error_and_notification_while_idle(facing):
    """NotificationResponse, NoticeResponse and ParameterStatus may come at any time; an error while idle announces the end."""
    said = threading.Event()

    def script(end, _parameters):
        greet(end)
        end.read_until("Q")
        end.send(wire.command_complete("LISTEN"), wire.ready())
        said.wait(10)
        end.send(wire.message("A", struct.pack("!i", 1) + b"channel\0payload\0"), wire.error("00000", "note", kind="N"), wire.parameter_status("TimeZone", "CET"))
        end.send(wire.error("57P01", "terminating connection due to administrator command", severity="FATAL"))

    with facing(script).login() as client:
        client.query("LISTEN channel")
        said.set()
        messages = rest(client)
        assert [message.type for message in messages] == ["A", "N", "S", "E"]
        assert messages[-1].sqlstate == "57P01"


def test_unasked_rows_while_idle_do_not_harm(facing):
    def script(end, _parameters):
        greet(end)
        end.read_until("Q")
        end.send(wire.command_complete("SELECT 0"), wire.ready(), wire.row_description("x"), wire.data_row(b"1"), wire.command_complete("SELECT 1"), wire.ready())
    with facing(script).login() as client:
        client.send(wire.query("SELECT 1"))
        rest(client)


def test_server_that_stops_reading_holds_up_nobody_else(facing):
    """A server that takes no more bytes: the client is held back, memory is bounded, other clients go on."""
    def script(end, _parameters):
        greet(end)
        end.read_until("Q")
        end.send(wire.message("G", b"\0\0\0"))
        done.wait(30)

    done = threading.Event()
    gateway = facing(script)
    with gateway.login() as client, gateway.login("postgres") as other:
        client.send(wire.query("COPY t FROM STDIN"))
        client.read_until("G")
        before = gateway.resident()
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                client.socket.sendall(wire.copy_data(b"x" * 100_000))
        assert gateway.resident() - before < 8 << 20
        assert wire.types(other.query("SELECT 1")) == "TDCZ"
        done.set()


# -- a real server that goes -------------------------------------------------------------------------------------------------------


def test_crash_of_the_server_ends_sessions_and_new_ones_work_after_it(make_gateway, own_postgres):
    gateway = make_gateway(postgres=own_postgres)
    clients = [gateway.login() for _ in range(5)]
    clients[0].query("BEGIN")
    clients[1].send(wire.query("SELECT pg_sleep(30)"))
    own_postgres.stop("immediate")
    for client in clients:
        assert set(wire.errors(rest(client))) <= CONNECTION_FAILURES
        client.close()
    assert login_outcome(gateway) in CONNECTION_FAILURES
    assert gateway.http("/healthz")[0] == 200
    own_postgres.start()
    with gateway.login() as client:
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
    wait_until(lambda: gateway.http("/readyz")[0] == 200, timeout=15, what="ready again")


def test_terminated_session_tells_its_client_why(target, bystander):
    with target.login() as client:
        target.postgres.execute("SELECT pg_terminate_backend(%s)", parameters=(client.pid,))
        messages = rest(client)
        assert wire.errors(messages) == ["57P01"]


def test_terminated_session_tells_its_client_why_while_a_statement_waits(make_gateway, postgres):
    """The gateway itself talks to the server then; the server's last word is the client's all the same."""
    postgres.execute("CREATE TABLE waited_for (a int); ALTER TABLE waited_for OWNER TO app")
    gateway = make_gateway()
    with postgres.connect() as blocker, gateway.login() as client:
        blocker.execute("BEGIN; LOCK TABLE waited_for")
        client.send(wire.query("ALTER TABLE waited_for ADD COLUMN b int"))
        assert client.read_until("N")
        postgres.execute("SELECT pg_terminate_backend(%s)", parameters=(client.pid,))
        assert wire.errors(rest(client)) == ["57P01"]
        blocker.execute("ROLLBACK; DROP TABLE waited_for")


def test_fail_over_to_read_only_is_the_servers_to_say(make_gateway, own_postgres):
    gateway = make_gateway(postgres=own_postgres)
    own_postgres.execute("CREATE TABLE written (a int); GRANT ALL ON written TO app")
    with gateway.login() as client:
        own_postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        own_postgres.reload()
        wait_until(lambda: client.value("SHOW default_transaction_read_only") == "on", what="the server is read-only")
        assert wire.errors(client.query("INSERT INTO written VALUES (1)")) == ["25006"]
        assert wire.types(client.query("SELECT 1")) == "TDCZ"


def test_starting_server_is_reported_as_it_says(make_gateway, postgres):
    def script(end, _parameters):
        end.send(wire.error("57P03", "the database system is starting up", severity="FATAL"))
    with FakeServer(script, upstream=postgres) as server:
        assert login_outcome(make_gateway(upstream=server)) == "57P03"
