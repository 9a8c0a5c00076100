"""What applications do with PostgreSQL, through the gateway: the whole breadth, each once."""

import io
import json
import os
import select
import subprocess
import threading

import psycopg
import psycopg2
import pytest

from support import wire
from support.postgres import DEBIAN_BINARIES
from support.process import free_port, wait_until

pytestmark = pytest.mark.usefixtures("bystander")


@pytest.fixture
def client(target):
    with target.connect() as connection:
        yield connection


@pytest.fixture
def table(postgres):
    """A table of 10,000 rows that `app` owns, with a name of its own."""
    name = "features"
    postgres.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int PRIMARY KEY, body text); "
                     f"INSERT INTO {name} SELECT n, 'row ' || n FROM generate_series(1, 10000) n; ALTER TABLE {name} OWNER TO app")
    yield name
    postgres.execute(f"DROP TABLE IF EXISTS {name}")


def program(name: str, *arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([DEBIAN_BINARIES / name, *arguments], capture_output=True, text=True, timeout=60,
                          env=os.environ | {"PGSSLMODE": "disable"}, **options)


# -- queries ----------------------------------------------------------------------------------------------------------------------


def test_transactions_and_savepoints(client, table):
    with client.transaction():
        client.execute(f"UPDATE {table} SET body = 'changed' WHERE id = 1")
        with pytest.raises(psycopg.errors.DivisionByZero):
            with client.transaction():
                client.execute("SELECT 1/0")
        assert client.execute(f"SELECT body FROM {table} WHERE id = 1").fetchone() == ("changed",)


def test_prepared_statements(client, table):
    for number in range(1, 50):
        row = client.execute(f"SELECT body FROM {table} WHERE id = %s", (number,), prepare=True).fetchone()
        assert row == (f"row {number}",)
    assert client.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0] >= 1


def test_prepared_statement_after_a_change_of_its_table(target, client, table):
    """PostgreSQL says that the cached plan must not change its result type; psycopg describes each portal, and need not hear of it."""
    client.prepare_threshold = 0
    assert len(client.execute(f"SELECT * FROM {table} WHERE id = 1").fetchone()) == 2
    client.execute(f"ALTER TABLE {table} ADD COLUMN added int")
    if target.direct:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            client.execute(f"SELECT * FROM {table} WHERE id = 1")
    else:
        assert len(client.execute(f"SELECT * FROM {table} WHERE id = 1").fetchone()) == 3


def test_pipeline_mode(client, table):
    with client.pipeline() as pipeline:
        cursors = [client.execute(f"SELECT body FROM {table} WHERE id = %s", (number,)) for number in range(1, 200)]
        pipeline.sync()
        assert [cursor.fetchone()[0] for cursor in cursors] == [f"row {number}" for number in range(1, 200)]


def test_server_side_cursor(target, table):
    with target.connect(autocommit=False) as connection:
        with connection.cursor(name="reader") as cursor:
            cursor.itersize = 500
            cursor.execute(f"SELECT id FROM {table} ORDER BY id")
            assert [row[0] for row in cursor] == list(range(1, 10_001))


def test_cursor_with_hold_outlives_its_transaction(client, table):
    client.execute("BEGIN")
    client.execute(f"DECLARE held CURSOR WITH HOLD FOR SELECT id FROM {table} ORDER BY id")
    client.execute("COMMIT")
    assert client.execute("FETCH 2 FROM held").fetchall() == [(1,), (2,)]


def test_psycopg2_speaks_the_simple_protocol(target, table):
    connection = psycopg2.connect(**target.address())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table} WHERE body LIKE %s", ("row 1%",))
            assert cursor.fetchone() == (1112,)
            cursor.copy_expert(f"COPY {table} TO STDOUT", sink := io.StringIO())
            assert len(sink.getvalue().splitlines()) == 10_000
    finally:
        connection.close()


def test_session_settings_stay_in_their_session(target):
    with target.connect() as one, target.connect() as other:
        one.execute("SET search_path = one_alone; SET work_mem = '5MB'; SET ROLE app; CREATE TEMP TABLE mine (a int)")
        assert other.execute("SHOW search_path").fetchone() != ("one_alone",)
        assert one.execute("SHOW work_mem").fetchone() == ("5MB",)
        assert other.execute("SELECT to_regclass('pg_temp.mine')").fetchone() == (None,)


def test_advisory_locks_belong_to_the_session(target):
    with target.connect() as one, target.connect() as other:
        assert one.execute("SELECT pg_try_advisory_lock(42)").fetchone() == (True,)
        assert other.execute("SELECT pg_try_advisory_lock(42)").fetchone() == (False,)
        one.close()
        wait_until(lambda: other.execute("SELECT pg_try_advisory_lock(42)").fetchone() == (True,), what="the lock goes with its session")


def test_two_phase_commit(client, table):
    client.execute("BEGIN")
    client.execute(f"DELETE FROM {table} WHERE id = 1")
    client.execute("PREPARE TRANSACTION 'through the gateway'")
    client.execute("COMMIT PREPARED 'through the gateway'")
    assert client.execute(f"SELECT count(*) FROM {table}").fetchone() == (9_999,)


def test_notices_reach_the_client(client):
    heard = []
    client.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    client.execute("DO $$ BEGIN RAISE NOTICE 'from inside'; END $$")
    assert heard == ["from inside"]


def test_errors_keep_their_fields(client, table):
    with pytest.raises(psycopg.errors.UniqueViolation) as refusal:
        client.execute(f"INSERT INTO {table} VALUES (1, 'again')")
    assert refusal.value.diag.constraint_name == f"{table}_pkey"
    assert refusal.value.diag.table_name == table
    with pytest.raises(psycopg.errors.SyntaxError) as refusal:
        client.execute("SELECT 1 FROM FROM x")
    assert refusal.value.diag.statement_position == "15"


def test_client_encodings(target):
    with target.connect(client_encoding="latin1") as connection:
        assert connection.execute("SELECT 'caf' || chr(233)").fetchone() == ("café",)
    with target.login(parameters={"client_encoding": "SJIS"}) as raw:   # its second bytes include the backslash
        assert raw.query("SELECT '表'".encode("sjis"))[1].body.endswith("表".encode("sjis"))
    with target.login(parameters={"client_encoding": "LATIN1"}) as raw:
        assert wire.types(raw.query(b"SELECT '\xe9'")) == "TDCZ"


# -- LISTEN, large objects, COPY ----------------------------------------------------------------------------------------------------


def test_listen_and_notify(target):
    with target.connect() as listener, target.connect() as sender:
        listener.execute('LISTEN "a channel"')
        notifications = listener.notifies()
        threading.Timer(0.2, lambda: sender.execute("""SELECT pg_notify('a channel', 'payload')""")).start()
        notification = next(notifications)
        assert (notification.channel, notification.payload) == ("a channel", "payload")
        assert notification.pid == sender.info.backend_pid
        notifications.close()


def test_notification_reaches_an_idle_listener_unasked(target):
    with target.login() as listener, target.login() as sender:
        listener.query("LISTEN idle")
        sender.query("NOTIFY idle, 'now'")
        assert listener.read(5).type == "A"


def test_large_objects(target):
    connection = psycopg2.connect(**target.address())
    try:
        data = os.urandom(3_000_000)
        large = connection.lobject(0, "wb")
        large.write(data)
        large.close()
        assert connection.lobject(large.oid, "rb").read() == data
        connection.lobject(large.oid).unlink()
        connection.commit()
    finally:
        connection.close()


@pytest.mark.parametrize("form", ["TEXT", "CSV", "BINARY"])
def test_copy_both_ways(client, table, form):
    with client.cursor() as cursor:
        with cursor.copy(f"COPY {table} TO STDOUT (FORMAT {form})") as copy:
            data = b"".join(copy)
        client.execute(f"CREATE TEMP TABLE copied (LIKE {table})")
        with cursor.copy(f"COPY copied FROM STDIN (FORMAT {form})") as copy:
            copy.write(data)
        assert client.execute(f"SELECT count(*) FROM (TABLE {table} EXCEPT TABLE copied) x").fetchone() == (0,)


@pytest.mark.slow
def test_big_copy_streams_with_bounded_memory(target, client):
    client.execute("CREATE TEMP TABLE big (a text)")
    line = "x" * 9_999 + "\n"
    before = target.resident()
    with client.cursor() as cursor:
        with cursor.copy("COPY big FROM STDIN") as copy:
            for _ in range(20_000):
                copy.write(line)
        assert target.resident() - before < 16 << 20
        with cursor.copy("COPY big TO STDOUT") as copy:
            assert sum(len(chunk) for chunk in copy) == 200_000_000
    assert target.resident() - before < 16 << 20


# -- programs of PostgreSQL ----------------------------------------------------------------------------------------------------------


def test_psql(target, postgres, table):
    ended = program("psql", "-X", "-At", "-d", target.uri(), "-c", r"\d " + table, "-c", f"SELECT count(*) FROM {table}", "-c", r"\conninfo")
    assert ended.returncode == 0, ended.stderr
    assert "10000" in ended.stdout and f'port "{target.port}"' in ended.stdout


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(target, postgres, mode):
    assert program("pgbench", "-i", "-q", "-s", "1", target.uri()).returncode == 0
    ended = program("pgbench", "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "100", target.uri())
    assert ended.returncode == 0, ended.stderr
    assert "400/400" in ended.stdout and "number of failed transactions: 0" in ended.stdout
    postgres.execute("DROP TABLE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers")


def test_pg_dump_and_restore(target, postgres, table, tmp_path):
    postgres.execute(f"CREATE INDEX ON {table} (body); ALTER TABLE {table} ADD CONSTRAINT checked CHECK (id > 0)")
    dump = tmp_path / "dump"
    ended = program("pg_dump", "-Fd", "-j", "2", "-f", dump, "-t", table, target.uri())
    assert ended.returncode == 0, ended.stderr
    postgres.execute("CREATE DATABASE restored OWNER app", "postgres")
    ended = program("pg_restore", "-j", "4", "--no-owner", "-d", target.uri(dbname="restored"), dump)
    assert ended.returncode == 0, ended.stderr
    assert postgres.execute(f"SELECT count(*) FROM {table}", "restored") == [(10_000,)]
    script = program("pg_dump", "-t", table, target.uri()).stdout
    postgres.execute(f"DROP TABLE {table}", "restored")
    ended = program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", target.uri(dbname="restored"), input=script)
    assert ended.returncode == 0, ended.stderr


def test_pg_basebackup(target, postgres, tmp_path):
    folder = tmp_path / "backup"
    ended = program("pg_basebackup", "-D", folder, "-X", "stream", "-c", "fast", "-d", target.uri(user="postgres", dbname="postgres"))
    assert ended.returncode == 0, ended.stderr
    assert (folder / "PG_VERSION").exists()


def test_pg_receivewal(target, postgres, tmp_path):
    postgres.execute("SELECT pg_switch_wal()")   # it begins with the segment of the moment
    (position,), = postgres.execute("SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'some', 'record')::text")
    ended = program("pg_receivewal", "-D", tmp_path, "--no-loop", "--endpos", position, "-d", target.uri(user="postgres", dbname="postgres"))
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.iterdir())


def test_logical_replication(target, postgres, table, tmp_path):
    slot = "through_the_gateway"
    address = target.uri(user="postgres")
    assert program("pg_recvlogical", "-d", address, "--slot", slot, "--create-slot", "-P", "test_decoding").returncode == 0
    try:
        postgres.execute(f"SET synchronous_commit = on; INSERT INTO {table} VALUES (10001, 'decoded')")
        (position,), = postgres.execute("SELECT pg_current_wal_lsn()")
        output = tmp_path / "changes"
        ended = program("pg_recvlogical", "-d", address, "--slot", slot, "--start", "--no-loop", "--endpos", position, "-f", output)
        assert ended.returncode == 0, ended.stderr
        assert "decoded" in output.read_text()
    finally:
        wait_until(lambda: postgres.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", parameters=(slot,)) == [(False,)], what="the slot is free")
        assert program("pg_recvlogical", "-d", address, "--slot", slot, "--drop-slot").returncode == 0


# -- addresses ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.gateway_only
def test_unix_sockets_on_both_sides(make_gateway, postgres, tmp_path):
    port = free_port()
    gateway = make_gateway({"listen": [{"address": "127.0.0.1", "port": port}, {"socket": str(tmp_path / f".s.PGSQL.{port}")}],
                            "databases": {"*": {"host": str(postgres.sockets)}}})
    with psycopg.connect(gateway.uri(host=str(tmp_path))) as connection:
        assert connection.execute("SELECT inet_client_addr()").fetchone() == (None,)
    with gateway.login() as client:
        assert client.value("SELECT 1") == "1"


@pytest.mark.gateway_only
def test_several_listeners_and_ipv6(make_gateway, postgres):
    other = free_port()
    gateway = make_gateway({"listen": [{"address": "127.0.0.1", "port": free_port()}, {"address": "::1", "port": other}]})
    with psycopg.connect(gateway.uri(host="::1", port=other)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.gateway_only
def test_database_under_another_name(make_gateway, postgres):
    server = {"host": postgres.host, "port": postgres.port, "control": {"user": "postgres"}}
    gateway = make_gateway({"databases": {"*": None, "shop": server | {"dbname": "app"}}})
    with gateway.login("app", "shop") as raw:
        assert raw.value("SELECT current_database()") == "app"
    with pytest.raises(wire.LoginRefused) as refusal:
        gateway.login("app", "app")
    assert refusal.value.sqlstate == "3D000"


def test_select_while_asking_and_receiving(client):
    """Readiness and non-blocking use, as event loops do it."""
    connection = client.pgconn
    connection.send_query(b"SELECT pg_sleep(0.1)")
    while connection.is_busy():
        select.select([connection.socket], [], [], 5)
        connection.consume_input()
    assert connection.get_result().status == psycopg.pq.ExecStatus.TUPLES_OK
    assert connection.get_result() is None


def test_json_and_arrays_in_binary(client):
    assert client.cursor(binary=True).execute("SELECT %s::jsonb, ARRAY[1, 2, NULL]::int[]", (json.dumps({"a": 1}),)).fetchone() == ({"a": 1}, [1, 2, None])
