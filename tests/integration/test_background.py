"""Statements that their client does not wait for: ddl_mode async, and defer inside a transaction. The gateway carries them out by itself."""

import contextlib
import json
import os
import signal

import psycopg
import pytest

from support import wire
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

SCHEMA = """
CREATE TABLE orders (id bigint PRIMARY KEY, qty int, note text);
INSERT INTO orders SELECT n, n, 'note ' || n FROM generate_series(1, 20000) n;
CREATE SCHEMA other;
CREATE TABLE other.orders (id bigint PRIMARY KEY, qty int, note text);
INSERT INTO other.orders SELECT n, n, 'note ' || n FROM generate_series(1, 20000) n;
ALTER TABLE orders OWNER TO app; ALTER SCHEMA other OWNER TO app; ALTER TABLE other.orders OWNER TO app;
"""
CHECK = "ALTER TABLE orders ADD CONSTRAINT positive CHECK (qty > 0)"
INDEX = "CREATE INDEX by_qty ON orders (qty)"


@pytest.fixture
def database(postgres):
    name = f"background_{os.getpid()}"
    postgres.execute(f"CREATE DATABASE {name} OWNER app", "postgres")
    postgres.execute(SCHEMA, name)
    yield name
    postgres.drop_database(name)


@pytest.fixture(params=["session", "transaction"])
def gateway(make_gateway, request):
    return make_gateway({"databases": {"*": {"pool": {"mode": request.param}}}})


def told(messages: list[wire.Message]) -> str:
    return "\n".join(m.fields()["M"] for m in messages if m.type == "N")


def id_of(messages: list[wire.Message]) -> int:
    """Which the client is told in brackets."""
    assert not wire.errors(messages), messages
    return int(told(messages).rsplit("(", 1)[1].split(")")[0])


def state(postgres, database: str, number: int):
    rows = postgres.execute(f"SELECT state, sqlstate, message FROM tidegate.background WHERE id = {number}", database)
    return rows[0] if rows else None


def wait_for(postgres, database: str, number: int, expected: str):
    wait_until(lambda: state(postgres, database, number)[0] in ("done", "failed", "stopped", "withdrawn"), timeout=60, what=f"{number} has ended")
    assert state(postgres, database, number)[0] == expected, state(postgres, database, number)


def is_valid(postgres, database: str, constraint="positive", table="public.orders") -> bool:
    return postgres.execute(f"SELECT convalidated FROM pg_constraint WHERE conname = '{constraint}' AND conrelid = '{table}'::regclass", database) == [(True,)]


def has_index(postgres, database: str, name="by_qty") -> bool:
    return postgres.execute(f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')", database) == [(True,)]


def show_ddl(gateway) -> list[dict]:
    with gateway.connect(user="postgres", dbname="tidegate") as admin:
        cursor = admin.execute("SHOW DDL")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


@contextlib.contextmanager
def held_back(postgres, gateway, database: str):
    """A statement in the background that has begun and can't get its lock: its id, and who keeps it from that."""
    holder = postgres.connect(dbname=database)
    holder.execute("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE")
    try:
        with gateway.login(database=database) as client:
            client.query("SET tidegate.ddl_mode = async")
            number = id_of(client.query(CHECK))
            wait_until(lambda: [row for row in show_ddl(gateway) if "step 1 of 2" in row["step"]], what="it has begun")
        yield number, holder
    finally:
        holder.close()


def test_the_client_goes_on_at_once(postgres, gateway, database):
    with gateway.login(database=database, parameters={"application_name": "deploy"}) as client:
        client.query("SET tidegate.ddl_mode = async")
        holder = postgres.connect(dbname=database)
        holder.execute("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE")   # nothing can be changed meanwhile
        answer = client.query(CHECK)
        assert [m.tag for m in answer if m.type == "C"] == ["ALTER TABLE"]
        number = id_of(answer)
        assert client.value("SELECT count(*) FROM orders") == "20000"
        assert not is_valid(postgres, database)
        (row,) = wait_until(lambda: [row for row in show_ddl(gateway) if row["background"] == number and "step 1 of 2" in row["step"]
                                     and str(holder.info.backend_pid) in row["blockers"]], what="SHOW DDL has it, and who is in its way")
        assert row["user"] == "app" and row["application_name"] == "deploy" and "positive" in row["statement"], row
        holder.execute("COMMIT")
        holder.close()
    wait_for(postgres, database, number, "done")
    assert is_valid(postgres, database)
    assert show_ddl(gateway) == []
    assert postgres.execute("SELECT role, application FROM tidegate.background", database) == [("app", "deploy")]


def test_an_index_too(postgres, gateway, database):
    with gateway.login(database=database, parameters={"options": "-c tidegate.ddl_mode=async"}) as client:
        answer = client.sync(wire.parse(INDEX), wire.bind(), wire.execute())
        assert wire.types([m for m in answer if m.type != "N"]) == "12CZ", answer
        wait_for(postgres, database, id_of(answer), "done")
    assert has_index(postgres, database)


def test_it_means_what_it_meant_to_the_client(postgres, gateway, database):
    postgres.execute("CREATE ROLE background_owner NOLOGIN; GRANT background_owner TO app", "postgres")
    try:
        postgres.execute("ALTER TABLE other.orders OWNER TO background_owner; GRANT CREATE, USAGE ON SCHEMA other TO background_owner", database)
        with gateway.login(database=database) as client:
            for sql in ("SET ROLE background_owner", "SET search_path = other", "SET DateStyle = 'German'", "SET tidegate.ddl_mode = async"):
                assert not wire.errors(client.query(sql)), sql
            number = id_of(client.query("ALTER TABLE orders ADD CONSTRAINT positive CHECK (date '01.02.2020' + qty > '31.01.2020')"))
            wait_for(postgres, database, number, "done")
        assert is_valid(postgres, database, table="other.orders")
        assert postgres.execute("SELECT pg_get_constraintdef(oid) LIKE '%2020-02-01%' FROM pg_constraint WHERE conname = 'positive'", database) == [(True,)]
        assert postgres.execute("SELECT role FROM tidegate.background", database) == [("background_owner",)]
    finally:
        postgres.execute("DROP OWNED BY background_owner CASCADE", database)
        postgres.execute("DROP ROLE background_owner", "postgres")


def test_what_fails_is_told(postgres, gateway, database):
    with gateway.login(database=database) as client:
        client.query("SET tidegate.ddl_mode = async")
        number = id_of(client.query("ALTER TABLE orders ADD CONSTRAINT positive CHECK (qty > 7)"))
        wait_for(postgres, database, number, "failed")
    assert state(postgres, database, number)[1] == "23514"
    assert "positive" in state(postgres, database, number)[2]
    assert postgres.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'positive'", database) == [(0,)], "taken back"
    assert "background_statement_failed" in gateway.output()


def test_a_statement_that_needs_no_steps_is_run_at_once(postgres, gateway, database):
    with gateway.login(database=database) as client:
        client.query("SET tidegate.ddl_mode = async")
        assert told(client.query("ALTER TABLE orders ADD COLUMN more int")) == ""
        assert client.value("SELECT count(more) FROM orders") == "0"


def test_not_an_owner(postgres, gateway, database):
    postgres.execute("ALTER TABLE orders OWNER TO postgres", database)
    with gateway.login(database=database) as client:
        client.query("SET tidegate.ddl_mode = async")
        assert wire.errors(client.query(CHECK)) == ["42501"]
    assert postgres.execute("SELECT to_regclass('tidegate.background') IS NULL", database) == [(True,)]


def test_in_a_transaction_async_is_refused(gateway, database):
    with gateway.login(database=database) as client:
        client.query("SET tidegate.ddl_mode = async")
        client.query("BEGIN")
        assert wire.errors(client.query(CHECK)) == ["25001"]


def test_the_control_role_may_not_write(postgres, make_gateway, database):
    postgres.execute("CREATE ROLE meek LOGIN; GRANT pg_monitor TO meek", "postgres")
    try:
        gateway = make_gateway({"databases": {"*": {"control": {"user": "meek"}}}})
        with gateway.login(database=database) as client:
            client.query("SET tidegate.ddl_mode = async")
            (error,) = [m.fields() for m in client.query(CHECK) if m.type == "E"]
        assert error["C"] == "42501" and "GRANT CREATE ON DATABASE" in error["H"], error
    finally:
        postgres.execute("DROP ROLE meek", "postgres")


def test_behind_passthrough_the_control_role_acts_for_the_client(postgres, make_gateway, database):
    postgres.execute(f"CREATE ROLE deputy LOGIN; GRANT pg_monitor TO deputy; GRANT CREATE ON DATABASE {database} TO deputy", "postgres")
    postgres.execute("ALTER TABLE orders OWNER TO scram_user", database)
    try:
        gateway = make_gateway({"auth": {"method": "passthrough"}, "databases": {"*": {"control": {"user": "deputy"}, "pool": {"mode": "session"}}}})
        with gateway.login("scram_user", database, password="scram_user") as client:
            client.query("SET tidegate.ddl_mode = async")
            (error,) = [m.fields() for m in client.query(CHECK) if m.type == "E"]
            assert error["C"] == "42501" and "GRANT scram_user TO deputy" in error["H"], error
            postgres.execute("GRANT scram_user TO deputy", "postgres")
            number = id_of(client.query(CHECK))
            wait_for(postgres, database, number, "done")
        assert is_valid(postgres, database)
        # a superuser's session could be had back by what the statement runs
        gateway = make_gateway({"auth": {"method": "passthrough"}, "databases": {"*": {"pool": {"mode": "session"}}}})
        with gateway.login("scram_user", database, password="scram_user") as client:
            client.query("SET tidegate.ddl_mode = async")
            (error,) = [m.fields() for m in client.query("ALTER TABLE orders ADD CHECK (qty > -1)") if m.type == "E"]
            assert error["C"] == "42501" and "superuser" in error["D"], error
    finally:
        postgres.execute("DROP OWNED BY deputy CASCADE", database)
        postgres.execute(f"REVOKE CREATE ON DATABASE {database} FROM deputy; DROP OWNED BY deputy; DROP ROLE deputy", "postgres")


# ---- the gateway ends ----

def test_a_gateway_that_drains_stops_at_the_next_safe_point(postgres, gateway, make_gateway, database):
    with held_back(postgres, gateway, database) as (number, _):
        gateway.may_end = True
        gateway.signal(signal.SIGTERM)
        wait_for(postgres, database, number, "stopped")
    with make_gateway().login(database=database) as client:
        answer = client.query(CHECK)
        assert "going on with plan" in told(answer) and not wire.errors(answer), answer
    assert is_valid(postgres, database)


def test_a_gateway_waits_no_longer_than_it_may_for_a_step(postgres, make_gateway, database):
    postgres.execute("CREATE FUNCTION slow(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN true; END'", database)
    gateway = make_gateway({"timeouts": {"shutdown": "1s"}})
    with gateway.login(database=database) as client:
        client.query("SET tidegate.ddl_mode = async")
        number = id_of(client.query("ALTER TABLE orders ADD CHECK (slow(qty))"))
        wait_until(lambda: [row for row in show_ddl(gateway) if "step 2 of 2" in row["step"]], what="it reads the table")
    gateway.may_end = True
    gateway.end()   # within the time it takes a gateway at most, and without a sanitizer's report
    assert state(postgres, database, number)[0] in ("running", "stopped"), "whether the news of it was written before the end"
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", database)


def test_a_gateway_that_is_killed(postgres, gateway, make_gateway, database):
    with held_back(postgres, gateway, database) as (number, _):
        gateway.may_end = True
        gateway.signal(signal.SIGKILL)
        assert state(postgres, database, number)[0] == "running"   # of a backend that is gone
    with make_gateway({"policies": {"ddl_mode": "async"}}).login(database=database) as client:
        wait_for(postgres, database, id_of(client.query(CHECK)), "done")
    assert is_valid(postgres, database)
    assert postgres.execute("SELECT count(*) FROM tidegate.plan", database) == [(1,)], "the plan was gone on with"


def test_a_server_connection_that_is_lost_is_made_again(postgres, gateway, database):
    with held_back(postgres, gateway, database) as (number, holder):
        ((pid,),) = postgres.execute(f"SELECT backend_pid FROM tidegate.background WHERE id = {number}", database)
        postgres.execute(f"SELECT pg_terminate_backend({pid})", database)
        wait_until(lambda: [row for row in show_ddl(gateway) if "tries again" in row["step"]], what="it rests")
        assert state(postgres, database, number)[:2] == ("queued", "57P01")
        holder.close()
        wait_for(postgres, database, number, "done")
    assert is_valid(postgres, database)


def test_who_is_killed_in_the_console_is_not_tried_again(postgres, gateway, database):
    with held_back(postgres, gateway, database) as (number, _):
        (row,) = show_ddl(gateway)
        with gateway.connect(user="postgres", dbname="tidegate") as admin:
            admin.execute(f"KILL_CLIENT {row['client']}")
        wait_for(postgres, database, number, "stopped")


# ---- defer ----

def deferring(gateway, database: str, **arguments) -> wire.Wire:
    return gateway.login(database=database, parameters={"options": "-c tidegate.ddl_mode=defer"}, **arguments)


def test_a_transaction_defers_what_it_adds(postgres, gateway, database):
    with deferring(gateway, database) as client:
        assert not wire.errors(client.query("BEGIN"))
        assert not wire.errors(client.query("ALTER TABLE orders ADD COLUMN more int"))
        ids = []
        for sql, tag in ((CHECK, "ALTER TABLE"), (INDEX, "CREATE INDEX")):
            answer = client.query(sql)
            assert [m.tag for m in answer if m.type == "C"] == [tag] and answer[-1].status == "T", answer
            assert "deferred until COMMIT" in told(answer), answer
            ids.append(id_of(answer))
            assert state(postgres, database, ids[-1])[0] == "deferred"
        assert not wire.errors(client.query("UPDATE orders SET more = 1 WHERE id = 1"))
        assert not is_valid(postgres, database)
        client.query("COMMIT")
        for number in ids:
            wait_for(postgres, database, number, "done")
        assert client.value("SELECT count(more) FROM orders") == "1"
    assert is_valid(postgres, database) and has_index(postgres, database)


def test_outside_a_transaction_defer_waits(postgres, gateway, database):
    with deferring(gateway, database) as client:
        assert "carried out in 2 steps" in told(client.query(CHECK))
        assert is_valid(postgres, database)


def test_what_is_rolled_back_is_withdrawn(postgres, gateway, database):
    with deferring(gateway, database) as client:
        client.query("BEGIN")
        all_of_it = id_of(client.query(CHECK))
        client.query("ROLLBACK")
        wait_for(postgres, database, all_of_it, "withdrawn")

        client.query("BEGIN")
        client.query("SAVEPOINT s")
        gone = id_of(client.query(CHECK))
        client.query("ROLLBACK TO s")
        stands = id_of(client.query(INDEX))
        client.query("COMMIT")
        wait_for(postgres, database, gone, "withdrawn")
        wait_for(postgres, database, stands, "done")
    assert not is_valid(postgres, database) and has_index(postgres, database)


def test_a_client_that_leaves_in_the_middle_has_asked_for_nothing(postgres, gateway, database):
    with deferring(gateway, database) as client:
        client.query("BEGIN")
        number = id_of(client.query(CHECK))
    wait_for(postgres, database, number, "withdrawn")
    assert not is_valid(postgres, database)


def test_a_client_that_leaves_after_its_commit_need_not_wait(postgres, gateway, database):
    client = deferring(gateway, database)
    client.query("BEGIN")
    number = id_of(client.query(CHECK))
    client.query("COMMIT")
    client.close()
    wait_for(postgres, database, number, "done")
    assert is_valid(postgres, database)


def test_a_transaction_that_is_only_prepared_is_not_anticipated(postgres, gateway, database):
    with deferring(gateway, database) as client:
        client.query("BEGIN")
        number = id_of(client.query(CHECK))
        client.query("PREPARE TRANSACTION 'background'")
        assert client.value("SELECT 1") == "1"
        assert state(postgres, database, number)[0] == "deferred" and not is_valid(postgres, database)
        assert "deferred_statement_unsettled" in gateway.output()
        client.query("ROLLBACK PREPARED 'background'")


def test_a_failed_transaction_withdraws(postgres, gateway, database):
    with deferring(gateway, database) as client:
        client.query("BEGIN")
        number = id_of(client.query(CHECK))
        assert wire.errors(client.query("SELECT 1/0")) == ["22012"]
        assert [m.tag for m in client.query("COMMIT") if m.type == "C"] == ["ROLLBACK"]
        wait_for(postgres, database, number, "withdrawn")


def test_nothing_is_deferred_by_a_transaction_that_may_not_write(gateway, database):
    with deferring(gateway, database) as client:
        client.query("BEGIN READ ONLY")
        assert wire.errors(client.query(CHECK)) == ["25006"]
        client.query("ROLLBACK")


def test_only_what_the_rest_does_not_need_is_deferred(gateway, database):
    with deferring(gateway, database) as client:
        for sql in ("ALTER TABLE orders ADD COLUMN token float8 DEFAULT random()", "ALTER TABLE orders ADD CHECK (qty > 0), ADD COLUMN n serial"):
            client.query("BEGIN")
            assert wire.errors(client.query(sql)) == ["25001"], sql
            client.query("ROLLBACK")


def test_a_driver_defers_by_the_extended_protocol(postgres, gateway, database):
    with gateway.connect(dbname=database, options="-c tidegate.ddl_mode=defer", autocommit=False) as client:
        client.execute("SELECT 1")
        client.execute(CHECK)
        client.execute(INDEX, prepare=True)
        client.commit()
    wait_until(lambda: is_valid(postgres, database) and has_index(postgres, database), timeout=30, what="both are there")


def test_a_policy_may_say_so_for_migrations(postgres, make_gateway, database):
    gateway = make_gateway({"policies": {"overrides": [{"applications": ["migrations"], "ddl_mode": "defer"}]}, "audit": {"file": "audit.jsonl"}})
    with gateway.connect(dbname=database, application_name="migrations") as client:
        with client.transaction():
            client.execute(CHECK)
        wait_until(lambda: is_valid(postgres, database), timeout=30, what="it is carried out")
    wait_until(lambda: (gateway.folder / "audit.jsonl").exists(), what="the audit log is written")
    actions = [json.loads(line)["action"] for line in (gateway.folder / "audit.jsonl").read_text().splitlines()]
    assert actions.count("postponed") == 1 and actions.count("planned") == 1, actions
