"""The ledger: what changed the schema, by whom, and what takes it back; nothing that was rolled back, no secrets, nobody waits for it."""

import os
import re
import subprocess

import pytest

from support import gateway, wire
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

SCHEMA = """
CREATE SCHEMA side;
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, qty int NOT NULL, note text, price int DEFAULT 1);
INSERT INTO orders SELECT n, n, n, 'n' FROM generate_series(1, 100) n;
CREATE TABLE "Odd Names" ("the key" int, "Value" text);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN positive AS int;
CREATE SEQUENCE counter;
CREATE VIEW totals AS SELECT customer, sum(qty) AS qty FROM orders GROUP BY customer;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TRIGGER watch BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nothing();
"""

# Each taken back by what `tidegate undo` prints.
STATEMENTS = [
    "CREATE TABLE t (id serial PRIMARY KEY, v text UNIQUE)",
    'CREATE TABLE side."T t" AS SELECT 1 AS a',
    "CREATE TABLE IF NOT EXISTS t (id int)",
    "CREATE VIEW v AS SELECT 1 AS a",
    "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a",
    "CREATE SCHEMA more",
    "CREATE SEQUENCE s",
    "CREATE TYPE colour AS ENUM ('red')",
    "CREATE TYPE triple AS (a int)",
    "CREATE TYPE span AS RANGE (subtype = float8)",
    "CREATE DOMAIN short AS text CHECK (length(value) < 9)",
    "CREATE FUNCTION f(a text DEFAULT 'x', b public.mood[] = NULL) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE p(a int) LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER other BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nothing()",
    "CREATE POLICY p ON orders USING (true)",
    "CREATE INDEX ON orders (customer, note)",
    "CREATE UNIQUE INDEX CONCURRENTLY once ON orders (note, id)",
    'CREATE INDEX ON "Odd Names" ("Value")',
    "ALTER TABLE orders ADD COLUMN c text DEFAULT 'x' CHECK (c <> ''), ADD COLUMN d int",
    "ALTER TABLE orders ALTER note SET NOT NULL",
    "ALTER TABLE orders ALTER qty DROP NOT NULL",
    "ALTER TABLE orders ALTER note SET DEFAULT 'x'",
    "ALTER TABLE orders ADD CHECK (qty > 0), ADD CHECK (qty < 1000)",
    "ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES orders (id)",
    "ALTER TABLE orders ADD UNIQUE (qty)",
    'ALTER TABLE "Odd Names" ADD PRIMARY KEY ("the key")',
    "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE orders RENAME COLUMN note TO remark",
    "ALTER TABLE orders RENAME CONSTRAINT orders_pkey TO pk",
    "ALTER TABLE \"Odd Names\" RENAME TO plain",
    "ALTER VIEW totals RENAME TO sums",
    "ALTER INDEX orders_pkey RENAME TO pk",
    "ALTER TYPE mood RENAME TO feeling",
    "ALTER TYPE mood RENAME VALUE 'good' TO 'it''s'",
    "ALTER TYPE pair RENAME ATTRIBUTE a TO z",
    "ALTER TRIGGER watch ON orders RENAME TO look",
    "ALTER SCHEMA side RENAME TO aside",
    "ALTER TABLE customers SET SCHEMA side",
    "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (value > 0)",
]


@pytest.fixture
def make_gateway(make_gateway):
    """With the ledger, which is off by default."""
    return lambda settings=None, **arguments: make_gateway(gateway.merged({"policies": {"ledger": True}}, settings or {}), **arguments)


@pytest.fixture
def target(make_gateway):
    return make_gateway()


@pytest.fixture
def database(postgres):
    name = f"ledger_{os.getpid()}"
    postgres.execute(f"CREATE DATABASE {name} OWNER app", "postgres")
    postgres.execute("ALTER SCHEMA public OWNER TO app", name)
    with postgres.connect(user="app", dbname=name) as maker:
        maker.execute(SCHEMA)
    yield name
    postgres.drop_database(name)


@pytest.fixture
def lenient(make_gateway):
    """Findings are told, and everything runs."""
    rules = {rule: "warn" for rule in ("rename-table", "rename-column", "rename-schema", "rename-type", "enum-rename-value", "domain-constraint-validating", "set-schema", "enable-rls", "drop-column", "drop-table")}
    return make_gateway({"policies": {"mode": "enforce", "rules": rules}})


def dump(postgres, database: str) -> str:
    text = subprocess.run([postgres.binaries / "pg_dump", "--schema-only", "--exclude-schema=tidegate", "-h", postgres.host, "-p", str(postgres.port),
                           "-U", "postgres", database], check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def rows(postgres, database: str, columns: str = "statement, outcome") -> list[tuple]:
    if not postgres.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'tidegate' AND tablename = 'ddl'", database):
        return []
    return postgres.execute(f"SELECT {columns} FROM tidegate.ddl ORDER BY id", database)


def wait_for_rows(postgres, database: str, count: int, columns: str = "statement, outcome") -> list[tuple]:
    wait_until(lambda: len(rows(postgres, database)) >= count, timeout=15, what=f"{count} rows in the ledger")
    found = rows(postgres, database, columns)
    assert len(found) == count, found
    return found


def undo(postgres, database: str, *arguments: str) -> subprocess.CompletedProcess:
    uri = f"postgresql://postgres@{postgres.host}:{postgres.port}/{database}"
    return subprocess.run([gateway.binary(), "undo", "--database", uri, *arguments], capture_output=True, text=True, timeout=60)


def run(client, *statements: str):
    for sql in statements:
        answer = client.query(sql, timeout=60)
        assert not wire.errors(answer), (sql, [m.fields() for m in answer if m.type == "E"])


def test_each_inverse_brings_the_schema_back(postgres, lenient, database):
    before = dump(postgres, database)
    for number, sql in enumerate(STATEMENTS, 1):
        with lenient.login(database=database, user="app") as client:
            run(client, sql)
        (row,) = wait_for_rows(postgres, database, number, "id, undo, why_not")[-1:]
        assert row[1], (sql, row)
        assert dump(postgres, database) != before, sql
        printed = undo(postgres, database, str(row[0]))
        assert printed.returncode == 0, (sql, printed)
        with postgres.connect(dbname=database) as direct:
            direct.execute("SET search_path = pg_catalog")
            for statement in (line for line in printed.stdout.splitlines() if not line.startswith("--")):
                direct.execute(statement)
        assert dump(postgres, database) == before, (sql, printed.stdout)


def test_row_says_who_what_and_how(postgres, target, database):
    with target.login(database=database, user="app", parameters={"application_name": "deploy"}) as client:
        run(client, "ALTER TABLE orders ADD COLUMN secretive text DEFAULT 'a secret' /*migration='0042',commit='abc'*/",
            "ALTER TABLE orders ALTER note SET NOT NULL")
    first, second = wait_for_rows(postgres, database, 2, "statement, login, application, command, tags, locks, undo, lost, findings, action, plan")
    assert first[:4] == ("ALTER TABLE orders ADD COLUMN secretive text DEFAULT ?", "app", "deploy", "ALTER TABLE")
    assert first[4] == {"migration": "0042", "commit": "abc"}
    assert first[5] == ["ACCESS EXCLUSIVE on public.orders"]
    assert first[6] == "ALTER TABLE public.orders DROP COLUMN secretive;" and "secretive" in first[7]
    assert first[9] in ("guarded", "forwarded")
    printed = undo(postgres, database, "1")
    assert "-- LOST with it" in printed.stdout and "later on the same: 2" in printed.stdout, printed
    assert "2 has changed the same later" in printed.stderr


def test_inverse_is_not_that_of_another_schema(postgres, target, database):
    """The name resolves behind the SET: public.orders is another table than side.orders."""
    with target.login(database=database, user="app") as client:
        run(client, "SET search_path = side; CREATE TABLE orders (id int)", "RESET search_path", "SET search_path = public; CREATE TABLE there (id int)")
    found = wait_for_rows(postgres, database, 2, "undo, why_not")
    assert found[0][0] is None and "which schema orders was made in" in found[0][1], found
    assert found[1] == ("DROP TABLE public.there;", None)


@pytest.mark.parametrize("encoding, codec", [("LATIN1", "latin-1"), ("UTF8", "utf-8")])
def test_texts_of_another_encoding_are_told(postgres, target, database, encoding, codec):
    """Into a database that can't hold every character of UTF-8."""
    name = f"{database}_latin"
    postgres.execute(f"CREATE DATABASE {name} OWNER app TEMPLATE template0 ENCODING 'LATIN1'", "postgres")
    try:
        with target.login(database=name, user="app", parameters={"client_encoding": encoding, "application_name": "日本"}) as client:
            for sql in ('CREATE TABLE "größe" (a int)', 'ALTER TABLE "größe" ADD "nötig" text /* ö */', "CREATE TABLE plain (a text DEFAULT 'ö')"):
                answer = client.query(sql.encode(codec))
                assert not wire.errors(answer), [m.fields() for m in answer if m.type == "E"]
        found = wait_for_rows(postgres, name, 3, "statement, undo")
    finally:
        postgres.drop_database(name)
    assert found == [('CREATE TABLE "größe" (a int)', 'DROP TABLE public."größe";'), ('ALTER TABLE "größe" ADD "nötig" text', 'ALTER TABLE public."größe" DROP COLUMN "nötig";'),
                     ("CREATE TABLE plain (a text DEFAULT ?)", "DROP TABLE public.plain;" if encoding == "UTF8" else None)]


def test_only_what_was_committed_is_told(postgres, target, database):
    with target.login(database=database, user="app") as client:
        run(client, "BEGIN", "CREATE TABLE gone (id int)", "ROLLBACK")
        run(client, "BEGIN", "CREATE TABLE a (id int)", "SAVEPOINT s", "CREATE TABLE b (id int)", "CREATE TYPE ty AS ENUM ()", "ROLLBACK TO s",
            "CREATE TABLE c (id int)", "CREATE TYPE tz AS ENUM ()")
        assert rows(postgres, database) == []
        run(client, "COMMIT")
        run(client, "BEGIN", "CREATE TABLE bad (id int)")
        assert wire.errors(client.query("SELECT 1/0"))
        client.query("COMMIT")
        assert wire.errors(client.query("CREATE TABLE d (id int); SELECT 1/0"))
        run(client, "BEGIN; CREATE TABLE e (id int); ROLLBACK; CREATE TABLE g (id int); BEGIN; CREATE TABLE h (id int); COMMIT")
        assert wire.errors(client.query("CREATE TABLE orders (id int)"))
        assert client.value("SELECT current_setting('tidegate.ledger', true)") == ""
    found = wait_for_rows(postgres, database, 5, "statement, outcome, in_transaction")
    assert [(s.split()[2], outcome) for s, outcome, _ in found] == [("a", "done"), ("c", "done"), ("tz", "done"), ("g", "done"), ("h", "done")]
    assert found[0][2] and not found[3][2]


def test_savepoint_that_was_prepared_before_is_followed(postgres, target, database):
    with target.login(database=database, user="app") as client:
        client.sync(wire.parse("SAVEPOINT s", "sp"), wire.parse("ROLLBACK TO SAVEPOINT s", "back"))
        run(client, "BEGIN", "CREATE TABLE a (id int)")
        client.sync(wire.bind(statement="sp"), wire.execute())
        run(client, "CREATE TABLE b (id int)")
        client.sync(wire.bind(statement="back"), wire.execute())
        run(client, "COMMIT")
    assert [s.split()[2] for s, _ in wait_for_rows(postgres, database, 1)] == ["a"]


def test_batches_of_the_extended_protocol(postgres, target, database):
    def steps(sql):
        return [wire.parse(sql), wire.bind(), wire.execute()]

    with target.login(database=database, user="app") as client:
        assert not wire.errors(client.sync(*steps("CREATE TABLE a (id int)")))
        assert not wire.errors(client.sync(*steps("CREATE TABLE b (id int)"), *steps("CREATE TABLE c (id int)")))
        assert wire.errors(client.sync(*steps("CREATE TABLE d (id int)"), *steps("SELECT 1/0")))
        assert not wire.errors(client.sync(*steps("BEGIN"), *steps("CREATE TABLE e (id int)")))
        run(client, "ROLLBACK")
        assert client.value("SELECT 1") == "1"
    assert [s.split()[2] for s, _ in wait_for_rows(postgres, database, 3)] == ["a", "b", "c"]


def test_prepared_transaction_is_not_done(postgres, target, database):
    with target.login(database=database, user="app") as client:
        run(client, "BEGIN", "CREATE TABLE a (id int)")
        answer = client.query("PREPARE TRANSACTION 'ledger'")
        if wire.errors(answer):
            pytest.skip("refused by the policy")
    try:
        assert wait_for_rows(postgres, database, 1)[0][1] == "prepared"
    finally:
        postgres.execute("ROLLBACK PREPARED 'ledger'", database)


def test_plan_is_one_row(postgres, target, database):
    postgres.execute("INSERT INTO orders SELECT n, n, n, 'n' FROM generate_series(1000, 30000) n; ANALYZE", database)
    with target.login(database=database, user="app") as client:
        run(client, "ALTER TABLE orders ADD CHECK (qty > 0)")
    ((action, plan, taken_back),) = wait_for_rows(postgres, database, 1, "action, plan, undo")
    assert (action, plan, taken_back) == ("planned", 1, "ALTER TABLE public.orders DROP CONSTRAINT orders_qty_check;")


def test_secrets_and_temporary_tables_are_not_told(postgres, target, database):
    role = f"ledger_{os.getpid()}"
    try:
        with target.login(database=database, user="postgres") as client:
            run(client, f"CREATE ROLE {role} PASSWORD 'hunter2'", f"ALTER ROLE {role} PASSWORD 'hunter3'", "CREATE TEMP TABLE t (id int)", "ALTER TABLE t ADD COLUMN b int")
        found = wait_for_rows(postgres, database, 2, "ddl::text")
        assert "hunter" not in str(found)
    finally:
        postgres.execute(f"DROP ROLE {role}", "postgres")


def test_without_the_right_or_in_a_foreign_schema_nobody_notices(postgres, make_gateway, database):
    role = f"ledger_control_{os.getpid()}"
    postgres.execute(f"CREATE ROLE {role} LOGIN", "postgres")
    try:
        one = make_gateway({"databases": {"*": {"control": {"user": role}}}})
        with one.login(database=database, user="app") as client:
            run(client, "CREATE TABLE a (id int)", "CREATE TABLE b (id int)")
            wait_until(lambda: one.metrics().sum("tidegate_ledger_failures_total", reason="refused") == 2, timeout=15, what="two rows are refused")
            assert one.output().count("ledger_row_lost") == 1
            postgres.execute("CREATE SCHEMA tidegate; CREATE TABLE tidegate.ddl (id int); GRANT ALL ON SCHEMA tidegate TO PUBLIC", database)
            run(client, "CREATE TABLE c (id int)")
            wait_until(lambda: one.metrics().sum("tidegate_ledger_failures_total", reason="refused") == 3, timeout=15, what="the third as well")
        assert postgres.execute("SELECT count(*) FROM tidegate.ddl", database) == [(0,)]
        assert undo(postgres, database).returncode == 3
    finally:
        postgres.execute(f"DROP ROLE {role}", "postgres")


def test_two_gateways_write_one_ledger(postgres, make_gateway, database):
    gateways = [make_gateway(), make_gateway()]
    clients = [each.login(database=database, user="app") for each in gateways]
    for number in range(10):
        for place, client in enumerate(clients):
            run(client, f"CREATE TABLE t{number}_{place} (id int)")
    for client in clients:
        client.close()
    assert len(wait_for_rows(postgres, database, 20)) == 20


def test_transaction_pool(postgres, make_gateway, database):
    one = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}})
    with one.login(database=database, user="app") as client, one.login(database=database, user="app") as other:
        run(client, "BEGIN", "CREATE TABLE a (id int)", "COMMIT")
        assert other.value("SELECT current_setting('tidegate.ledger', true)") in ("", None)
        run(other, "BEGIN", "CREATE TABLE b (id int)", "ROLLBACK")
        run(client, "CREATE TABLE c (id int)")
    assert [s.split()[2] for s, _ in wait_for_rows(postgres, database, 2)] == ["a", "c"]


def test_what_is_queued_is_written_before_the_end(postgres, make_gateway, database):
    one = make_gateway()
    with one.login(database=database, user="app") as client:
        for number in range(30):
            run(client, f"CREATE TABLE t{number} (id int)")
    one.end()
    one.may_end = True
    assert len(rows(postgres, database)) == 30


@pytest.mark.parametrize("how", ["one message", "one transaction"])
def test_nothing_is_lost_of_a_schema_that_is_made_at_once(postgres, target, database, how):
    made = [f"CREATE TABLE t{n} (id int)" for n in range(1_200)]
    with target.login(database=database, user="app") as client:
        run(client, *(["; ".join(made)] if how == "one message" else ["BEGIN", *("; ".join(made[n:n + 100]) for n in range(0, len(made), 100)), "COMMIT"]))
    wait_until(lambda: len(rows(postgres, database)) == len(made), timeout=30, what="each table has its row")


def test_queue_is_bounded_when_the_control_connection_is_down(postgres, make_gateway, database):
    one = make_gateway({"databases": {"*": {"control": {"user": "nologin_user"}}}})
    with one.login(database=database, user="app") as client:
        for start in range(0, 10_200, 3_400):
            run(client, "; ".join(f"COMMENT ON TABLE orders IS '{n}'" for n in range(start, start + 3_400)))
        wait_until(lambda: one.metrics().sum("tidegate_ledger_failures_total") >= 200, timeout=15, what="rows are lost")
        assert client.value("SELECT obj_description('orders'::regclass)") == "10199"


def test_undo_without_inverse_or_id(postgres, target, database):
    assert undo(postgres, database).returncode == 3
    with target.login(database=database, user="postgres", parameters={"application_name": "odd\nname"}) as client:
        run(client, "ALTER TYPE mood ADD VALUE 'odd'", "CREATE TABLE x (id int)")
    wait_for_rows(postgres, database, 2)
    none = undo(postgres, database, "1")
    assert none.returncode == 1 and "can't take a value out of an enum" in none.stdout
    assert all(line.startswith("--") for line in none.stdout.splitlines()), none.stdout
    assert undo(postgres, database, "77").returncode == 1
    assert undo(postgres, database, "x").returncode == 2
    listed = undo(postgres, database)
    assert listed.returncode == 0 and [line.split()[0] for line in listed.stdout.splitlines()] == ["2", "1"]


def test_console_shows_the_ledgers(postgres, target, database):
    with target.login(database=database, user="app") as client, target.login(database="tidegate", user="postgres") as console:
        run(client, "CREATE TABLE a (id int)", "CREATE TABLE b (id int)")
        wait_for_rows(postgres, database, 2)
        for command in ("SHOW LEDGER", f"SHOW LEDGER {database}"):
            shown = [row for row in wire.rows(console.query(command)) if row[0] == database]
            assert [(row[1], row[4], row[14]) for row in shown] == [("2", "done", "DROP TABLE public.b;"), ("1", "done", "DROP TABLE public.a;")]
        assert wire.types(console.query("SHOW LEDGER no_such_database")).startswith(("T", "N")), "it is served by *, and has no ledger"
        assert wire.errors(console.query("SHOW POOLS x")) == ["42601"]


def test_in_observe_mode_nothing_is_made_in_the_database(postgres, make_gateway, database):
    with make_gateway({"policies": {"mode": "observe"}}).login(database=database) as client:
        assert not wire.errors(client.query("ALTER TABLE orders ADD COLUMN seen int"))
    with make_gateway().login(database=database) as client:   # writes down what it does, behind anything that came before
        assert not wire.errors(client.query("ALTER TABLE orders ADD COLUMN written int"))
    wait_until(lambda: postgres.execute("SELECT 1 FROM pg_class WHERE oid = to_regclass('tidegate.ddl')", database), what="the ledger is there")
    wait_until(lambda: postgres.execute("SELECT 1 FROM tidegate.ddl", database), what="the row is there")
    assert [row[0] for row in postgres.execute("SELECT statement FROM tidegate.ddl", database)] == ["ALTER TABLE orders ADD COLUMN written int"]
