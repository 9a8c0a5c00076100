"""Several gateways in front of one database: what one of them holds back, the others hold back too."""

import signal
import time

import pytest

from support import wire
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

# Long enough to look, and an attempt that begins although somebody holds the table.
LOCKS = {"locks": {"stall_budget": "20s", "lock_timeout": "15s", "hold_budget": "20s", "precheck_age": "10m"}}
LISTENERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app' AND application_name = 'tidegate gate'"
ALTER = "ALTER TABLE shelf ADD COLUMN extra int"


def listeners(postgres) -> int:
    return postgres.execute(LISTENERS)[0][0]


@pytest.fixture(autouse=True)
def shelf(postgres):
    postgres.execute("DROP TABLE IF EXISTS shelf, other_shelf; CREATE TABLE shelf (id int); CREATE TABLE other_shelf (id int); "
                     "ALTER TABLE shelf OWNER TO app; ALTER TABLE other_shelf OWNER TO app; INSERT INTO shelf SELECT generate_series(1, 2000)")
    yield
    postgres.execute("DROP TABLE IF EXISTS shelf, other_shelf")


@pytest.fixture
def pair(make_gateway, postgres):
    """Two gateways with a client each, of which the database knows."""
    wait_until(lambda: listeners(postgres) == 0, what="nobody else shares the database's gate")

    def make(settings=LOCKS, other=LOCKS):
        gateways = [make_gateway(settings), make_gateway(other)]
        clients = [gateway.login() for gateway in gateways]
        opened.extend(clients)
        wait_until(lambda: listeners(postgres) == 2, what="both listen")
        return *gateways, *clients

    opened = []
    yield make
    for client in opened:
        client.close()


def held(gateway) -> float:
    return gateway.metrics().sum("tidegate_gate_held_statements_total")


def reader_of(postgres, table="shelf"):
    reader = postgres.connect(dbname="app")
    reader.execute(f"BEGIN; SELECT count(*) FROM {table}")
    return reader


def begin_change(migrator, postgres):
    migrator.send(wire.query(ALTER))
    wait_until(lambda: postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"), what="the change waits for its lock")


def test_statements_wait_at_the_other_gateway(pair, postgres):
    one, other, migrator, application = pair()
    with reader_of(postgres) as reader:
        begin_change(migrator, postgres)
        application.send(wire.query("SELECT count(*) FROM shelf"))
        wait_until(lambda: held(other) == 1, what="the statement is held by the other gateway")
        with other.login() as third:
            assert third.value("SELECT count(*) FROM other_shelf") == "0"
        assert postgres.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'") == [(0,)]
        assert application.is_quiet(0.1)
        reader.commit()
        assert wire.errors(migrator.read_until("Z", 20)) == []
        assert wire.rows(application.read_until("Z", 20)) == [["2000"]]
    assert "gate_held_without_answer" not in one.output()


def test_gate_opens_when_the_change_is_done_and_not_later(pair, postgres):
    _, other, migrator, application = pair()
    with reader_of(postgres) as reader:
        begin_change(migrator, postgres)
        application.send(wire.query("SELECT count(*) FROM shelf"))
        wait_until(lambda: held(other) == 1, what="the statement is held by the other gateway")
        reader.commit()
        started = time.monotonic()
        application.read_until("Z", 20)
        assert time.monotonic() - started < 5   # the budget is 20 s
        migrator.read_until("Z", 20)


def test_gate_of_a_gateway_that_died_opens_by_the_budget_of_the_other(pair, postgres):
    one, other, migrator, application = pair(other={"locks": {**LOCKS["locks"], "stall_budget": "1s"}})
    with reader_of(postgres) as reader:
        begin_change(migrator, postgres)
        application.send(wire.query("SELECT count(*) FROM shelf"))
        wait_until(lambda: held(other) == 1, what="the statement is held by the other gateway")
        one.may_end = True
        one.signal(signal.SIGKILL)
        # The server rolls the change back when it notices; until then the statement queues there, behind its lock.
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
        started = time.monotonic()
        assert wire.rows(application.read_until("Z", 20)) == [["2000"]]
        assert time.monotonic() - started < 5
        reader.rollback()


def test_gateway_that_does_not_answer_is_not_waited_for(pair, postgres):
    one, other, migrator, _ = pair()
    other.signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert wire.errors(migrator.query(ALTER)) == []
        assert time.monotonic() - started < 5
        assert "gate_held_without_answer" in one.output()
    finally:
        other.signal(signal.SIGCONT)


def test_only_sessions_of_the_control_role_are_believed(pair, postgres):
    _, other, _, application = pair()
    postgres.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    payload = "1:15:close12:0123456789-15:200005:shelf"
    with postgres.connect(dbname="app", user="stranger") as stranger:
        for text in (payload, payload[:-1], "1:1" + "9" * 7000, "1:15:close", "", "\\"):
            stranger.execute("SELECT pg_notify('tidegate_gate', %s)", (text,))
        stranger.commit()
        # What is asked last is answered last: the notices have been read.
        wait_until(lambda: postgres.execute("SELECT query FROM pg_stat_activity WHERE application_name = 'tidegate gate' AND query LIKE '%pg_stat_activity%'"),
                   what="the sender was looked up")
        assert application.value("SELECT count(*) FROM shelf") == "2000"
    assert held(other) == 0
    with postgres.connect(dbname="app", user="postgres") as gateway:   # the same from the control role's session
        gateway.autocommit = True
        gateway.execute("LISTEN tidegate_gate")
        gateway.execute("SELECT pg_notify('tidegate_gate', %s)", (payload,))
        next(notice for notice in gateway.notifies() if notice.payload.startswith("1:16:closed"))
        application.send(wire.query("SELECT count(*) FROM shelf"))
        wait_until(lambda: held(other) == 1, what="the gate is closed")
        gateway.execute("SELECT pg_notify('tidegate_gate', %s)", ("1:14:open12:0123456789-1",))
        assert wire.rows(application.read_until("Z", 5)) == [["2000"]]
    postgres.execute("DROP ROLE stranger")


def test_listener_goes_with_the_last_client_and_comes_back_after_a_loss(pair, postgres):
    one, other, migrator, application = pair()
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidegate gate'")
    wait_until(lambda: listeners(postgres) == 2, 15, what="both listen again")
    migrator.close()
    wait_until(lambda: listeners(postgres) == 1, 15, what="the gateway without clients has let go")


def test_gate_can_be_kept_to_oneself(make_gateway, postgres):
    wait_until(lambda: listeners(postgres) == 0, what="nobody else shares the database's gate")
    gateway, other = make_gateway({"locks": {"share_gate": False}}), make_gateway()
    with gateway.login() as client:
        assert wire.errors(client.query(ALTER)) == []
        # Each looks once a second who its clients are: the other has done so twice when its listener has come and gone.
        with other.login():
            wait_until(lambda: listeners(postgres) == 1, what="the other listens")
        wait_until(lambda: listeners(postgres) == 0, what="the other has let go")


def test_flood_of_strangers_keeps_nobody_from_being_heard(pair, postgres):
    _, other, migrator, application = pair()
    postgres.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    with postgres.connect(dbname="app", user="stranger") as stranger, reader_of(postgres) as reader:
        stranger.execute("SELECT count(pg_notify('tidegate_gate', format('1:15:close%s:%s5:200005:shelf', length(n::text) + 2, n || '-1'))) FROM generate_series(1, 20000) n")
        begin_change(migrator, postgres)
        application.send(wire.query("SELECT count(*) FROM shelf"))
        wait_until(lambda: held(other) == 1, what="the statement is held by the other gateway")
        reader.commit()
        assert wire.errors(migrator.read_until("Z", 20)) == []
        assert wire.rows(application.read_until("Z", 20)) == [["2000"]]
    postgres.execute("DROP ROLE stranger")
