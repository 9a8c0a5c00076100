"""Unsafe statements that the gateway carries out in steps: the same schema as the plain statement, nothing lost, nothing left over,
whoever is killed on the way."""

import os
import signal
import threading

import psycopg
import pytest

from support import process, wire
from support.process import wait_until
from support.schema import schema_of

pytestmark = pytest.mark.gateway_only

SCHEMA = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 2000) n;
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, qty int, note text, placed timestamp DEFAULT '2020-01-01', CONSTRAINT few CHECK (qty < 100000));
INSERT INTO orders (id, customer, qty, note) SELECT n, n % 2000 + 1, n, 'note ' || n FROM generate_series(1, 20000) n;
CREATE TABLE keyless (a int, b text);
INSERT INTO keyless SELECT n, 'b' || n FROM generate_series(1, 5000) n;
CREATE TABLE "Odd Names" ("the key" int, "Value" text, "desc" int, PRIMARY KEY ("the key", "desc"));
INSERT INTO "Odd Names" SELECT n / 2, 'v' || n, n % 2 FROM generate_series(1, 5000) n;
CREATE TABLE events (id bigint NOT NULL, day date NOT NULL, who bigint, what text) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2020-02-01') TO ('2021-01-01') PARTITION BY LIST (who);
CREATE TABLE events_2_a PARTITION OF events_2 FOR VALUES IN (1, 2, 3);
CREATE TABLE events_2_b PARTITION OF events_2 DEFAULT;
INSERT INTO events SELECT n, '2020-01-01'::date + n % 300, n % 2000 + 1, 'w' || n FROM generate_series(1, 12000) n;
CREATE TABLE shards (id bigint, part int, what text, PRIMARY KEY (id, part)) PARTITION BY HASH (part);
CREATE TABLE shards_0 PARTITION OF shards FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shards_1 PARTITION OF shards FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO shards SELECT n, n % 7, 's' || n FROM generate_series(1, 9000) n;
CREATE TABLE events_3 (id bigint NOT NULL, day date NOT NULL, who bigint, what text);
INSERT INTO events_3 SELECT n, '2021-01-01'::date + n % 300, n % 2000 + 1, 'w' || n FROM generate_series(1, 5000) n;
CREATE TABLE lists (id bigint NOT NULL REFERENCES customers, kind int NOT NULL, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE INDEX ON lists (kind);
CREATE TABLE lists_1 PARTITION OF lists FOR VALUES IN (1);
CREATE TABLE lists_rest PARTITION OF lists DEFAULT;
INSERT INTO lists SELECT n % 2000 + 1, n / 2000 * 10 FROM generate_series(2000, 8000) n;
CREATE TABLE lists_4 (id bigint NOT NULL, kind int NOT NULL);
INSERT INTO lists_4 SELECT n, 4 FROM generate_series(1, 2000) n;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(qty) AS qty FROM orders GROUP BY customer;
CREATE UNIQUE INDEX totals_customer ON totals (customer);
CREATE TYPE positive AS (a int);
CREATE TABLE words (id int, word varchar(20), "Other" varchar(40));
INSERT INTO words SELECT n, 'word ' || n, 'other ' || n FROM generate_series(1, 5000) n;
CREATE INDEX ON words (word DESC, "Other") WITH (fillfactor = 70);
CREATE UNIQUE INDEX "Word, Other" ON words (id, word varchar_pattern_ops) INCLUDE ("Other");
CREATE INDEX ON words (word COLLATE "C", id);
CREATE INDEX other_name ON words USING hash ("Other");
COMMENT ON INDEX other_name IS 'it''s hashed';
CREATE DOMAIN token AS float8 DEFAULT random();
CREATE TABLE parts (id bigint PRIMARY KEY, maker bigint CONSTRAINT made REFERENCES customers DEFERRABLE, list_id bigint, list_kind int, orderer bigint REFERENCES orders ON DELETE CASCADE,
  FOREIGN KEY (list_id, list_kind) REFERENCES lists MATCH FULL, UNIQUE (id, maker));
INSERT INTO parts SELECT n, n % 2000 + 1, NULL, NULL, n FROM generate_series(1, 9000) n;
CREATE TABLE parts_of (part bigint REFERENCES parts, what text);
CREATE TABLE "Parts Of" (part bigint, maker bigint, CONSTRAINT "Both Of" FOREIGN KEY (part, maker) REFERENCES parts (id, maker) NOT VALID);
COMMENT ON CONSTRAINT made ON parts IS 'who''s the maker';
CREATE TABLE visits (id bigint, day int, who bigint REFERENCES customers, what bigint REFERENCES orders) PARTITION BY LIST (day);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES IN (1);
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
INSERT INTO visits SELECT n, n % 3, n % 2000 + 1, n FROM generate_series(1, 6000) n;
"""

# What a plan must come to exactly what the plain statement makes.
STATEMENTS = {
    "not null": "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
    "not null, two at once": "ALTER TABLE orders ALTER note SET NOT NULL, ALTER customer SET NOT NULL",
    "not null of a partitioned table": "ALTER TABLE events ALTER what SET NOT NULL",
    "not null, odd names": 'ALTER TABLE public."Odd Names" ALTER COLUMN "Value" SET NOT NULL',
    "check": "ALTER TABLE orders ADD CHECK (qty > 0)",
    "check of two columns": "ALTER TABLE orders ADD CHECK (qty > 0 AND customer > 0)",
    "check with a name, no inherit": 'ALTER TABLE orders ADD CONSTRAINT "Is Positive" CHECK (qty > 0) NO INHERIT',
    "check of a partitioned table": "ALTER TABLE events ADD CONSTRAINT c CHECK (who > 0)",
    "two checks": "ALTER TABLE orders ADD CHECK (qty > 0), ADD CHECK (qty > -1)",
    "foreign key": "ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers",
    "foreign key with everything": "ALTER TABLE ONLY orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id) "
                                   "MATCH FULL ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED",
    "foreign key of a partitioned table": "ALTER TABLE events ADD FOREIGN KEY (who) REFERENCES customers ON DELETE CASCADE",
    "unique": "ALTER TABLE orders ADD UNIQUE (qty)",
    "unique with everything": "ALTER TABLE orders ADD CONSTRAINT one UNIQUE NULLS NOT DISTINCT (qty, id) INCLUDE (note) WITH (fillfactor = 70) DEFERRABLE",
    "unique with included columns": "ALTER TABLE orders ADD UNIQUE (qty) INCLUDE (note)",
    "unique of a partitioned table": "ALTER TABLE events ADD UNIQUE (day, who, id)",
    "unique, odd names": 'ALTER TABLE "Odd Names" ADD UNIQUE ("Value", "desc")',
    "primary key": "ALTER TABLE keyless ADD PRIMARY KEY (a)",
    "primary key with a name": "ALTER TABLE keyless ADD CONSTRAINT k PRIMARY KEY (a, b)",
    "primary key of a partitioned table": "ALTER TABLE events ADD PRIMARY KEY (id, day, who)",
    "column with a volatile default": "ALTER TABLE orders ADD COLUMN token uuid DEFAULT md5(random()::text)::uuid",
    "column with a volatile default, not null": "ALTER TABLE orders ADD token text COLLATE \"C\" DEFAULT md5(random()::text) NOT NULL",
    "column with a volatile default, no key": "ALTER TABLE keyless ADD token float8 DEFAULT random()",
    "column with a volatile default, odd names": 'ALTER TABLE "Odd Names" ADD "To Ken" float8 NOT NULL DEFAULT random()',
    "column with a volatile default, partitioned": "ALTER TABLE shards ADD COLUMN token float8 DEFAULT random() NOT NULL, ADD COLUMN n bigserial",
    "serial": "ALTER TABLE orders ADD COLUMN number serial",
    "bigserial, odd names": 'ALTER TABLE "Odd Names" ADD "Number" bigserial UNIQUE',
    "serial primary key": "ALTER TABLE keyless ADD id smallserial PRIMARY KEY",
    "identity": "ALTER TABLE orders ADD number bigint GENERATED ALWAYS AS IDENTITY",
    "identity with options": "ALTER TABLE orders ADD number int GENERATED BY DEFAULT AS IDENTITY (START WITH 100 INCREMENT BY 5) UNIQUE",
    "column with an inline check": "ALTER TABLE orders ADD COLUMN state text DEFAULT 'new' CHECK (state <> '') CONSTRAINT short CHECK (length(state) < 10)",
    "column with an inline unique": "ALTER TABLE orders ADD COLUMN other int UNIQUE",
    "column with an inline foreign key and a default": "ALTER TABLE orders ADD COLUMN payer bigint DEFAULT 1 NOT NULL REFERENCES customers ON DELETE RESTRICT",
    "many subcommands": "ALTER TABLE orders ADD COLUMN a int, ALTER qty SET DEFAULT 1, ADD CHECK (qty > 0), ALTER note SET NOT NULL, "
                        "ADD COLUMN b uuid DEFAULT md5(random()::text)::uuid, DROP CONSTRAINT few, ADD UNIQUE (qty), ALTER note SET STORAGE EXTERNAL",
    "not valid and validate": "ALTER TABLE orders ADD CONSTRAINT k CHECK (qty > 0) NOT VALID, VALIDATE CONSTRAINT k",
    "index of a partitioned table": "CREATE INDEX ON events (who, lower(what)) WHERE who > 1",
    "index of expressions of a partitioned table": "CREATE INDEX ON shards (lower(what), lower(what COLLATE \"C\"), (id + part), (id::text), coalesce(part, 1), "
                                                   "(CASE WHEN part > 1 THEN 2 ELSE 3 END)) INCLUDE (id)",
    "unique index of a partitioned table": "CREATE UNIQUE INDEX by_all ON public.events USING btree (day, who, id DESC)",
    "attach": "ALTER TABLE events ATTACH PARTITION events_3 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')",
    "detach": "ALTER TABLE events DETACH PARTITION events_1",
    "partition of": "CREATE TABLE events_4 PARTITION OF events FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')",
    "partition of, with a default partition": "CREATE TABLE lists_3 PARTITION OF lists FOR VALUES IN (3)",
    "attach, with a default partition": "ALTER TABLE lists ATTACH PARTITION lists_4 FOR VALUES IN (4, 5)",
    "refresh": "REFRESH MATERIALIZED VIEW totals",
    "column with the default of its domain": "ALTER TABLE orders ADD COLUMN key token NOT NULL",
    "foreign keys to several tables": "ALTER TABLE parts DROP CONSTRAINT made, DROP CONSTRAINT parts_list_id_list_kind_fkey, DROP CONSTRAINT parts_orderer_fkey, ALTER maker SET DEFAULT 1",
    "foreign keys of a partitioned table": "ALTER TABLE visits DROP CONSTRAINT visits_who_fkey, DROP CONSTRAINT IF EXISTS visits_what_fkey",
    "collation": 'ALTER TABLE words ALTER word TYPE varchar(20) COLLATE "POSIX", ALTER "Other" TYPE varchar(40) COLLATE pg_catalog."C"',
    "names that are taken": "ALTER TABLE orders ADD CONSTRAINT orders_qty_check CHECK (qty > -5) NOT VALID, ADD CHECK (qty > 0)",
}


@pytest.fixture(scope="module")
def template(postgres):
    postgres.execute("CREATE DATABASE plan_template OWNER app", "postgres")
    postgres.execute("ALTER SCHEMA public OWNER TO app", "plan_template")
    with postgres.connect(user="app", dbname="plan_template") as maker:
        maker.execute(SCHEMA)
    postgres.execute("ANALYZE", "plan_template")
    yield "plan_template"
    postgres.drop_database("plan_template")


@pytest.fixture
def databases(postgres, template):
    """Two databases with the same tables: for the plain statement, and for the gateway."""
    names = [f"plan_{os.getpid()}_{kind}" for kind in ("plain", "steps")]
    for name in names:
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER app", "postgres")
    yield names
    for name in names:
        postgres.drop_database(name)


@pytest.fixture
def walked(postgres, template):
    """Makes the same database anew, again and again."""
    name = f"plan_{os.getpid()}_walk"

    def drop():
        if postgres.execute("SELECT 1 FROM pg_database WHERE datname = %s", "postgres", (name,)):
            postgres.drop_database(name)

    def make() -> str:
        drop()
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER app", "postgres")
        return name

    yield make
    drop()


@pytest.fixture
def steps(databases):
    return databases[1]


TABLES = {"orders": "id, customer, qty, note, placed", "keyless": "a, b", '"Odd Names"': '"the key", "Value", "desc"',
          "events": "id, day, who, what", "shards": "id, part, what", "customers": "id, name"}


def contents(postgres, database: str) -> dict[str, str]:
    """The data of all columns that were there before."""
    return {table: postgres.execute(f"SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) FROM (SELECT {columns} FROM {table}) r", database)[0][0]
            for table, columns in TABLES.items()}


def leftovers(postgres, database: str) -> list[str]:
    return [row[0] for row in postgres.execute(
        "SELECT conname::text FROM pg_constraint WHERE conname LIKE '%tidegate%' OR (NOT convalidated AND coninhcount = 0) "
        "UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid "
        "UNION ALL SELECT relname FROM pg_class WHERE relname LIKE '%tidegate_fill%' OR relname LIKE '%tidegate_idx%'", database)]


def steps_of(messages: list[wire.Message]) -> list[str]:
    return [text for text in (m.fields()["M"] for m in messages if m.type == "N") if text.startswith("step ")]


def sole_error(messages: list[wire.Message]) -> dict[str, str]:
    (error,) = [m.fields() for m in messages if m.type == "E"]
    return error


# What older servers do not have, or can't do in steps.
SINCE = {"unique with everything": 15, "column with a volatile default, no key": 14, "serial primary key": 14, "detach": 14,
         "column with the default of its domain": 13}


@pytest.mark.parametrize("kind", STATEMENTS)
def test_steps_come_to_the_same_schema_as_the_plain_statement(postgres, target, databases, kind):
    if postgres.version() < SINCE.get(kind, 0) * 10000:
        pytest.skip(f"from PostgreSQL {SINCE[kind]} on")
    if kind == "primary key of a partitioned table" and postgres.version() >= 180000:
        pytest.xfail("the NOT NULL of a partition is its own, too (docs/limitations.md)")
    sql = STATEMENTS[kind]
    plain, steps = databases
    with postgres.connect(user="app", dbname=plain) as direct:
        direct.execute(sql)
    with target.login(database=steps) as client:
        answer = client.query(sql, timeout=60)
        assert not wire.errors(answer), sole_error(answer)
        assert [m.tag for m in answer if m.type == "C"] == [" ".join(sql.split()[:3 if "VIEW" in sql else 2])
                                                              .replace("CREATE UNIQUE", "CREATE INDEX")]
        assert steps_of(answer), "it was carried out as it stands"
        assert client.value("SELECT 1") == "1"
    assert schema_of(postgres, steps) == schema_of(postgres, plain)
    assert contents(postgres, steps) == contents(postgres, plain)
    (state,) = postgres.execute("SELECT DISTINCT state FROM tidegate.plan", steps)
    assert state == ("done",)


def test_new_column_has_a_value_in_every_row(postgres, target, steps):
    with target.login(database=steps) as client:
        for sql in ("ALTER TABLE orders ADD COLUMN token uuid DEFAULT md5(random()::text)::uuid", "ALTER TABLE orders ADD number serial",
                    "ALTER TABLE orders ADD ident int GENERATED ALWAYS AS IDENTITY (START WITH 100)"):
            assert not wire.errors(client.query(sql, timeout=60))
        if postgres.version() >= 140000:   # by pages
            assert not wire.errors(client.query("ALTER TABLE keyless ADD token float8 DEFAULT random()", timeout=60))
            assert client.value("SELECT count(DISTINCT token) FROM keyless") == "5000"
    assert postgres.execute("SELECT count(DISTINCT token), count(DISTINCT number), count(DISTINCT ident), min(ident), count(*) FROM orders", steps) == [
        (20000, 20000, 20000, 100, 20000)]
    (next_one,) = postgres.execute("INSERT INTO orders (id) VALUES (-1) RETURNING ident, number", steps)
    assert next_one == (20100, 20001), "sequences go on behind the highest value"


# What is only carried out where a policy lets it.
DROPS = {
    "table": "DROP TABLE IF EXISTS nothing, parts_of, \"Parts Of\", parts",
    "table, with foreign keys of others": "DROP TABLE public.parts CASCADE",
    "partitioned table": "DROP TABLE visits",
    "columns": "ALTER TABLE parts DROP COLUMN list_id, DROP COLUMN maker CASCADE, ADD COLUMN other int",
    "keys that others refer to": "ALTER TABLE parts DROP CONSTRAINT parts_pkey CASCADE, DROP CONSTRAINT parts_id_maker_key CASCADE",
}
MAY_DROP = {"policies": {"rules": {rule: "allow" for rule in ("drop-table", "drop-cascade", "drop-column", "drop-primary-key")}}}


@pytest.mark.parametrize("sql", DROPS.values(), ids=DROPS.keys())
def test_what_is_dropped_with_foreign_keys_comes_to_the_same(postgres, make_gateway, databases, sql):
    plain, steps = databases
    with postgres.connect(user="app", dbname=plain) as direct:
        direct.execute(sql)
    with make_gateway(MAY_DROP).login(database=steps) as client:
        answer = client.query(sql, timeout=60)
        assert not wire.errors(answer), sole_error(answer)
        assert [m.tag for m in answer if m.type == "C"] == [" ".join(sql.split()[:2])]
        assert len(steps_of(answer)) >= 3, steps_of(answer)
    assert schema_of(postgres, steps) == schema_of(postgres, plain)
    assert contents(postgres, steps) == contents(postgres, plain)
    assert postgres.execute("SELECT DISTINCT state FROM tidegate.plan", steps) == [("done",)]


@pytest.mark.parametrize("sql", [DROPS["table, with foreign keys of others"], DROPS["partitioned table"], DROPS["columns"]], ids=["table", "partitioned", "columns"])
def test_a_drop_that_fails_brings_its_foreign_keys_back(postgres, make_gateway, steps, sql):
    postgres.execute("CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() "
                     "WHERE object_type IN ('table', 'table column') AND object_identity <> 'public.parts.other') THEN RAISE 'not today'; END IF; END$$; CREATE EVENT TRIGGER no ON sql_drop EXECUTE FUNCTION no()", steps)
    before = schema_of(postgres, steps)
    unproven = sorted(leftovers(postgres, steps))
    with make_gateway(MAY_DROP).login(database=steps) as client:
        error = sole_error(client.query(sql, timeout=60))
    assert error["M"] == "not today", error
    assert schema_of(postgres, steps) == before
    assert sorted(leftovers(postgres, steps)) == unproven, "what was valid is valid again"
    assert postgres.execute("SELECT DISTINCT state FROM tidegate.plan", steps) == [("failed",)]


def test_a_foreign_key_that_no_longer_holds_is_left_to_whoever_reads_the_error(postgres, make_gateway, steps):
    postgres.execute("CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_type = 'table') "
                     "THEN RAISE 'not today'; END IF; END$$; CREATE EVENT TRIGGER no ON sql_drop EXECUTE FUNCTION no()", steps)
    gateway = make_gateway(MAY_DROP)
    with gateway.login(database=steps) as client, postgres.connect(dbname=steps) as blocker, postgres.connect(dbname=steps) as writer:
        blocker.execute("BEGIN; LOCK TABLE customers IN ACCESS SHARE MODE")   # the last foreign key waits
        client.send(wire.query("DROP TABLE visits"))
        wait_until(lambda: postgres.execute("SELECT NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'visits_what_fkey')", steps)[0][0], what="the first one is gone")
        writer.execute("INSERT INTO visits VALUES (-1, 1, 1, -1)")
        blocker.execute("ROLLBACK")
        error = sole_error(client.read_until("Z", timeout=30))
    assert error["M"] == "not today" and "could not all be taken back" in error["D"] and "visits_what_fkey" in error["H"], error
    assert postgres.execute("SELECT DISTINCT state FROM tidegate.plan", steps) == [("stopped",)]


def test_a_table_that_is_not_ones_own_is_dropped_as_the_server_lets(postgres, make_gateway, steps):
    """CASCADE drops foreign keys of others' tables, which only their owners could drop one by one."""
    postgres.execute('ALTER TABLE "Parts Of" OWNER TO postgres', steps)
    with make_gateway(MAY_DROP).login(database=steps) as client:
        answer = client.query("DROP TABLE parts CASCADE", timeout=60)
        assert not wire.errors(answer) and not steps_of(answer), answer
    assert postgres.execute("SELECT to_regclass('parts')", steps) == [(None,)]


def test_several_foreign_keys_are_not_dropped_in_a_transaction(target, steps):
    with target.login(database=steps) as client:
        client.query("BEGIN")
        error = sole_error(client.query(STATEMENTS["foreign keys to several tables"]))
        assert error["C"] == "25001" and "DROP CONSTRAINT made" in error["H"], error
        assert client.query("ROLLBACK")[-1].status == "I"


def test_rows_that_the_role_cannot_see_are_not_filled(postgres, target, steps):
    postgres.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON orders USING (id < 10)", steps)
    before = schema_of(postgres, steps)
    with target.login(database=steps) as client:
        error = sole_error(client.query("ALTER TABLE orders ADD COLUMN number serial"))
        assert error["C"] == "TG001" and "row level security" in error["D"], error
    assert schema_of(postgres, steps) == before
    with target.login("postgres", database=steps) as client:   # sees them all
        assert not wire.errors(client.query("ALTER TABLE orders ADD COLUMN number serial", timeout=60))
    assert postgres.execute("SELECT count(DISTINCT number) FROM orders", steps) == [(20000,)]


def test_a_domain_is_judged_by_the_tables_that_use_it(postgres, target, steps):
    postgres.execute("CREATE DOMAIN price AS int; ALTER DOMAIN price OWNER TO app; CREATE TABLE small (p price); INSERT INTO small VALUES (1)", steps)
    with target.login(database=steps) as client:
        assert not wire.errors(client.query("ALTER DOMAIN price ADD CONSTRAINT a CHECK (VALUE > 0)"))
        postgres.execute("CREATE TABLE priced AS SELECT n::price AS p FROM generate_series(1, 50000) n", steps)
        error = sole_error(client.query("ALTER DOMAIN price ADD CONSTRAINT b CHECK (VALUE > 0)"))
        assert error["C"] == "TG001" and "public.priced" in error["M"] and "blocks writes" in error["D"], error
        assert not wire.errors(client.query("ALTER DOMAIN price ADD CONSTRAINT b CHECK (VALUE > 0) NOT VALID"))
        assert wire.errors(client.query("ALTER DOMAIN price VALIDATE CONSTRAINT b")) == ["TG001"]


def test_what_is_prepared_is_renewed_as_soon_as_a_step_has_changed_it(make_gateway, steps):
    """The news of a step is out before the statements that it has held go on, which would fail again and again."""
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "session"}}}})
    errors, done = [], threading.Event()

    def ask():
        with gateway.login(database=steps) as client:
            client.sync(wire.parse("SELECT word FROM words LIMIT 1", "s"))
            while not done.is_set():
                errors.extend(wire.errors(client.sync(wire.bind("s"), wire.execute())))

    askers = [threading.Thread(target=ask) for _ in range(6)]
    collations = ("POSIX", "C", "POSIX")
    for asker in askers:
        asker.start()
    try:
        with gateway.login(database=steps) as client:
            for collation in collations:
                answer = client.query(f'ALTER TABLE words ALTER word TYPE varchar(20) COLLATE "{collation}"', timeout=60)
                assert not wire.errors(answer) and steps_of(answer), answer
    finally:
        done.set()
        for asker in askers:
            asker.join()
    # Whoever has passed the gate as it closed may be overtaken (docs/limitations.md): once for each change.
    assert set(errors) <= {"0A000"} and len(errors) <= len(askers) * len(collations), errors


VIOLATED = {
    "not null": ("UPDATE orders SET note = NULL WHERE id = 7", "ALTER TABLE orders ALTER note SET NOT NULL"),
    "check": ("SELECT 1", "ALTER TABLE orders ADD CHECK (qty > 7)"),
    "foreign key": ("UPDATE orders SET customer = -1 WHERE id = 7", "ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers"),
    "unique": ("UPDATE orders SET qty = 8 WHERE id = 7", "ALTER TABLE orders ADD UNIQUE (qty)"),
    "column and check": ("SELECT 1", "ALTER TABLE orders ADD COLUMN c float8 DEFAULT random(), ADD CHECK (qty > 7)"),
    "exists": ("SELECT 1", "ALTER TABLE orders ADD COLUMN note uuid DEFAULT md5(random()::text)::uuid"),
    "partition": ("UPDATE events SET who = -1 WHERE id = 7", "ALTER TABLE events ADD FOREIGN KEY (who) REFERENCES customers"),
    "primary key": ("INSERT INTO keyless VALUES (1, 'x')", "ALTER TABLE keyless ADD PRIMARY KEY (a)"),
    "no such column": ("SELECT 1", "ALTER TABLE orders ADD CHECK (nothing > 7)"),
}


@pytest.mark.parametrize("damage, sql", VIOLATED.values(), ids=VIOLATED.keys())
def test_what_fails_fails_as_the_plain_statement_and_leaves_nothing(postgres, target, databases, damage, sql):
    plain, steps = databases
    for database in databases:
        postgres.execute(damage, database)
    before = schema_of(postgres, steps)
    with postgres.connect(user="app", dbname=plain) as direct, pytest.raises(psycopg.Error) as plainly:
        direct.execute(sql)
    with target.login(database=steps) as client:
        error = sole_error(client.query(sql, timeout=60))
    assert error["C"] == plainly.value.sqlstate, error
    assert error["M"] == plainly.value.diag.message_primary, error
    assert schema_of(postgres, steps) == before
    assert leftovers(postgres, steps) == []


def test_in_a_transaction_it_is_refused_in_the_words_of_the_tool(target, steps):
    with target.login(database=steps) as client:
        client.query("SET application_name = 'rails db:migrate'")
        client.query("BEGIN")
        error = sole_error(client.query("ALTER TABLE orders ALTER note SET NOT NULL"))
        assert error["C"] == "25001" and "disable_ddl_transaction!" in error["H"], error
        assert client.query("ROLLBACK")[-1].status == "I"
        assert not wire.errors(client.query("ALTER TABLE orders ALTER note SET NOT NULL"))


def test_extended_protocol_gets_one_answer(target, steps):
    with target.login(database=steps) as client:
        sql = "ALTER TABLE orders ADD CHECK (qty > 0)"
        answer = client.sync(wire.parse(sql), wire.bind(), wire.execute())
        assert wire.types([m for m in answer if m.type != "N"]) == "12CZ", wire.types(answer)
        assert client.value("SELECT count(*) FROM pg_constraint WHERE conname = 'orders_qty_check' AND convalidated") == "1"
        # with something behind it, it is in a transaction of its own no more
        answer = client.sync(wire.parse("ALTER TABLE orders ADD CHECK (qty > 1)"), wire.bind(), wire.execute(), wire.bind(), wire.execute())
        assert wire.errors(answer) == ["25001"]


def test_a_trigger_that_would_run_for_every_row_is_named(postgres, target, steps):
    postgres.execute("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.placed := now(); RETURN NEW; END'; "
                     "CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()", steps)
    with target.login(database=steps) as client:
        error = sole_error(client.query("ALTER TABLE orders ADD COLUMN token uuid DEFAULT md5(random()::text)::uuid"))
        assert error["C"] == "TG001" and "trigger touched" in error["D"], error


NOT_NULL = "ALTER TABLE orders ALTER note SET NOT NULL"


def is_not_null(postgres, database) -> bool:
    return postgres.execute("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'note'", database) == [(True,)]


def notices(messages) -> str:
    return "\n".join(m.fields()["M"] for m in messages if m.type == "N")


def test_session_may_only_be_told_the_steps(postgres, target, steps):
    with target.login(database=steps, parameters={"options": "-c tidegate.ddl_mode=plan"}) as client:
        error = sole_error(client.query(NOT_NULL))
        assert error["C"] == "TG001" and "tidegate.ddl_mode is plan" in error["D"], error
        assert not is_not_null(postgres, steps)
        client.query("SET tidegate.ddl_mode = sometimes")
        assert sole_error(client.query(NOT_NULL))["C"] == "22023"
        client.query("SET tidegate.ddl_mode = off")   # app may not override
        assert sole_error(client.query(NOT_NULL))["C"] == "42501"
        client.query("SET tidegate.ddl_mode = wait")
        assert "carried out in" in notices(client.query(NOT_NULL))
    assert is_not_null(postgres, steps)


def test_policy_says_for_whom_plans_are_carried_out(postgres, make_gateway, steps):
    gateway = make_gateway({"policies": {"ddl_mode": "plan", "overrides": [{"applications": ["break glass"], "ddl_mode": "off"},
                                                                           {"applications": ["deploy"], "ddl_mode": "wait"}]}})
    with gateway.login(database=steps) as client:
        error = sole_error(client.query(NOT_NULL))
        assert error["C"] == "TG001" and "policies.ddl_mode is plan here" in error["D"], error
        client.query("SET application_name = deploy")
        assert "carried out in" in notices(client.query(NOT_NULL))
        assert not wire.errors(client.query("ALTER TABLE orders ALTER note DROP NOT NULL"))
        client.query("SET application_name = 'break glass'")
        answer = client.query(NOT_NULL)
        assert not wire.errors(answer) and "carried out" not in notices(answer), answer
        client.query("SET tidegate.ddl_mode = plan")   # the session asks for less
        assert sole_error(client.query("ALTER TABLE orders ADD CHECK (qty > 0)"))["C"] == "TG001"
    assert is_not_null(postgres, steps)


# ---- interrupted ------------------------------------------------------------------------------------------------------

TRAP = """
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END';
CREATE TRIGGER trap BEFORE UPDATE ON tidegate.step FOR EACH ROW WHEN (NEW.plan > 1 AND NEW.number = {number} AND NEW.state = '{state}') EXECUTE FUNCTION trap();
"""
WALKED = ["not null", "identity with options", "foreign key of a partitioned table", "index of a partitioned table", "many subcommands",
          "column with an inline foreign key and a default", "foreign keys to several tables", "column with the default of its domain", "collation"]


def trapped(postgres, database: str) -> bool:
    return postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s", "postgres", (database,))[0][0] > 0


@pytest.mark.parametrize("state", ["running", "done"], ids=["before each step", "after each step"])
@pytest.mark.parametrize("sql", [STATEMENTS[kind] for kind in WALKED] + [DROPS["table, with foreign keys of others"]], ids=[*WALKED, "drop table"])
def test_killed_at_each_step_the_same_statement_goes_on(postgres, make_gateway, walked, sql, state):
    """Client, gateway and server connection in turn, just before a step is run, and just before it is written down that it was."""
    if postgres.version() < 130000 and sql == STATEMENTS["column with the default of its domain"]:
        pytest.skip("from PostgreSQL 13 on")
    gateway = make_gateway(MAY_DROP)
    gateway.may_end = True
    database = walked()
    with postgres.connect(user="app", dbname=database) as direct:
        direct.execute(sql)
    expected = schema_of(postgres, database)
    number, steps = 0, 1
    while (number := number + 1) <= steps:
        killed = ["client", "gateway", "server"][number % 3]
        database = walked()
        before = contents(postgres, database)
        with gateway.login(database=database) as client:   # makes the ledger
            assert not wire.errors(client.query("ALTER TABLE keyless ADD CONSTRAINT first CHECK (a > -9)"))
        postgres.execute("ALTER TABLE keyless DROP CONSTRAINT first; " + TRAP.format(number=number, state=state), database)
        client = gateway.login(database=database)
        client.send(wire.query(sql))
        wait_until(lambda: trapped(postgres, database), what=f"step {number} is reached")
        if killed == "client":
            client.close()
        elif killed == "gateway":
            gateway.signal(signal.SIGKILL)
            gateway.wait()
            gateway.start()
        else:
            postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'app'", "postgres", (database,))
        steps = postgres.execute("SELECT count(*) FROM tidegate.step WHERE plan = (SELECT max(id) FROM tidegate.plan)", database)[0][0]
        client.close()
        wait_until(lambda: not trapped(postgres, database), what="it was written down")
        wait_until(lambda: not postgres.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s AND usename = 'app'", "postgres", (database,)),
                   what="the client's server connection is gone")
        postgres.execute("DROP TRIGGER trap ON tidegate.step; DROP FUNCTION trap()", database)
        if postgres.execute("SELECT state FROM tidegate.plan ORDER BY id DESC LIMIT 1", database) == [("done",)]:
            assert number == steps, "it was finished without its client"   # its last step was done, and the client did not hear of it
        elif sql.startswith("DROP TABLE") and number == steps and state == "done":
            with gateway.login(database=database) as client:
                assert wire.errors(client.query(sql)) == ["42P01"], "it is gone, as after a plain one whose answer was lost"
        else:
            with gateway.login(database=database) as client:
                answer = client.query(sql, timeout=60)
                assert not wire.errors(answer), (killed, number, sole_error(answer), [m.fields()["M"] for m in answer if m.type == "N"])
                assert "going on" in answer[0].fields()["M"], (killed, number)
        assert schema_of(postgres, database) == expected, (killed, number)
        assert contents(postgres, database) == before, (killed, number)
        assert leftovers(postgres, database) == [], (killed, number)


def test_cancelled_it_says_what_stands_and_goes_on_later(postgres, target, databases):
    plain, steps = databases
    sql = "ALTER TABLE orders ALTER note SET NOT NULL"
    with postgres.connect(user="app", dbname=plain) as direct:
        direct.execute(sql)
    with target.login(database=steps) as client, postgres.connect(dbname=steps) as blocker:
        blocker.execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")   # VALIDATE waits, and so does step 1
        client.send(wire.query(sql))
        while not client.read_until("N")[-1].fields()["M"].startswith("waiting: pid"):
            pass
        wire.cancel(target.host, target.port, client.pid, client.key)
        error = sole_error(client.read_until("Z"))
        assert error["C"] == "57014", error
        blocker.execute("ROLLBACK; BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; COMMIT")
        assert not wire.errors(client.query(sql, timeout=60))
    assert schema_of(postgres, steps) == schema_of(postgres, plain)


def test_cancelled_in_the_middle_it_names_the_undo(postgres, target, steps):
    with target.login(database=steps) as client, postgres.connect(dbname=steps) as old:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM customers")   # CONCURRENTLY waits for its snapshot
        client.send(wire.query("ALTER TABLE keyless ADD PRIMARY KEY (a)"))
        wait_until(lambda: postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE UNIQUE INDEX CONC%%' AND wait_event_type = 'Lock'",
                                            "postgres")[0][0], what="the build waits")
        wire.cancel(target.host, target.port, client.pid, client.key)
        error = sole_error(client.read_until("Z", timeout=20))
        assert error["C"] == "57014" and "stand" in error["D"] and ("DROP NOT NULL" in error["H"] or "keyless_a_not_null" in error["H"]) and "again" in error["H"], error
        assert leftovers(postgres, steps) == []
        old.execute("ROLLBACK")
        answer = client.query("ALTER TABLE keyless ADD PRIMARY KEY (a)", timeout=60)
        assert not wire.errors(answer)
        assert "going on" in answer[0].fields()["M"]


def test_two_at_once_take_turns(postgres, target, steps):
    answers = []

    def run():
        with target.login(database=steps) as client:
            answers.append(client.query("ALTER TABLE orders ADD CONSTRAINT one UNIQUE (qty)", timeout=60))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wire.errors(a) for a in answers) == [[], ["42P07"]] or sorted(wire.errors(a) for a in answers) == [[], ["42710"]], answers
    assert leftovers(postgres, steps) == []
    assert postgres.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'one'", steps) == [(1,)]


def test_without_rights_to_write_it_down_it_says_so_and_works(postgres, make_gateway, template):
    postgres.execute("CREATE ROLE poor_control LOGIN; GRANT pg_monitor TO poor_control")
    database = f"plan_{os.getpid()}_poor"
    postgres.execute(f"CREATE DATABASE {database} TEMPLATE {template} OWNER app", "postgres")
    try:
        gateway = make_gateway({"databases": {"*": {"control": {"user": "poor_control"}}}})
        with gateway.login(database=database) as client:
            answer = client.query("ALTER TABLE orders ADD CHECK (qty > 0)")
            assert not wire.errors(answer)
            assert any("can't be written down" in m.fields()["M"] for m in answer if m.type == "N"), answer
    finally:
        postgres.drop_database(database)
        postgres.execute("DROP ROLE poor_control")


def test_a_ledger_that_somebody_else_made_is_not_trusted(postgres, target, steps):
    """Whoever may create a schema could otherwise have its own SQL run with the rights of others."""
    postgres.execute("CREATE ROLE evil LOGIN", "postgres")
    postgres.execute(f"GRANT CREATE ON DATABASE {steps} TO evil", "postgres")
    try:
        with postgres.connect(user="evil", dbname=steps) as evil:
            evil.execute("CREATE SCHEMA tidegate; CREATE TABLE tidegate.plan (id bigint, relation oid, statement text, state text); "
                         "CREATE TABLE tidegate.step (plan bigint, number int, kind text, sql text, done text, undo text, not_null_column text, state text); "
                         "INSERT INTO tidegate.plan SELECT 1, 'public.orders'::regclass, 'ALTER TABLE orders ADD COLUMN harmless int', 'stopped'; "
                         "INSERT INTO tidegate.step VALUES (1, 1, 'brief', 'ALTER TABLE customers RENAME TO gone', '', '', '', 'pending'); "
                         "GRANT ALL ON SCHEMA tidegate TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA tidegate TO PUBLIC")
        with target.login(database=steps) as client:
            assert not wire.errors(client.query("ALTER TABLE orders ADD COLUMN harmless int"))
            assert client.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'harmless'") == "1"
            assert client.value("SELECT to_regclass('gone') IS NULL") == "t"
            answer = client.query("ALTER TABLE orders ADD CHECK (qty > 0)")
            assert not wire.errors(answer)
            assert any("belongs to another role" in m.fields()["M"] for m in answer if m.type == "N")
    finally:
        postgres.execute("DROP SCHEMA tidegate CASCADE", steps)
        postgres.execute(f"REVOKE ALL ON DATABASE {steps} FROM evil; DROP ROLE evil", "postgres")


def test_a_member_of_the_owner_gets_its_sequence(postgres, target, steps):
    with target.login("postgres", database=steps) as client:
        assert not wire.errors(client.query("ALTER TABLE orders ADD COLUMN number serial, ADD COLUMN ident int GENERATED ALWAYS AS IDENTITY", timeout=60))
    assert postgres.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relkind = 'S' AND relname LIKE 'orders_%%'", steps) == [("app",), ("app",)]


def test_a_constraint_that_only_looks_like_the_helper_stays(postgres, target, steps):
    postgres.execute("ALTER TABLE orders ADD CONSTRAINT orders_note_tidegate_nn CHECK (length(note) < 1000)", steps)
    with target.login(database=steps) as client:
        assert not wire.errors(client.query("ALTER TABLE orders ALTER note SET NOT NULL"))
    assert leftovers(postgres, steps) == ["orders_note_tidegate_nn"]


def test_what_fails_takes_nothing_instant_with_it(postgres, target, steps):
    before = schema_of(postgres, steps)
    with target.login(database=steps) as client:
        error = sole_error(client.query("ALTER TABLE orders ADD COLUMN a int, ALTER qty SET DEFAULT 7, ADD CHECK (qty < 0)"))
        assert error["C"] == "23514", error
    assert schema_of(postgres, steps) == before


def test_a_table_that_takes_the_name_meanwhile_is_left_alone(postgres, target, steps):
    postgres.execute("CREATE TABLE other (id bigint PRIMARY KEY, token float8); ALTER TABLE other OWNER TO app; "
                     "INSERT INTO orders (id, customer, qty, note) SELECT n, 1, n, 'more' FROM generate_series(30001, 90000) n", steps)
    with target.login(database=steps) as client:
        client.send(wire.query("ALTER TABLE orders ADD COLUMN token float8 DEFAULT random() NOT NULL"))
        wait_until(lambda: postgres.execute("SELECT 1 FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'token'", steps), what="it is being filled")
        postgres.execute("SET lock_timeout = '5s'; BEGIN; ALTER TABLE orders RENAME TO old; ALTER TABLE other RENAME TO orders; COMMIT", steps)
        error = sole_error(client.read_until("Z", timeout=30))
        assert error["C"] == "55000" and "renamed or replaced" in error["M"], error
    assert postgres.execute("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'token'", steps) == [(1,)]
