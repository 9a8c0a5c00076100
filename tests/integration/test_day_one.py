"""Day one: a dump of a filled database is restored through an enforcing gateway, without overrides."""

import re
import subprocess

import pytest

pytestmark = pytest.mark.gateway_only

# More than 8 MiB and 1,000 rows each, so that neither smallness nor emptiness lets it pass; names that need quotes.
SCHEMA = """
CREATE SCHEMA sales;
CREATE TYPE mood AS ENUM ('calm', 'busy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE customers (id bigserial PRIMARY KEY, name text NOT NULL CHECK (name <> ''), email text UNIQUE, mood mood DEFAULT 'calm', level positive);
CREATE TABLE sales.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL REFERENCES customers (id), note text,
    total numeric CHECK (total >= 0), twice numeric GENERATED ALWAYS AS (total * 2) STORED, EXCLUDE USING btree (id WITH =));
CREATE TABLE "Odd Name" (id int PRIMARY KEY, "Weird""column" text);
CREATE TABLE parts (id int, day date NOT NULL, body text) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO customers (name, email, level) SELECT repeat('n', 200) || n, 'e' || n, n FROM generate_series(1, 40000) n;
INSERT INTO sales.orders (customer, note, total) SELECT n % 40000 + 1, repeat('x', 150), n FROM generate_series(1, 60000) n;
INSERT INTO "Odd Name" SELECT n, repeat('y', 400) FROM generate_series(1, 30000) n;
INSERT INTO parts SELECT n, date '2020-01-01' + n % 700, repeat('z', 300) FROM generate_series(1, 60000) n;
CREATE INDEX ON sales.orders (customer);
CREATE INDEX large_ones ON sales.orders (total) WHERE total > 100;
CREATE UNIQUE INDEX ON customers (lower(email));
CREATE INDEX ON "Odd Name" ("Weird""column");
CREATE INDEX ON parts (day);
ALTER TABLE parts ADD PRIMARY KEY (id, day);
CREATE VIEW spending AS SELECT c.name, o.total FROM customers c JOIN sales.orders o ON o.customer = c.id;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) AS total FROM sales.orders GROUP BY 1;
CREATE UNIQUE INDEX ON totals (customer);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE kept AS ON DELETE TO "Odd Name" DO INSTEAD NOTHING;
CREATE STATISTICS together ON customer, total FROM sales.orders;
ALTER TABLE sales.orders ALTER COLUMN note SET STATISTICS 300;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON customers USING (true);
ALTER TABLE customers CLUSTER ON customers_pkey;
"""


def run(postgres, program: str, *arguments, stdin: bytes | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run([postgres.binaries / program, *arguments], input=stdin, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done


def schema_of(postgres, database: str) -> str:
    """As pg_dump writes it, directly; without the keys that each dump makes anew."""
    text = run(postgres, "pg_dump", "-s", "-h", postgres.host, "-p", str(postgres.port), "-U", "app", database).stdout.decode()
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


@pytest.fixture(scope="module")
def filled(postgres):
    for name in ("day_one", "by_psql", "by_pg_restore"):
        postgres.execute(f"CREATE DATABASE {name} OWNER app", "postgres")
    with postgres.connect(user="app", dbname="day_one") as connection:
        connection.execute(SCHEMA)
    yield "day_one"
    for name in ("day_one", "by_psql", "by_pg_restore"):
        postgres.drop_database(name)


def assert_restored(postgres, name: str):
    assert schema_of(postgres, name) == schema_of(postgres, "day_one")
    with postgres.connect(user="app", dbname=name) as restored:
        assert restored.execute("SELECT count(*), sum(total) FROM sales.orders").fetchone() == (60000, 1800030000)
        assert restored.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


def test_dump_piped_into_psql(target, bystander, postgres, filled):
    dump = run(postgres, "pg_dump", target.uri(dbname=filled)).stdout
    run(postgres, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", target.uri(dbname="by_psql"), stdin=dump)
    assert_restored(postgres, "by_psql")


def test_parallel_restore(target, bystander, postgres, filled, tmp_path):
    run(postgres, "pg_dump", "-Fc", "-f", str(tmp_path / "dump"), target.uri(dbname=filled))
    run(postgres, "pg_restore", "-j", "4", "-d", target.uri(dbname="by_pg_restore"), str(tmp_path / "dump"))
    assert_restored(postgres, "by_pg_restore")
