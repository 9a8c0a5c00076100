"""Transaction pooling when servers die, at every point of a conversation: who used the server is told, nobody else notices, nothing is done twice."""

import os
import signal
import threading

import psycopg
import pytest

from support import fake_server, wire
from support.fake_server import FakeServer, greet
from support.process import free_port, wait_until
from support.wire import Closed, errors, rows

pytestmark = pytest.mark.gateway_only

FAILURES = {"57P01", "57P02", "57P03", "08006", "08001", "08P01"}
ONE = {"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}, "policies": {"mode": "off"}, "timeouts": {"server_connect": "2s"}}


@pytest.fixture
def gateway(make_gateway, postgres):
    postgres.execute("DROP TABLE IF EXISTS effects; CREATE TABLE effects (who text); GRANT ALL ON effects TO app")
    yield make_gateway(ONE)
    postgres.execute("DROP TABLE effects")


@pytest.fixture
def unharmed(gateway):
    """Afterwards: another client that was there before, and a new one, are served; nothing is left open."""
    with gateway.login() as other:
        assert other.value("SELECT 'before'") == "before"
        before = gateway.client_descriptors()
        yield other
        assert other.value("SELECT 'after'") == "after"
        with gateway.login() as new:
            assert new.value("SELECT 'new'") == "new"
        wait_until(lambda: gateway.client_descriptors() <= before, what="descriptors are closed")


def pool_backends(postgres) -> list[int]:
    return [pid for (pid,) in postgres.execute(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND datname = 'app' AND backend_type = 'client backend'", "postgres")]


def kill(postgres):
    """Terminates the pool's only server, and waits until it is gone."""
    pids = pool_backends(postgres)
    assert pids
    for pid in pids:
        postgres.execute(f"SELECT pg_terminate_backend({pid})", "postgres")
    wait_until(lambda: not set(pids) & set(pool_backends(postgres)), what="the server session is gone")


def last_words(client: wire.Wire) -> list[str]:
    """The SQLSTATEs until the end of the connection, which must come."""
    return errors(client.read_rest(8))


def executions(postgres, who: str) -> int:
    return postgres.execute(f"SELECT count(*) FROM effects WHERE who = '{who}'")[0][0]


# -- killed while ... ---------------------------------------------------------------------------------------------------------


def test_idle_server_that_is_killed_is_nobodys_loss(gateway, unharmed, postgres):
    for _ in range(5):
        kill(postgres)
        assert unharmed.value("SELECT 1") == "1"


def test_killed_after_begin(gateway, unharmed, postgres):
    with gateway.login() as client:
        assert client.query("BEGIN")[-1].status == "T"
        client.query("INSERT INTO effects VALUES ('begin')")
        kill(postgres)
        assert last_words(client) == ["57P01"]
    assert executions(postgres, "begin") == 0


def test_killed_between_parse_and_bind(gateway, unharmed, postgres):
    with gateway.login() as client:
        client.send(wire.parse("INSERT INTO effects VALUES ('bind')", "s"), wire.flush())
        assert client.read_until("1")
        kill(postgres)
        assert last_words(client) == ["57P01"]
    assert executions(postgres, "bind") == 0


def test_killed_between_batches_the_statement_is_prepared_again(gateway, unharmed, postgres):
    with gateway.login() as client:
        client.sync(wire.parse("INSERT INTO effects VALUES ('again') RETURNING who", "s"))
        client.sync(wire.parse("INSERT INTO effects VALUES ('unnamed') RETURNING who"))
        kill(postgres)
        assert rows(client.sync(wire.bind("s"), wire.execute())) == [["again"]]
        kill(postgres)
        assert rows(client.sync(wire.bind(), wire.execute())) == [["unnamed"]]
    assert executions(postgres, "again") == executions(postgres, "unnamed") == 1


@pytest.mark.parametrize("send", [
    lambda client: client.send(wire.query("INSERT INTO effects VALUES ('run'); COMMIT; INSERT INTO effects SELECT 'run' FROM pg_sleep(30)")),
    lambda client: client.send(wire.parse("INSERT INTO effects SELECT 'run' FROM pg_sleep(30)"), wire.bind(), wire.execute(), wire.sync()),
    lambda client: client.send(wire.query("SELECT 1"), wire.query("INSERT INTO effects SELECT 'run' FROM pg_sleep(30)"), wire.query("INSERT INTO effects VALUES ('run')")),
], ids=["simple", "extended", "pipelined"])
def test_killed_while_it_runs_nothing_is_done_twice(gateway, unharmed, postgres, send):
    with gateway.login() as client:
        send(client)
        wait_until(lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), what="it runs")
        committed = executions(postgres, "run")
        kill(postgres)
        assert last_words(client) == ["57P01"]
    assert unharmed.value("SELECT 1") == "1"
    assert executions(postgres, "run") == committed


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_killed_in_copy_in(gateway, unharmed, postgres, extended):
    text = "COPY effects FROM STDIN"
    with gateway.login() as client:
        client.send(*([wire.parse(text), wire.bind(), wire.execute(), wire.flush()] if extended else [wire.query(text)]))
        client.read_until("G")
        client.send(wire.copy_data(b"copied\n"))
        kill(postgres)
        assert set(last_words(client)) <= FAILURES
    assert executions(postgres, "copied") == 0


def test_killed_in_copy_out(gateway, unharmed, postgres):
    with gateway.login() as client:
        client.send(wire.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 300000)) TO STDOUT"))
        client.read_until("d")
        kill_later = threading.Thread(target=lambda: [postgres.execute(f"SELECT pg_terminate_backend({pid})", "postgres") for pid in pool_backends(postgres)])
        kill_later.start()
        messages = client.read_rest(30)
        kill_later.join()
        assert set(errors(messages)) <= FAILURES and messages[-1].type != "Z"


def test_killed_in_commit(gateway, unharmed, postgres):
    """A deferred trigger sleeps in COMMIT. Whether it was committed cannot be told; that it is not tried again can."""
    postgres.execute("""
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()""")
    try:
        with gateway.login() as client:
            client.query("BEGIN; INSERT INTO effects VALUES ('commit')")
            client.send(wire.query("COMMIT"))
            wait_until(lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), what="it commits")
            kill(postgres)
            assert last_words(client) == ["57P01"]
        assert executions(postgres, "commit") == 0
    finally:
        postgres.execute("DROP TRIGGER slow ON effects; DROP FUNCTION slow()")


def test_killed_while_others_wait_for_it(gateway, unharmed, postgres):
    waiting = [gateway.login() for _ in range(3)]
    with gateway.login() as client:
        client.query("BEGIN")
        for number, each in enumerate(waiting):
            each.send(wire.query(f"INSERT INTO effects VALUES ('waited') RETURNING '{number}'"))
        wait_until(lambda: gateway.metrics().sum("tidegate_clients", state="waiting") == 3, what="they wait")
        kill(postgres)
        assert last_words(client) == ["57P01"]
    for number, each in enumerate(waiting):
        assert rows(each.read_until("Z")) == [[str(number)]]
        each.close()
    assert executions(postgres, "waited") == 3


def test_killed_again_and_again_while_settings_differ(gateway, unharmed, postgres):
    """The server may be gone before, while or after settings are put on it."""
    clients = []
    for number in range(3):
        clients.append(gateway.login())
        clients[-1].query(f"SET work_mem = '{number + 5}MB'; SET app.number = '{number}'")
    stop = threading.Event()

    def killing():
        while not stop.is_set():
            postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND datname = 'app'", "postgres")
            stop.wait(0.013)

    killer = threading.Thread(target=killing)
    killer.start()
    done = []
    try:
        for at in range(300):
            number = at % len(clients)
            try:
                messages = clients[number].query(f"INSERT INTO effects VALUES ('{at}') RETURNING current_setting('work_mem'), current_setting('app.number')")
                assert not errors(messages) or set(errors(messages)) <= FAILURES, [m.fields() for m in messages if m.type == "E"]
                if not errors(messages):
                    assert rows(messages) == [[f"{number + 5}MB", str(number)]]
                    done.append(at)
            except Closed:
                clients[number].close()
                clients[number] = open_again(gateway, number)
    finally:
        stop.set()
        killer.join()
        for each in clients:
            each.close()
    twice = postgres.execute("SELECT who, count(*) FROM effects GROUP BY who HAVING count(*) > 1")
    assert not twice
    assert set(map(str, done)) <= {who for (who,) in postgres.execute("SELECT who FROM effects")}


def open_again(gateway, number: int) -> wire.Wire:
    for _ in range(200):
        try:
            client = gateway.login()
            if not errors(client.query(f"SET work_mem = '{number + 5}MB'; SET app.number = '{number}'")):
                return client
        except (Closed, wire.LoginRefused):
            pass
    raise AssertionError("no client comes in any more")


def test_pinned_server_that_is_killed_ends_its_client(gateway, unharmed, postgres):
    """What it had there is lost, and nobody may think otherwise."""
    with gateway.login() as client:
        client.query("CREATE TEMP TABLE t (a int)")
        kill(postgres)
        assert last_words(client) == ["57P01"]


def test_client_that_set_something_keeps_it_when_the_idle_server_is_killed(gateway, unharmed, postgres):
    with gateway.login() as client:
        client.query("SET work_mem = '7MB'; SET app.tenant = 'a'")
        client.query("SELECT 1")
        kill(postgres)
        assert rows(client.query("SELECT current_setting('work_mem'), current_setting('app.tenant')")) == [["7MB", "a"]]


# -- the whole server -----------------------------------------------------------------------------------------------------------


def test_crash_of_the_whole_server_and_its_return(make_gateway, own_postgres):
    gateway = make_gateway(ONE | {"databases": {"*": {"pool": {"mode": "transaction", "size": 2}}}}, postgres=own_postgres)
    idle, busy = gateway.login(), gateway.login()
    idle.query("SET work_mem = '7MB'")
    busy.query("BEGIN")
    (victim, *_) = pool_backends(own_postgres)
    os.kill(victim, signal.SIGKILL)
    assert set(last_words(busy)) <= FAILURES
    wait_until(lambda: is_back(own_postgres), what="the server is back", every=0.1)
    assert idle.value("SHOW work_mem") == "7MB"
    with gateway.login() as new:
        assert new.value("SELECT 1") == "1"


def is_back(postgres) -> bool:
    try:
        return postgres.execute("SELECT NOT pg_is_in_recovery()") == [(True,)]
    except psycopg.OperationalError:
        return False


def test_server_that_is_stopped_is_told_of_and_forgotten_when_it_is_back(make_gateway, own_postgres):
    gateway = make_gateway(ONE, postgres=own_postgres)
    with gateway.login() as client:
        assert client.value("SELECT 1") == "1"
    client = gateway.login()
    before = gateway.client_descriptors()
    own_postgres.stop()
    client.send(wire.query("SELECT 1"))
    assert set(last_words(client)) <= FAILURES   # FATAL: it had no server to lose
    client.close()
    with pytest.raises((wire.LoginRefused, Closed)):
        with gateway.login() as refused:
            refused.query("SELECT 1")
            raise Closed(str(errors(refused.query("SELECT 1"))))
    own_postgres.start()
    with gateway.login() as new:
        assert new.value("SELECT 2") == "2"
    wait_until(lambda: gateway.client_descriptors() <= before, what="descriptors are closed")


# -- servers that misbehave -------------------------------------------------------------------------------------------------------


@pytest.fixture
def facing(make_gateway, postgres):
    servers = []

    def make(script, settings: dict | None = None):
        servers.append(FakeServer(script, upstream=postgres))
        return servers[-1], make_gateway(ONE | (settings or {}), upstream=servers[-1])

    yield make
    for server in servers:
        server.close()


IDLE_WORDS = {
    "garbage": b"\xff" * 100, "a row": wire.data_row(b"1"), "ready": wire.ready(), "an error": wire.error("57P01", severity="FATAL"), "copy data": wire.copy_data(b"x"),
    "a huge length": wire.message("S", length=2**30), "more than a parameter": wire.parameter_status("TimeZone", "Asia/Tokyo") + wire.data_row(b"1"), "nothing, and closes": b"",
}


@pytest.mark.parametrize("data", IDLE_WORDS.values(), ids=IDLE_WORDS.keys())
def test_what_an_idle_server_says_is_not_taken_for_an_answer(facing, data):
    idle, gone, connections = threading.Event(), threading.Event(), []

    def script(end, _parameters):
        connections.append(end)
        greet(end, pid=len(connections))
        fake_server.answer(end, "first")
        if len(connections) == 1:
            assert idle.wait(5)
            end.send(data)
            if data:
                end.read_rest()   # the gateway closes
            else:
                end.close()
            return gone.set()
        while True:
            fake_server.answer(end, "next")

    _, gateway = facing(script)
    with gateway.login() as first, gateway.login() as second:
        assert rows(first.query("SELECT 1")) == [["first"]]
        wait_until(lambda: gateway.metrics().sum("tidegate_servers", state="idle") == 1, what="the server is idle")
        idle.set()
        assert gone.wait(5)
        wait_until(lambda: gateway.metrics().sum("tidegate_servers", state="idle") == 0, what="the server is gone")
        assert rows(second.query("SELECT 2")) == [["first"]]
        assert rows(first.query("SELECT 3")) == [["next"]]
        assert first.parameters["TimeZone"] == second.parameters["TimeZone"] == "UTC"


@pytest.mark.parametrize("cut", [3, 5, 12])
def test_message_that_has_begun_to_come_while_the_server_was_idle_is_whole_for_the_client(facing, cut):
    idle = threading.Event()
    status = wire.parameter_status("TimeZone", "Asia/Tokyo")

    def script(end, _parameters):
        greet(end)
        fake_server.answer(end, "first")
        assert idle.wait(5)
        end.send(wire.error("00000", severity="NOTICE", kind="N"), status[:cut])
        end.read_until("Q")
        end.send(status[cut:], wire.row_description("value"), wire.data_row(b"second"), wire.command_complete("SELECT 1"), wire.ready())
        end.read_rest()

    _, gateway = facing(script)
    with gateway.login() as client, gateway.login() as other:
        assert rows(client.query("SELECT 1")) == [["first"]]
        wait_until(lambda: gateway.metrics().sum("tidegate_servers", state="idle") == 1, what="the server is idle")
        idle.set()
        assert not other.buffer and other.is_quiet(0.1)   # time for it to arrive
        assert rows(other.query("SELECT 2")) == [["second"]]
        assert other.parameters["TimeZone"] == "Asia/Tokyo"


@pytest.mark.parametrize("data", [wire.row_description("a") + wire.data_row(b"x" * 100)[:20], wire.row_description("a"), wire.row_description("a") + b"\xff" * 50, b""],
                         ids=["in a row", "between messages", "garbage", "at once"])
def test_server_that_dies_in_an_answer(facing, data):
    connections = []

    def script(end, _parameters):
        connections.append(end)
        greet(end, pid=len(connections))
        if len(connections) == 1:
            fake_server.answer(end, "healthy")
            end.read_until("QS")
            end.send(data)
            return
        while True:
            fake_server.answer(end, "healthy")

    _, gateway = facing(script)
    with gateway.login() as other:
        assert rows(other.query("SELECT 1")) == [["healthy"]]
        with gateway.login() as client:
            client.send(wire.query("SELECT 2"))
            seen = client.read_bytes(len(data)) if data and b"\xff" not in data else b""
            assert data.startswith(seen) or not seen
            with pytest.raises(Closed):
                while True:
                    client.read_bytes(1, 8)
        assert rows(other.query("SELECT 3")) == [["healthy"]]
        assert len(connections) == 2


def test_server_that_refuses_for_lack_of_places_is_asked_again(facing):
    """53300 while another server of the pool is open is a reason to wait, not an error."""
    refuse, working = threading.Event(), []

    def script(end, _parameters):
        if refuse.is_set():
            end.send(wire.error("53300", "sorry, too many clients already", severity="FATAL"))
            return
        greet(end, pid=len(working) + 1)
        working.append(end)
        while True:
            request = end.read_until("QSX")
            if request[-1].type == "X":
                return
            text = request[-1].body
            status = "T" if b"BEGIN" in text else "I"
            end.send(wire.command_complete("X"), wire.ready(status))

    _, gateway = facing(script, {"databases": {"*": {"pool": {"mode": "transaction", "size": 2}}}})
    with gateway.login() as first, gateway.login() as second:
        first.query("BEGIN")
        refuse.set()
        second.send(wire.query("SELECT 1"))
        assert second.is_quiet(0.5)
        first.query("COMMIT")
        assert wire.types(second.read_until("Z")) == "CZ"


def test_server_that_refuses_when_there_is_no_other_is_told(facing):
    refuse = threading.Event()

    def script(end, parameters):
        if refuse.is_set():
            end.send(wire.error("53300", "sorry, too many clients already", severity="FATAL"))
        else:
            greet(end)
            fake_server.answer(end)   # and goes

    _, gateway = facing(script)
    with gateway.login() as client:
        client.query("SELECT 1")
        wait_until(lambda: gateway.metrics().sum("tidegate_servers") == 0, what="the server is gone")
        refuse.set()
        client.send(wire.query("SELECT 2"))
        assert last_words(client) == ["53300"]
    refuse.clear()
    with gateway.login() as client:
        assert rows(client.query("SELECT 3")) == [["1"]]


def test_unreachable_server_is_told_and_found_again(make_gateway, postgres):
    port = free_port()
    gateway = make_gateway(ONE | {"databases": {"*": {"pool": {"mode": "transaction", "size": 1}, "host": "127.0.0.1", "port": port}}})
    with pytest.raises(wire.LoginRefused) as refused:
        with gateway.login() as client:
            raise wire.LoginRefused(next(m for m in client.query("SELECT 1") if m.type == "E"))
    assert refused.value.sqlstate in FAILURES


@pytest.mark.parametrize("relay", ["epoll", "auto"])
def test_server_that_cannot_be_opened_for_who_waits_is_not_tried_without_end(make_gateway, postgres, tmp_path, relay):
    """An attempt that fails at once, while another server of the pool works: its client goes on, and the thread is at rest."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    name = f".s.PGSQL.{postgres.port}"
    (tmp_path / name).symlink_to(postgres.sockets / name)
    gateway = make_gateway({"threads": 1, "relay": relay, "timeouts": {"query_wait": "60s"},
                            "databases": {"*": {"host": str(tmp_path), "port": postgres.port, "control": None, "pool": {"mode": "transaction", "size": 4}}}})
    with gateway.login() as one, gateway.login() as other:
        one.query("BEGIN")
        (tmp_path / name).unlink()
        other.send(wire.query("SELECT 'served'"))
        def failures():
            return gateway.metrics().sum("tidegate_server_connect_failures_total")

        wait_until(lambda: failures() >= 3, what="it is tried again")
        before, tried = gateway.processor_seconds(), failures()
        assert one.value("SELECT 1") == "1"
        wait_until(lambda: failures() >= tried + 2, what="… and again, with the ticks")
        assert gateway.processor_seconds() - before < 0.5, "it spins"
        assert failures() < 50
        (tmp_path / name).symlink_to(postgres.sockets / name)
        assert rows(other.read_until("Z")) == [["served"]]
        one.query("COMMIT")
