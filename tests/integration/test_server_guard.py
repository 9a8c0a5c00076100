"""The server guard: DDL that no gateway vouched for is refused by the database itself; what comes through one passes, whatever way
it takes."""

import os
import subprocess

import psycopg
import pytest

from support import wire
from support.gateway import binary
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

P, B, E = wire.parse, wire.bind, wire.execute

SCHEMA = """
CREATE TABLE items (id bigint PRIMARY KEY, note text, kind int);
INSERT INTO items SELECT n, 'note ' || n, n % 10 FROM generate_series(1, 20000) n;
CREATE TABLE small (id int PRIMARY KEY, note text);
CREATE MATERIALIZED VIEW totals AS SELECT kind, count(*) FROM items GROUP BY kind;
CREATE UNIQUE INDEX totals_kind ON totals (kind);
CREATE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE INDEX hidden_' || 'index ON small (note)'; RETURN 1; END $$;
CREATE FUNCTION hidden_sql() RETURNS void LANGUAGE sql AS 'ALTER TABLE small ADD hidden int';
CREATE PROCEDURE hidden_call() LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE small ADD hidden int; END $$;
CREATE FUNCTION scratch() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
  DROP TABLE IF EXISTS scratch;
  CREATE TEMP TABLE scratch (id serial PRIMARY KEY, kind int);
  INSERT INTO scratch (kind) SELECT kind FROM items LIMIT 7;
  CREATE TEMP TABLE more AS SELECT * FROM scratch;
  DROP TABLE more;
  SELECT count(*) INTO found FROM scratch;
  RETURN found;
END $$;
CREATE FUNCTION of_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE small ADD hidden int; RETURN NULL; END $$;
CREATE TABLE trapped (a int);
CREATE TRIGGER t AFTER INSERT ON trapped FOR EACH ROW EXECUTE FUNCTION of_trigger();
"""


@pytest.fixture(scope="module")
def roles(postgres):
    postgres.execute("CREATE ROLE keeper LOGIN; GRANT pg_monitor TO keeper; CREATE ROLE deploy LOGIN IN ROLE app; CREATE ROLE boss LOGIN SUPERUSER", "postgres")
    yield
    postgres.execute("DROP ROLE keeper; DROP ROLE deploy; DROP ROLE boss", "postgres")


@pytest.fixture
def database(postgres, roles):
    name = f"guarded_{os.getpid()}"
    postgres.execute(f"CREATE DATABASE {name} OWNER app", "postgres")
    postgres.execute("ALTER SCHEMA public OWNER TO app", name)
    with postgres.connect(user="app", dbname=name) as maker:
        maker.execute(SCHEMA)
    postgres.execute("ANALYZE", name)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def gateway(make_gateway):
    """Its control role is no superuser."""
    return make_gateway({"databases": {"*": {"control": {"user": "keeper"}}}})


@pytest.fixture
def pool(make_gateway):
    """One server for all clients."""
    return make_gateway({"databases": {"*": {"control": {"user": "keeper"}, "pool": {"mode": "transaction", "size": 1}}}})


def guard(postgres, database, action, *options, user="postgres", code=0) -> str:
    uri = f"postgresql://{user}@{postgres.host}:{postgres.port}/{database}"
    ran = subprocess.run([binary(), "guard", action, "--database", uri, *options], capture_output=True, text=True, timeout=60)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture
def guarded(postgres, database):
    assert "in force" in guard(postgres, database, "install", "--control-role", "keeper")
    return database


def sole_error(messages) -> dict[str, str]:
    found = [m.fields() for m in messages if m.type == "E"]
    assert len(found) == 1, messages
    return found[0]


def refused(messages) -> dict[str, str]:
    error = sole_error(messages)
    assert error["C"] == "42501" and "refused by the server guard" in error["M"], error
    return error


def succeeded(messages):
    assert not [m.fields() for m in messages if m.type == "E"]
    return messages


def columns(postgres, database, table="small") -> list[str]:
    return [name for name, in postgres.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                                               database, (table,))]


# -- round the gateway ----------------------------------------------------------------------------------------------------------


DIRECT = ["ALTER TABLE small ADD a int", "CREATE INDEX ON small (note)", "CREATE INDEX CONCURRENTLY ON small (note)", "DROP TABLE small",
          "CREATE TABLE made (a int)", "CREATE TABLE made AS SELECT 1 AS a", "SELECT 1 AS a INTO made", "CREATE VIEW made AS SELECT 1",
          "DROP INDEX totals_kind", "GRANT SELECT ON small TO PUBLIC", "COMMENT ON TABLE small IS 'x'", "REFRESH MATERIALIZED VIEW totals",
          "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE SCHEMA made", "DO $$ BEGIN ALTER TABLE small ADD a int; END $$",
          "CREATE SEQUENCE made", "ALTER TABLE small RENAME TO made", "DROP SCHEMA public CASCADE"]


@pytest.mark.parametrize("sql", DIRECT)
def test_ddl_of_a_direct_connection_is_refused(postgres, guarded, sql):
    for user in ("app", "postgres"):
        with postgres.connect(user=user, dbname=guarded) as direct, pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            direct.execute(sql)
        assert "did not pass a gateway" in error.value.diag.message_primary
        assert "no client of a gateway" in error.value.diag.message_detail or "where no gateway sees it" in error.value.diag.message_detail
        assert "tidegate guard install --allow-role" in error.value.diag.message_hint
    assert columns(postgres, guarded) == ["id", "note"]


def test_other_statements_of_a_direct_connection_pass(postgres, guarded):
    with postgres.connect(user="app", dbname=guarded) as direct:
        direct.execute("INSERT INTO small VALUES (1, 'x')")
        direct.execute("UPDATE small SET note = 'y'")
        direct.execute("TRUNCATE small")
        direct.execute("VACUUM small")
        direct.execute("ANALYZE small")
        direct.execute("LOCK TABLE small; SELECT 1")


def test_temporary_relations_are_nobody_elses_business(postgres, guarded):
    with postgres.connect(user="app", dbname=guarded) as direct:
        direct.execute("SET lock_timeout = '7s'")
        assert direct.execute("SELECT scratch()").fetchone() == (7,)
        assert direct.execute("SELECT scratch()").fetchone() == (7,)
        direct.execute("CREATE TEMP TABLE t (a serial); CREATE TEMP VIEW v AS SELECT * FROM t; SELECT 1 AS a INTO TEMP u; DROP TABLE u")
        direct.execute("DROP TABLE IF EXISTS not_there")
        direct.execute("CREATE TEMP TABLE keyed (a int PRIMARY KEY, b text UNIQUE CHECK (b <> ''))")
        direct.execute("BEGIN; SELECT scratch()")
        assert direct.execute("SHOW lock_timeout").fetchone() == ("7s",)
        direct.execute("COMMIT")
        assert direct.execute("SHOW lock_timeout").fetchone() == ("7s",)


@pytest.mark.parametrize("sql", ["CREATE INDEX ON t (a)", "ALTER TABLE t ADD b int", "DROP VIEW v"])
def test_what_is_done_to_temporary_relations_can_not_be_told_from_other_ddl(postgres, guarded, sql):
    """As docs/guard.md says."""
    with postgres.connect(user="app", dbname=guarded) as direct:
        direct.execute("CREATE TEMP TABLE t (a int); CREATE TEMP VIEW v AS SELECT 1 AS a")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            direct.execute(sql)


def test_a_refused_drop_waits_for_its_lock_only_a_moment(postgres, guarded):
    with postgres.connect(user="app", dbname=guarded) as reader, postgres.connect(user="app", dbname=guarded) as direct:
        reader.execute("BEGIN; SELECT * FROM small")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            direct.execute("DROP TABLE small")
        assert direct.execute("SHOW lock_timeout").fetchone() == ("0",)
        reader.execute("COMMIT")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            direct.execute("DROP TABLE small")
        assert direct.execute("SHOW lock_timeout").fetchone() == ("0",)


# -- what the gateway does not see ----------------------------------------------------------------------------------------------


HIDDEN = ["SELECT hidden()", "SELECT hidden_sql()", "CALL hidden_call()", "INSERT INTO trapped VALUES (1)", "DO $$ BEGIN PERFORM hidden(); END $$",
          "DO $$ BEGIN EXECUTE 'ALTER TABLE small ' || 'ADD hidden int'; END $$", "CREATE TABLE made AS SELECT hidden()",
          "SELECT hidden(); CREATE TABLE made (a int)", "CREATE TABLE made (a int); CALL hidden_call()"]


@pytest.mark.parametrize("sql", HIDDEN)
def test_ddl_that_a_statement_hides_is_refused(postgres, gateway, guarded, sql):
    with gateway.login(database=guarded) as client:
        error = refused(client.query(sql))
        assert "where no gateway sees it" in error["D"]
        # by the extended protocol as well
        if ";" not in sql.rstrip("; $END"):
            refused(client.sync(P(sql), B(), E()))
    assert columns(postgres, guarded) == ["id", "note"]
    assert postgres.execute("SELECT to_regclass('made'), to_regclass('hidden_index')", guarded) == [(None, None)]


def test_a_do_block_that_makes_up_sql_passes_where_the_policy_lets_it(make_gateway, guarded):
    gateway = make_gateway({"databases": {"*": {"control": {"user": "keeper"}}}, "policies": {"rules": {"do-block-ddl": "allow"}}})
    with gateway.login(database=guarded) as client:
        succeeded(client.query("DO $$ BEGIN EXECUTE 'ALTER TABLE small ' || 'ADD hidden int'; END $$"))


# -- through the gateway --------------------------------------------------------------------------------------------------------


PLAIN = {
    "new table": ["CREATE TABLE made (a int)"],
    "with comments around": ["/* a */ CREATE TABLE made (a int) /* b */;  -- c"],
    "not ASCII": ['CREATE TABLE "größe" (a int)', 'ALTER TABLE "größe" ADD "ö" int', 'DROP TABLE "größe"'],
    "guarded": ["ALTER TABLE items ADD a int"],
    "small": ["ALTER TABLE small ADD a int", "ALTER TABLE small DROP a"],
    "made concurrent": ["CREATE INDEX items_kind ON items (kind)", "DROP INDEX items_kind"],
    "written concurrently": ["CREATE INDEX CONCURRENTLY items_kind ON items (kind)", "REINDEX INDEX CONCURRENTLY items_kind", "DROP INDEX CONCURRENTLY items_kind"],
    "written concurrently, with a timeout": ["SET lock_timeout = '3s'", "CREATE INDEX CONCURRENTLY items_kind ON items (kind)"],
    "in steps": ["ALTER TABLE items ALTER note SET NOT NULL"],
    "in steps, filled": ["ALTER TABLE items ADD COLUMN token float8 DEFAULT random() NOT NULL"],
    "in steps, unique": ["ALTER TABLE items ADD CONSTRAINT one UNIQUE (id, kind)"],
    "in a transaction": ["BEGIN", "CREATE TABLE made (a int)", "ALTER TABLE items ADD a int", "ALTER TABLE made ADD b int", "COMMIT"],
    "in a repeatable read": ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM items", "CREATE TABLE made (a int)", "ALTER TABLE items ADD a int", "COMMIT"],
    "under a savepoint": ["BEGIN", "SAVEPOINT a", "CREATE TABLE made (a int)", "ROLLBACK TO a", "CREATE TABLE made (a int)", "COMMIT"],
    "several in a message": ["CREATE TABLE made (a int); ALTER TABLE items ADD a int; DROP TABLE made"],
    "among others in a message": ["SELECT 1; CREATE TABLE made (a int); INSERT INTO made VALUES (1); ALTER TABLE made ADD b int"],
    "a transaction in a message": ["BEGIN; CREATE TABLE made (a int); ALTER TABLE items ADD a int; COMMIT"],
    "a transaction begun in a message": ["BEGIN; CREATE TABLE made (a int)", "ALTER TABLE made ADD b int", "COMMIT", "DROP TABLE made"],
    "two transactions in a message": ["BEGIN; CREATE TABLE made (a int); ROLLBACK; CREATE TABLE made (b int)"],
    "a transaction ended in a message": ["BEGIN", "CREATE TABLE made (a int); COMMIT; ALTER TABLE made ADD b int"],
    "DO": ["DO $$ BEGIN CREATE TABLE made (a int); ALTER TABLE made ADD b int; END $$"],
    "rights and comments": ["GRANT SELECT ON small TO PUBLIC", "COMMENT ON TABLE small IS 'x'", "REVOKE SELECT ON small FROM PUBLIC"],
    "table of a query": ["CREATE TABLE made AS SELECT * FROM items", "SELECT * INTO made_too FROM made"],
    "refresh": ["REFRESH MATERIALIZED VIEW CONCURRENTLY totals", "REFRESH MATERIALIZED VIEW totals"],
    "schema with a table": ["CREATE SCHEMA made CREATE TABLE t (a int)"],
    "partitions": ["CREATE TABLE made (a int) PARTITION BY LIST (a)", "CREATE TABLE made_1 PARTITION OF made FOR VALUES IN (1)", "DROP TABLE made_1"],
    "function": ["CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'", "ALTER FUNCTION made() STABLE", "DROP FUNCTION made()"],
    "temporary": ["CREATE TEMP TABLE made (a int)", "ALTER TABLE made ADD b int", "CREATE INDEX ON made (b)", "DROP TABLE made"],
    "prepared by the protocol, run by SQL": [("p1", "ALTER TABLE small ADD a int"), "EXECUTE p1"],
}


@pytest.mark.parametrize("statements", PLAIN.values(), ids=PLAIN.keys())
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_what_comes_through_the_gateway_passes(gateway, pool, guarded, mode, statements):
    if mode == "transaction" and any("TEMP" in str(s) or str(s).startswith("SET ") for s in statements):
        pytest.skip("keeps its server: the same as in session mode")
    with (pool if mode == "transaction" else gateway).login(database=guarded) as client:
        for sql in statements:
            if isinstance(sql, tuple):
                succeeded(client.sync(P(sql[1], sql[0])))
            else:
                succeeded(client.query(sql))


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_the_extended_protocol_passes(gateway, pool, guarded, mode):
    with (pool if mode == "transaction" else gateway).login(database=guarded) as client:
        for sql in ("CREATE TABLE made (a int)", "ALTER TABLE items ADD a int", "CREATE INDEX items_kind ON items (kind)", "ALTER TABLE items ALTER note SET NOT NULL",
                    "DROP TABLE made", "CREATE INDEX CONCURRENTLY again ON items (kind)"):
            succeeded(client.sync(P(sql), B(), E()))
        # prepared once, run twice, with something else between
        succeeded(client.sync(P("CREATE TABLE IF NOT EXISTS twice (a int)", "again")))
        succeeded(client.sync(B("again"), E()))
        succeeded(client.query("DROP TABLE twice"))
        succeeded(client.sync(B("again"), E()))
        # one batch
        succeeded(client.sync(P("CREATE TABLE b1 (a int)"), B(), E(), P("SELECT 1"), B(), E(), P("ALTER TABLE b1 ADD b int"), B(), E(),
                              P("ALTER TABLE items ADD b int"), B(), E()))
        # and one inside a transaction
        succeeded(client.query("BEGIN"))
        succeeded(client.sync(P("CREATE TABLE b2 (a int)"), B(), E(), P("ALTER TABLE b2 ADD b int"), B(), E()))
        succeeded(client.query("COMMIT"))


def test_another_encoding_passes(gateway, guarded):
    with gateway.login(database=guarded, parameters={"client_encoding": "LATIN1"}) as client:
        succeeded(client.query('CREATE TABLE "größe" (a int)'.encode("latin-1")))
        succeeded(client.sync(P('ALTER TABLE "größe" ADD "ö" int'.encode("latin-1")), B(), E()))


def test_extensions_and_other_event_triggers_run_their_own_ddl(postgres, gateway, guarded):
    postgres.execute("UPDATE tidegate_guard.settings SET mode = 'observe'", guarded)
    postgres.execute("CREATE FUNCTION note_it() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN COMMENT ON SCHEMA public IS 'changed'; END $$; "
                     "CREATE EVENT TRIGGER note_it ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION note_it()", guarded)
    postgres.execute("UPDATE tidegate_guard.settings SET mode = 'enforce'", guarded)
    with gateway.login(user="postgres", database=guarded) as client:
        succeeded(client.query("CREATE EXTENSION pg_trgm" if postgres.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'") else "SELECT 1"))
        succeeded(client.query("CREATE TABLE made (a int)"))
        succeeded(client.query("CREATE TABLE made_1 (a int); CREATE TABLE made_2 (a int)"))
    assert postgres.execute("SELECT obj_description('public'::regnamespace)", guarded) == [("changed",)]


def test_the_ledger_of_plans_is_made_under_guard(postgres, gateway, guarded):
    postgres.execute(f"GRANT CREATE ON DATABASE {guarded} TO keeper", "postgres")
    with gateway.login(database=guarded) as client:
        messages = succeeded(client.query("ALTER TABLE items ALTER note SET NOT NULL"))
    assert not [m for m in messages if m.type == "N" and "written down" in m.fields()["M"]]
    assert postgres.execute("SELECT state FROM tidegate.plan", guarded) == [("done",)]


def test_dropped_foreign_keys_and_their_way_back_are_vouched_for(postgres, make_gateway, guarded):
    postgres.execute("UPDATE tidegate_guard.settings SET mode = 'observe'", guarded)
    postgres.execute("CREATE TABLE links (item bigint REFERENCES items, other int REFERENCES small); ALTER TABLE links OWNER TO app; "
                     "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table') "
                     "THEN RAISE 'not today'; END IF; END$$; CREATE EVENT TRIGGER no ON sql_drop EXECUTE FUNCTION no()", guarded)
    postgres.execute("UPDATE tidegate_guard.settings SET mode = 'enforce'", guarded)
    gateway = make_gateway({"databases": {"*": {"control": {"user": "keeper"}}}, "policies": {"rules": {"drop-table": "allow"}}})
    keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass('links') AND convalidated AND contype = 'f'"
    with gateway.login(database=guarded) as client:
        answer = client.query("DROP TABLE links", timeout=60)
        assert [m.fields()["M"] for m in answer if m.type == "E"] == ["not today"]
        assert postgres.execute(keys, guarded) == [(2,)], "both are back"
        postgres.execute("ALTER EVENT TRIGGER no DISABLE", guarded)
        succeeded(client.query("DROP TABLE links", timeout=60))
    assert postgres.execute("SELECT to_regclass('links')", guarded) == [(None,)]


def test_in_observe_mode_the_gateway_vouches_too(make_gateway, guarded):
    gateway = make_gateway({"databases": {"*": {"control": {"user": "keeper"}}}, "policies": {"mode": "observe"}})
    with gateway.login(database=guarded) as client:
        succeeded(client.query("CREATE INDEX ON items (kind)"))


def test_two_gateways_vouch_alike(gateway, make_gateway, guarded):
    other = make_gateway({"databases": {"*": {"control": {"user": "postgres"}}}})
    for each in (gateway, other):
        with each.login(database=guarded) as client:
            succeeded(client.query("ALTER TABLE small ADD a int"))
            succeeded(client.query("ALTER TABLE small DROP a"))


# -- tokens ---------------------------------------------------------------------------------------------------------------------


def steal(client) -> tuple[str, str]:
    """A vouch, as a client sees it: with the text that it is for."""
    text = "CREATE TABLE stolen (a int)"
    succeeded(client.query("BEGIN"))
    succeeded(client.query(text))
    token = client.value("SELECT current_setting('tidegate.vouch', true)")
    succeeded(client.query("ROLLBACK"))
    assert len(token) > 60
    return token, text


def test_a_stolen_vouch_is_good_for_nothing(postgres, gateway, guarded):
    with gateway.login(database=guarded) as client, postgres.connect(user="app", dbname=guarded) as direct:
        token, text = steal(client)
        # another session, the same text
        direct.execute("SELECT set_config('tidegate.vouch', %s, false)", (token,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            direct.execute(text)
        assert "another statement or another session" in error.value.diag.message_detail
        # the same session, another text, which hides the same statement
        client.query(f"SET tidegate.vouch = '{token}'")
        refused(client.query("SELECT hidden()"))
        refused(client.query("DO $$ BEGIN EXECUTE 'CREATE TABLE stolen ' || '(a int)'; END $$"))
        # made to cover more than it does
        own = client.value("SELECT hidden_token FROM (SELECT replace(current_setting('tidegate.vouch'), 'all:', 'own:') AS hidden_token) x")
        client.query(f"SET tidegate.vouch = '{own}'")
        refused(client.query("SELECT hidden()"))


def test_an_execute_that_means_something_else_meanwhile_is_refused(gateway, guarded):
    with gateway.login(database=guarded) as client:
        succeeded(client.sync(P("CREATE TABLE IF NOT EXISTS made (a int)", "p")))
        succeeded(client.query("BEGIN"))
        succeeded(client.query("EXECUTE p"))
        token = client.value("SELECT current_setting('tidegate.vouch', true)")
        succeeded(client.query("COMMIT"))
        succeeded(client.query("DEALLOCATE p"))
        succeeded(client.query("PREPARE p AS SELECT hidden()"))
        succeeded(client.query(f"SET tidegate.vouch = '{token}'"))
        refused(client.query("EXECUTE p"))


@pytest.mark.parametrize("sql", ["CREATE TABLE made (a int)", "CREATE INDEX CONCURRENTLY i ON items (kind)", "CREATE INDEX i ON items (kind)", "ALTER TABLE items ADD a int",
                                 "BEGIN; CREATE TABLE made (a int); COMMIT", "SELECT 1; ALTER TABLE items ADD a int"])
def test_no_vouch_is_left_behind(pool, guarded, sql):
    with pool.login(database=guarded) as client, pool.login(database=guarded) as other:
        succeeded(client.query(sql))
        assert not client.value("SELECT current_setting('tidegate.vouch', true)")
        assert not other.value("SELECT current_setting('tidegate.vouch', true)")
        succeeded(client.sync(P("CREATE TABLE extended (a int)"), B(), E()))
        assert not other.value("SELECT current_setting('tidegate.vouch', true)")
        assert client.value("SELECT pg_backend_pid()") == other.value("SELECT pg_backend_pid()")


def test_a_transaction_that_the_message_began_takes_its_vouch_along(pool, guarded):
    with pool.login(database=guarded) as client, pool.login(database=guarded) as other:
        for end in ("COMMIT", "ROLLBACK"):
            succeeded(client.query("BEGIN; CREATE TABLE IF NOT EXISTS made (a int)"))
            succeeded(client.query(end))
            assert not other.value("SELECT current_setting('tidegate.vouch', true)")


def test_the_secret_and_the_tokens_are_for_the_control_role_alone(postgres, guarded):
    with postgres.connect(user="app", dbname=guarded) as app, postgres.connect(user="keeper", dbname=guarded) as keeper:
        for sql in ("SELECT * FROM tidegate_guard.settings", "SELECT tidegate_guard.token(1, 'all', '')", "SELECT tidegate_guard.hmac('', '')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(sql)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            keeper.execute("SELECT * FROM tidegate_guard.settings")
        assert keeper.execute("SELECT tidegate_guard.token(pg_backend_pid(), 'own', '')").fetchone()[0].startswith("own:")
        assert keeper.execute("SELECT tidegate_guard.token(-1, 'own', '')").fetchone() == (None,)


def test_default_privileges_open_nothing(postgres, database):
    postgres.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO app; "
                     "ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO app", database)
    assert "in force" in guard(postgres, database, "install")
    with postgres.connect(user="app", dbname=database) as app:
        for sql in ("SELECT * FROM tidegate_guard.settings", "SELECT tidegate_guard.token(1, 'all', '')", "CREATE TABLE tidegate_guard.mine (a int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(sql)


def test_the_secret_is_not_logged(postgres, database):
    begin = postgres.log.stat().st_size
    postgres.execute("ALTER SYSTEM SET log_statement = 'all'", "postgres")
    postgres.execute("SELECT pg_reload_conf()", "postgres")
    try:
        wait_until(lambda: postgres.execute("SHOW log_statement", "postgres") == [("all",)], what="the setting is in force")
        guard(postgres, database, "install")
        secret = postgres.execute("SELECT encode(secret, 'hex') FROM tidegate_guard.settings", database)[0][0]
    finally:
        postgres.execute("ALTER SYSTEM RESET log_statement", "postgres")
        postgres.execute("SELECT pg_reload_conf()", "postgres")
    logged = postgres.log.read_bytes()[begin:].decode(errors="replace")
    assert "log_statement" in logged and len(secret) == 64
    assert secret not in logged


# -- who passes -----------------------------------------------------------------------------------------------------------------


def test_an_allowed_role_passes_by_its_login_alone(postgres, database):
    guard(postgres, database, "install", "--allow-role", "deploy")
    with postgres.connect(user="deploy", dbname=database) as deploy:
        deploy.execute("SET ROLE app")
        deploy.execute("ALTER TABLE small ADD a int")
        deploy.execute("SELECT hidden()")
        deploy.execute("CREATE FUNCTION as_owner() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN ALTER TABLE small ADD b int; END $$")
    # whoever becomes that role, or runs a function of its making, does not
    postgres.execute("CREATE ROLE other LOGIN IN ROLE deploy", "postgres")
    try:
        with postgres.connect(user="other", dbname=database) as other:
            other.execute("SET ROLE deploy")
            for sql in ("ALTER TABLE small ADD c int", "SELECT as_owner()"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    other.execute(sql)
    finally:
        postgres.execute("DROP ROLE other", "postgres")


def test_replication_and_an_emergency_pass(postgres, guarded):
    with postgres.connect(dbname=guarded) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("ALTER TABLE small ADD a int")
        admin.execute("RESET session_replication_role")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            admin.execute("ALTER TABLE small ADD b int")
        admin.execute("UPDATE tidegate_guard.settings SET mode = 'observe'")
        notices = []
        admin.add_notice_handler(lambda diagnostic: notices.append((diagnostic.severity, diagnostic.message_primary)))
        admin.execute("ALTER TABLE small ADD b int")
        assert notices == [("WARNING", "ALTER TABLE did not pass a gateway: the server guard (tidegate) would refuse it")]


def test_a_snapshot_older_than_the_guard_is_refused(postgres, database):
    with postgres.connect(user="app", dbname=database) as old:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        guard(postgres, database, "install")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            old.execute("ALTER TABLE small ADD a int")
        assert "after this transaction took its snapshot" in error.value.diag.message_detail


# -- the command ----------------------------------------------------------------------------------------------------------------


def test_it_comes_and_goes_under_a_running_gateway(postgres, gateway, database):
    with gateway.login(database=database) as client:
        succeeded(client.query("ALTER TABLE small ADD a int"))
        guard(postgres, database, "install", "--control-role", "keeper")
        succeeded(client.query("ALTER TABLE small ADD b int"))
        guard(postgres, database, "install")     # a new secret, the same roles
        succeeded(client.query("ALTER TABLE small ADD c int"))
        assert "removed" in guard(postgres, database, "remove")
        succeeded(client.query("ALTER TABLE small ADD d int"))
        assert not client.value("SELECT current_setting('tidegate.vouch', true)")
    assert postgres.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate_guard'", database) == [(0,)]
    assert postgres.execute("SELECT count(*) FROM pg_event_trigger", database) == [(0,)]
    assert "no server guard" in guard(postgres, database, "remove")
    assert "no server guard" in guard(postgres, database, "status", code=1)


def test_a_second_install_keeps_what_is_not_said(postgres, database):
    guard(postgres, database, "install", "--control-role", "keeper", "--allow-role", "deploy", "--allow-role", "app", "--mode", "observe")
    assert guard(postgres, database, "status", code=1).endswith(
        "server guard observing: it warns and refuses nothing\n  may ask for vouches: superusers, keeper\n  pass without a vouch: app, deploy\n")
    before = postgres.execute("SELECT secret FROM tidegate_guard.settings", database)
    assert "app, deploy" in guard(postgres, database, "install", "--mode", "enforce")
    assert postgres.execute("SELECT secret FROM tidegate_guard.settings", database) != before
    assert guard(postgres, database, "install", "--allow-role", "").endswith(
        "server guard in force\n  may ask for vouches: superusers, keeper\n  pass without a vouch: none\n")
    guard(postgres, database, "install", user="boss")    # another superuser takes it over
    assert "in force" in guard(postgres, database, "status")


def test_status_does_not_claim_what_it_can_not_see(postgres, database):
    for mode in ("observe", "enforce"):
        guard(postgres, database, "install", "--mode", mode)
        told = guard(postgres, database, "status", user="app", code=1)
        assert "in force" not in told and "not to be seen by role app" in told


def test_install_says_what_is_wrong(postgres, database):
    told = guard(postgres, database, "install", user="app", code=3)
    assert "(42501)" in told and "-> event triggers are made by superusers" in told
    assert 'role nobody_there does not exist (42704)' in guard(postgres, database, "install", "--allow-role", "nobody_there", code=3)
    assert "expected enforce or observe" in guard(postgres, database, "install", "--mode", "on", code=2)
    assert "(08006)" in guard(type("Nowhere", (), {"host": "127.0.0.1", "port": 1})(), database, "status", code=3)
    assert postgres.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'tidegate_guard'", database) == [(0,)]


def test_a_schema_that_somebody_else_made_is_not_trusted(postgres, gateway, database):
    with postgres.connect(user="app", dbname=database) as app:
        app.execute("CREATE SCHEMA tidegate_guard; CREATE FUNCTION tidegate_guard.token(integer, text, bytea) RETURNS text LANGUAGE plpgsql AS "
                    "$$ BEGIN CREATE TABLE public.caught (a int); RETURN 'all:'; END $$; GRANT USAGE ON SCHEMA tidegate_guard TO PUBLIC")
    told = guard(postgres, database, "install", code=3)
    assert "belongs to role app" in told and "(55000)" in told
    assert "is not the guard's" in guard(postgres, database, "remove", code=3)
    with gateway.login(database=database) as client:
        succeeded(client.query("ALTER TABLE small ADD a int"))
    assert postgres.execute("SELECT to_regclass('public.caught')", database) == [(None,)]


TAMPERED = {
    "ALTER EVENT TRIGGER tidegate_guard_start DISABLE": "tidegate_guard_start is disabled",
    "DROP EVENT TRIGGER tidegate_guard_drop": "tidegate_guard_drop is missing",
    "ALTER EVENT TRIGGER tidegate_guard_end ENABLE REPLICA": "fires for replication only",
    "CREATE OR REPLACE FUNCTION tidegate_guard.check_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$": "check_ddl() was altered",
    "GRANT SELECT ON tidegate_guard.settings TO app": "is open to others",
    "GRANT CREATE ON SCHEMA tidegate_guard TO app": "others may make objects",
    "GRANT EXECUTE ON FUNCTION tidegate_guard.token TO PUBLIC": "may be called by everybody",
    "DELETE FROM tidegate_guard.settings": "does not hold one row",
}


@pytest.mark.parametrize("sql", TAMPERED.keys())
def test_status_tells_what_was_tampered_with(postgres, guarded, sql):
    with postgres.connect(dbname=guarded) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(sql)
    assert TAMPERED[sql] in guard(postgres, guarded, "status", code=1)
    assert "problem" not in guard(postgres, guarded, "install")
    assert "keeper" in guard(postgres, guarded, "status")


def test_without_the_right_to_vouch_the_gateway_says_so(postgres, gateway, database):
    guard(postgres, database, "install")
    with gateway.login(database=database) as client:
        error = refused(client.query("ALTER TABLE small ADD a int"))
        assert "could not vouch" in error["D"] and "tidegate doctor" in error["H"]
        refused(client.query("CREATE TABLE made (a int)"))
        assert client.query("SELECT 1")
    wait_until(lambda: "guard_unusable" in gateway.output(), what="the log says so")


def test_doctor_tells_of_the_guard(postgres, make_gateway, database):
    gateway = make_gateway({"databases": {database: {"host": postgres.host, "port": postgres.port, "control": {"user": "keeper"}}}})

    def doctor():
        return subprocess.run([binary(), "doctor", "--config", str(gateway.file)], capture_output=True, text=True, timeout=60).stdout
    assert "no server guard is installed" in doctor()
    guard(postgres, database, "install")
    assert "problem the server guard refuses DDL through this gateway: the control role keeper" in doctor()
    guard(postgres, database, "install", "--control-role", "keeper")
    assert "the server guard is installed: DDL that goes round the gateway is refused" in doctor()
    for name in ("start", "end", "drop"):
        postgres.execute(f"ALTER EVENT TRIGGER tidegate_guard_{name} DISABLE", database)
    assert "its event triggers are disabled" in doctor()
    assert "GRANT postgres TO" not in doctor()   # whose table the settings are
