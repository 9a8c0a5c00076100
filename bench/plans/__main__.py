"""What an application feels while a schema change is carried out: each kind of plan through the gateway, beside the plain statement sent
directly, on a table of some million rows under a mixed load with a long transaction now and then (bench/README.md).

The load is pgbench at a fixed rate, so that a stall shows as latency; every transaction is logged. Writes a table in Markdown.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import psycopg

from load.drivers import percentile
from support.gateway import Gateway
from support.postgres import DEBIAN_BINARIES, Postgres

ROOT = pathlib.Path(__file__).resolve().parents[2]

SCHEMA = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 10000) n;
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint, qty int, note text, placed timestamp DEFAULT '2020-01-01', CONSTRAINT few CHECK (qty < 1000000000));
INSERT INTO orders (id, customer, qty, note) SELECT n, n % 10000 + 1, n, 'note ' || n FROM generate_series(1, {rows}) n;
CREATE SEQUENCE new_orders START {first_new};
CREATE TABLE events (id bigint NOT NULL, day date NOT NULL, who bigint, what text) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2020-07-01') TO ('2021-01-01');
INSERT INTO events SELECT n, '2020-01-01'::date + n % 360, n % 10000 + 1, 'event ' || n FROM generate_series(1, {rows} / 2) n;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(qty) AS qty FROM orders GROUP BY customer;
CREATE UNIQUE INDEX ON totals (customer);
CREATE INDEX ON orders (note);
CREATE DOMAIN token AS uuid DEFAULT gen_random_uuid();
CREATE TABLE makers (id bigint PRIMARY KEY, name text);
INSERT INTO makers SELECT n, 'maker ' || n FROM generate_series(1, 1000) n;
CREATE TABLE places (id bigint PRIMARY KEY, name text);
INSERT INTO places SELECT n, 'place ' || n FROM generate_series(1, 1000) n;
"""

# A table whose foreign keys point at four that are in use.
LINKED = {"customer": "customers", "maker": "makers", "place": "places", "ordered": "orders"}
LINKS = "CREATE TABLE links (id bigint PRIMARY KEY, " + ", ".join(f"{key} bigint REFERENCES {to}" for key, to in LINKED.items()) + ")"
SCHEMA += LINKS + ";"

LOAD = r"""
\set id random(1, {rows})
\set event random(0, 359)
\set kind random(1, 11)
\if :kind <= 5
SELECT qty, note FROM orders WHERE id = :id;
\elif :kind <= 7
UPDATE orders SET qty = qty WHERE id = :id;
\elif :kind = 8
INSERT INTO orders (id, customer, qty, note) VALUES (nextval('new_orders'), 1, nextval('new_orders'), 'new');
\elif :kind = 9
SELECT qty FROM totals WHERE customer = 1 + :id % 10000;
\elif :kind = 10
SELECT c.name, m.name, p.name FROM customers c, makers m, places p WHERE c.id = 1 + :id % 10000 AND m.id = 1 + :id % 1000 AND p.id = 1 + :id % 1000;
\else
INSERT INTO events VALUES (nextval('new_orders'), date '2020-01-01' + :event::int, 1, 'new');
\endif
"""

# What is changed, and how it is undone before the next one.
CHANGES = {
    "SET NOT NULL": ("ALTER TABLE orders ALTER note SET NOT NULL", "ALTER TABLE orders ALTER note DROP NOT NULL"),
    "ADD CHECK": ("ALTER TABLE orders ADD CONSTRAINT c CHECK (qty > 0)", "ALTER TABLE orders DROP CONSTRAINT c"),
    "ADD FOREIGN KEY": ("ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (customer) REFERENCES customers", "ALTER TABLE orders DROP CONSTRAINT f"),
    "ADD FOREIGN KEY, partitioned": ("ALTER TABLE events ADD CONSTRAINT f FOREIGN KEY (who) REFERENCES customers", "ALTER TABLE events DROP CONSTRAINT f"),
    "ADD UNIQUE": ("ALTER TABLE orders ADD CONSTRAINT u UNIQUE (qty, id)", "ALTER TABLE orders DROP CONSTRAINT u"),
    "ADD PRIMARY KEY, partitioned": ("ALTER TABLE events ADD CONSTRAINT p PRIMARY KEY (id, day)", "ALTER TABLE events DROP CONSTRAINT p; ALTER TABLE events ALTER id DROP NOT NULL"),
    "ADD COLUMN, volatile default": ("ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()", "ALTER TABLE orders DROP COLUMN token"),
    "ADD COLUMN, identity": ("ALTER TABLE orders ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY", "ALTER TABLE orders DROP COLUMN number"),
    "ADD COLUMN, inline CHECK": ("ALTER TABLE orders ADD COLUMN state text DEFAULT 'new' CHECK (state <> '')", "ALTER TABLE orders DROP COLUMN state"),
    "CREATE INDEX": ("CREATE INDEX i ON orders (customer)", "DROP INDEX i"),
    "CREATE INDEX, partitioned": ("CREATE INDEX i ON events (who)", "DROP INDEX i"),
    "REINDEX": ("REINDEX TABLE orders", "SELECT 1"),
    "REFRESH": ("REFRESH MATERIALIZED VIEW totals", "SELECT 1"),
    "TYPE, another collation": ('ALTER TABLE orders ALTER note TYPE text COLLATE "POSIX"', 'ALTER TABLE orders ALTER note TYPE text COLLATE "default"'),
    "DROP CONSTRAINT, four foreign keys": ("ALTER TABLE links " + ", ".join(f"DROP CONSTRAINT links_{key}_fkey" for key in LINKED),
                                           "ALTER TABLE links " + ", ".join(f"ADD FOREIGN KEY ({key}) REFERENCES {to} NOT VALID" for key, to in LINKED.items())),
    "DROP TABLE, four foreign keys": ("DROP TABLE links", LINKS),
    "ADD COLUMN, volatile default of a domain": ("ALTER TABLE orders ADD COLUMN secret token", "ALTER TABLE orders DROP COLUMN secret"),
    "several subcommands": ("ALTER TABLE orders ALTER note SET NOT NULL, ADD CONSTRAINT c CHECK (qty > 0), ADD COLUMN extra int",
                            "ALTER TABLE orders ALTER note DROP NOT NULL, DROP CONSTRAINT c, DROP COLUMN extra"),
}


@dataclasses.dataclass
class Felt:
    """Latencies of the application's transactions, in milliseconds."""

    seconds: float        # that the change took
    worst: float
    p99: float
    transactions: int
    failed: int
    error: str = ""       # of the change


class Load:
    """pgbench at a fixed rate, and a transaction of three seconds every ten, until stopped."""

    def __init__(self, server, rows: int, rate: int, clients: int = 8):
        self.server, self.rate, self.clients = server, rate, clients
        self.folder = tempfile.TemporaryDirectory(prefix="tidegate-plans-")
        self.script = pathlib.Path(self.folder.name) / "load.sql"
        self.script.write_text(LOAD.format(rows=rows))

    def during(self, what) -> Felt:
        """Runs `what` two seconds into the load; what was felt from its beginning to a second after its end."""
        prefix = f"{self.folder.name}/log{time.monotonic_ns()}"
        bench = subprocess.Popen(
            [DEBIAN_BINARIES / "pgbench", "-n", "-l", f"--log-prefix={prefix}", "-f", self.script, "-c", str(self.clients), "-j", "2", "-R", str(self.rate),
             "-T", "3600", "-M", "prepared", "-h", self.server.host, "-p", str(self.server.port), "-U", "app", "app"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        stop = threading.Event()
        sleeper = threading.Thread(target=self._long_transactions, args=(stop,))
        sleeper.start()
        time.sleep(2)
        begin, error = time.time(), ""
        try:
            what()
        except psycopg.Error as problem:
            error = str(problem).splitlines()[0]
        end = time.time()
        time.sleep(1)
        stop.set()
        bench.terminate()
        told = bench.communicate()[0]
        sleeper.join()
        latencies = []
        for file in pathlib.Path(self.folder.name).glob(pathlib.Path(prefix).name + "*"):
            for line in file.read_text().splitlines():
                fields = line.split()
                if len(fields) < 6 or not fields[2].isdigit():
                    continue
                at = int(fields[4]) + int(fields[5]) / 1e6
                if begin <= at <= end + 1:
                    latencies.append(int(fields[2]) / 1e3)
        failed = len(re.findall(r"aborted|ERROR|FATAL", told))
        return Felt(end - begin, max(latencies, default=0.0), percentile(latencies, 0.99) if latencies else 0.0, len(latencies), failed, error)

    def _long_transactions(self, stop: threading.Event):
        with psycopg.connect(host=self.server.host, port=self.server.port, user="app", dbname="app", autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM orders WHERE id < 10")
                stop.wait(3)
                connection.execute("COMMIT")
                stop.wait(7)


def change(server, sql: str):
    with psycopg.connect(host=server.host, port=server.port, user="app", dbname="app", autocommit=True) as connection:
        connection.execute(sql)


def table(quiet: Felt, results: dict[str, tuple[Felt, Felt]], rows: int, rate: int) -> str:
    lines = [f"A table of {rows:,} rows, 8 clients with {rate} transactions a second (selects, updates, inserts), a transaction of 3 s every 10 s.",
             f"Without a schema change: worst {quiet.worst:.0f} ms, p99 {quiet.p99:.1f} ms of {quiet.transactions:,} transactions.", "",
             "| change | in steps: worst | p99 | errors | took | plain, directly: worst | p99 | took |", "|---|---|---|---|---|---|---|---|"]
    for name, (steps, plain) in results.items():
        lines.append(f"| {name} | {steps.worst:.0f} ms | {steps.p99:.1f} ms | {steps.failed} | {steps.seconds:.1f} s{' **' + steps.error + '**' if steps.error else ''} "
                     f"| {plain.worst:.0f} ms | {plain.p99:.1f} ms | {plain.seconds:.1f} s |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=300, help="transactions a second")
    parser.add_argument("--only", default="", help="a regular expression over the kinds")
    parser.add_argument("--quiet-seconds", type=float, default=12)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/plans-report")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    server = Postgres(settings={"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"})
    try:
        server.execute("ALTER SCHEMA public OWNER TO app")
        with server.connect(user="app") as maker:
            for statement in SCHEMA.format(rows=arguments.rows, first_new=arguments.rows + 1).split(";"):
                if statement.strip():
                    maker.execute(statement)
        server.execute("VACUUM ANALYZE")
        gateway = Gateway(server, {"databases": {"*": {"pool": {"mode": "session"}}}, "policies": {"rules": {"drop-table": "allow"}}})
        try:
            quiet = Load(gateway, arguments.rows, arguments.rate).during(lambda: time.sleep(arguments.quiet_seconds))
            results = {}
            for name, (sql, undo) in CHANGES.items():
                if not re.search(arguments.only, name):
                    continue
                steps = Load(gateway, arguments.rows, arguments.rate).during(lambda: change(gateway, sql))
                if not steps.error:
                    change(server, undo)
                plain = Load(server, arguments.rows, arguments.rate).during(lambda: change(server, sql))
                change(server, undo)
                results[name] = (steps, plain)
                print(table(quiet, {name: results[name]}, arguments.rows, arguments.rate).splitlines()[-1], flush=True)
            text = table(quiet, results, arguments.rows, arguments.rate)
            (arguments.out / "plans.md").write_text(text)
            (arguments.out / "plans.json").write_text(json.dumps({"quiet": dataclasses.asdict(quiet), "rows": arguments.rows, "rate": arguments.rate, "changes": {
                name: {"steps": dataclasses.asdict(s), "plain": dataclasses.asdict(p)} for name, (s, p) in results.items()}}, indent=1))
            print(text)
        finally:
            gateway.close()
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
