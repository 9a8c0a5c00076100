"""`tidegate check --rehearse`: migrations run on a copy, and what others would have felt."""

import json
import os
import signal
import subprocess

import pytest

from support import process
from support.gateway import binary

pytestmark = pytest.mark.gateway_only

DATABASE = "rehearsed"


@pytest.fixture(autouse=True)
def copy(postgres):
    postgres.execute(f"CREATE DATABASE {DATABASE} OWNER app", "postgres")
    with postgres.connect(user="app", dbname=DATABASE) as owner:
        owner.execute("CREATE TABLE orders (id int PRIMARY KEY, qty int, note text); INSERT INTO orders SELECT n, n, 'n' FROM generate_series(1, 200000) n; "
                      "CREATE INDEX by_note ON orders (note); CREATE TABLE empty (a int); ANALYZE orders")
    yield
    postgres.drop_database(DATABASE)


class Rehearsed:
    def __init__(self, postgres, folder, files: dict[str, str], *arguments: str, uri: str | None = None, environment: dict | None = None):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        uri = uri or f"postgresql://app@{postgres.host}:{postgres.port}/{DATABASE}"
        paths = [argument for argument in arguments if not argument.startswith("-")] or sorted({name.split("/")[0] for name in files})
        options = [argument for argument in arguments if argument.startswith("-")]
        self.run = subprocess.run([binary(), "check", "--rehearse", uri, *(options or ["--format=json"]), *paths], cwd=folder, capture_output=True,
                                  text=True, timeout=120, env={**os.environ, **(environment or {})})
        self.code = self.run.returncode
        self.messages = json.loads(self.run.stdout)["messages"] if self.run.stdout.startswith("{") else []

    def of(self, beginning: str) -> dict:
        return next(message for message in self.messages if message["sql"].startswith(beginning))


def modes(message: dict) -> set[tuple[str, str]]:
    return {(lock["relation"].removeprefix("public."), lock["mode"]) for lock in message["locks"]}


def test_locks_rewrites_scans_and_steps_are_told(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "ALTER TABLE orders ADD CHECK (qty > 0);\nALTER TABLE empty ALTER a TYPE bigint;\nSELECT 1;\n"
                                                  "CREATE INDEX by_qty ON orders (qty);\n"})
    assert ran.code == 0, ran.run.stderr + ran.run.stdout
    check = ran.of("ALTER TABLE orders")
    assert any("carried out in 2 steps" in notice for notice in check["notices"]), check
    assert ("orders", "ShareUpdateExclusiveLock") in modes(check) or ("orders", "AccessExclusiveLock") in modes(check)
    if postgres.version() >= 150000:
        assert check["scans"] == [{"table": "public.orders", "rows": 200000}]
    assert check["rewritten"] == [] and check["line"] == 1
    assert ran.of("ALTER TABLE empty")["rewritten"] == ["table public.empty"]
    assert ran.of("SELECT 1")["locks"] == [] and ran.of("SELECT 1")["line"] == 3
    assert postgres.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_qty'::regclass", DATABASE) == [(True,)]
    assert postgres.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'orders_qty_check'", DATABASE) == [(True,)]


def test_transaction_of_the_tool_holds_its_locks_to_the_end(postgres, tmp_path):
    """And whoever wants the table waits so long."""
    ran = Rehearsed(postgres, tmp_path, {"m/V1__a.sql": "ALTER TABLE orders ADD COLUMN extra int;\nSELECT pg_sleep(0.5);\n"})
    assert ran.code == 0, ran.run.stderr + ran.run.stdout
    assert [message["from_tool"] for message in ran.messages] == [True, False, False, True]
    sleep, commit = ran.of("SELECT pg_sleep"), ran.messages[-1]
    assert ("orders", "AccessExclusiveLock") in modes(ran.of("ALTER")) & modes(sleep) & modes(commit)
    held = {lock["relation"]: lock["held_ms"] for lock in commit["locks"]}
    assert held["public.orders"] >= 450
    assert 400 <= sleep["reader_stall_ms"] < 5000 and 400 <= sleep["writer_stall_ms"] < 5000
    assert sleep["scans"] == commit["scans"] == []


def test_scan_in_a_transaction_is_told_once(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"m/V1__a.sql": "SET LOCAL max_parallel_workers_per_gather = 0;\nSELECT count(*) FROM orders WHERE qty > 7;\nSELECT 2;\n"})
    assert ran.code == 0, ran.run.stderr + ran.run.stdout
    assert [message["scans"] for message in ran.messages] == [[], [], [{"table": "public.orders", "rows": 200000}], [], []]


def test_rehearsal_ends_where_the_tool_would(postgres, tmp_path):
    files = {"m/V1__a.sql": "CREATE TABLE made (a int);\n", "m/V2__b.sql": "CREATE TABLE undone (a int);\nALTER TABLE orders ALTER note SET NOT NULL;\n",
             "m/V3__c.sql": "CREATE TABLE never (a int);\n"}
    ran = Rehearsed(postgres, tmp_path, files)
    assert ran.code == 1
    last = ran.messages[-1]
    assert last["file"] == "m/V2__b.sql" and last["line"] == 2 and last["error"]["sqlstate"] == "25001" and "executeInTransaction" in last["error"]["hint"], last
    assert postgres.execute("SELECT relname FROM pg_class WHERE relname IN ('made', 'undone', 'never')", DATABASE) == [("made",)]
    shown = Rehearsed(postgres, tmp_path, {"2.sql": "SELECT 1/0;\nSELECT 1;\n"}, "--format=text", "2.sql")
    assert shown.code == 1 and "22012" in shown.run.stdout and "nothing behind it was run" in shown.run.stdout


@pytest.mark.parametrize("last", ["SELECT 1/0;\n", "SELECT 1;\n"], ids=["failed", "left open"])
def test_transaction_that_is_not_ended_ends_with_the_rehearsal(postgres, tmp_path, last):
    """Its locks go with it, and so does the wait of who wanted the table."""
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "BEGIN;\nALTER TABLE orders ADD COLUMN extra int;\n" + last})
    assert ran.code == (1 if "0" in last else 0), ran.run.stderr
    assert [n for n in ran.messages[-1]["notices"] if "is left open" in n] == ([] if "0" in last else ["the transaction is left open: it is rolled back with the rehearsal"])
    assert postgres.execute("SELECT 1 FROM pg_attribute WHERE attname = 'extra'", DATABASE) == []


def sessions(postgres) -> int:
    return postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", DATABASE, (DATABASE,))[0][0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_it_and_leaves_nothing_behind(postgres, tmp_path, number):
    (tmp_path / "1.sql").write_text("CREATE TABLE made (a int);\nBEGIN;\nALTER TABLE orders ADD COLUMN extra int;\nSELECT pg_sleep(100);\n")
    scratch = process.scratch_folder("scratch")   # a socket's path is short
    uri = f"postgresql://app@{postgres.host}:{postgres.port}/{DATABASE}"
    running = subprocess.Popen([binary(), "check", "--rehearse", uri, "--format=json", "1.sql"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "TMPDIR": str(scratch)})
    try:
        process.wait_until(lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s", DATABASE, (DATABASE,)), what="it sleeps")
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == 1 and "Sanitizer" not in err, err
    told = json.loads(out)["messages"]
    assert [message["sql"].split()[0] for message in told] == ["CREATE", "BEGIN", "ALTER", "SELECT"]
    assert told[-1]["error"]["sqlstate"] == "57014" and "signal" in told[-1]["error"]["message"], told[-1]
    process.wait_until(lambda: sessions(postgres) == 0, what="its sessions are gone")
    assert list(scratch.iterdir()) == []
    scratch.rmdir()
    assert postgres.execute("SELECT 1 FROM pg_attribute WHERE attname = 'extra'", DATABASE) == []


def test_what_has_run_is_told_when_the_connection_is_lost(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "CREATE TABLE made (a int);\nSELECT pg_terminate_backend(pg_backend_pid());\nSELECT 2;\n"})
    assert ran.code == 1, ran.run.stderr
    assert [message["sql"].split()[0] for message in ran.messages] == ["CREATE", "SELECT"]
    assert ran.messages[-1]["error"]["sqlstate"] in ("57P01", "08006"), ran.messages[-1]


def test_large_results_are_not_kept(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "SELECT repeat('x', 3000000);\nSELECT repeat('x', 100000) FROM generate_series(1, 100);\n"})
    assert ran.code == 0, ran.run.stderr + ran.run.stdout


def test_copy_without_data_fails_and_its_data_are_no_statements(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "COPY empty FROM stdin;\n1\n2\n\\.\nSELECT 1;\n"})
    assert ran.code == 1 and len(ran.messages) == 1
    assert ran.messages[0]["error"]["sqlstate"] == "57014"


def test_password_and_socket_come_from_libpq(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "SELECT current_user;\n"}, uri=f"dbname={DATABASE}",
                    environment={"PGHOST": postgres.host, "PGPORT": str(postgres.port), "PGUSER": "app"})
    assert ran.code == 0, ran.run.stderr


@pytest.mark.parametrize("arguments, files, code, words", [
    (["--format=sarif", "1.sql"], {}, 2, "text or json"),
    (["--database=postgresql://x", "1.sql"], {}, 2, "only one of them"),
    (["--layout=dbmate", "bad.sql"], {"bad.sql": "SELECT 1;\n"}, 3, "nothing was run"),
], ids=["format", "database", "refused by the tool"])
def test_what_can_not_be_rehearsed_is_not_begun(postgres, tmp_path, arguments, files, code, words):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "CREATE TABLE begun (a int);\n", **files}, *arguments)
    assert ran.code == code and words in ran.run.stderr, ran.run.stderr
    assert postgres.execute("SELECT 1 FROM pg_class WHERE relname = 'begun'", DATABASE) == []


def test_uri_that_is_not_set_is_an_error(tmp_path):
    (tmp_path / "1.sql").write_text("SELECT 1;\n")
    ran = subprocess.run([binary(), "check", "--rehearse", os.environ.get("NOT_SET_ANYWHERE", ""), "1.sql"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2 and "no URI was given" in ran.stderr + ran.stdout, ran


def test_database_that_is_not_there_is_an_error(postgres, tmp_path):
    ran = Rehearsed(postgres, tmp_path, {"1.sql": "SELECT 1;\n"}, uri=f"postgresql://app@{postgres.host}:{postgres.port}/nowhere")
    assert ran.code == 3 and "nowhere" in ran.run.stderr
