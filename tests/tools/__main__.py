"""Runs migrations of real tools against PostgreSQL itself and through the gateway, and writes down what came of each.

    scripts/migration-tools [--tool NAME]... [--pool MODE]... [--rows N]

Writes build/tools/results.json and results.md; the tools' own outputs are beside them.
"""

import argparse
import dataclasses
import json
import pathlib
import sys

import psycopg

from support import process
from support.gateway import ROOT, Gateway
from support.postgres import Postgres
from support.target import Target

from . import table
from .tool import TOOLS, version_of
from .trial import Result, Trial
from .witness import SERVER_SETTINGS, AuditLog, ServerLog

OUT = ROOT / "build/tools"
POOLS = ("session", "transaction")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/migration-tools", description=__doc__.split("\n")[0])
    parser.add_argument("--tool", action="append", choices=TOOLS, help="one tool (may be repeated)")
    parser.add_argument("--pool", action="append", choices=POOLS, help="one mode of pooling (may be repeated)")
    parser.add_argument("--rows", type=int, default=200_000, help="of the table that is migrated (default: 200,000)")
    arguments = parser.parse_args()
    modules = OUT / "node_modules"
    postgres = Postgres(settings=SERVER_SETTINGS)
    try:
        for name in arguments.tool or TOOLS:
            tool = TOOLS[name]
            version = version_of(tool, modules)
            if not version:
                print(f"{tool.title}: not there", file=sys.stderr)
                return 1
            print(f"==> {tool.title} {version}", flush=True)
            results = {"direct": against_server(tool, postgres, modules, arguments.rows)}
            for pool in arguments.pool or POOLS:
                results[pool] = through_gateway(tool, postgres, pool, modules, arguments.rows)
            file = OUT / "results" / name / "result.json"
            file.write_text(json.dumps({"tool": tool.title, "version": version, "results": {k: dataclasses.asdict(r) for k, r in results.items()}}, indent=1))
    finally:
        postgres.close()
    return table.write(OUT)


def in_locks(postgres: Postgres, database: str) -> int:
    """How many sessions of the database wait for a lock in the server."""
    return postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", "postgres", (database,))[0][0]


def against_server(tool, postgres: Postgres, modules: pathlib.Path, rows: int) -> Result:
    print("  direct", flush=True)

    def waiting(database: str) -> int:
        return in_locks(postgres, database)

    return Trial(tool, Target(postgres), postgres, ServerLog(postgres), waiting, modules, OUT / "results" / tool.name / "direct",
                 rows).run()


def through_gateway(tool, postgres: Postgres, pool: str, modules: pathlib.Path, rows: int) -> Result:
    print(f"  {pool} pool", flush=True)
    folder = process.scratch_folder("audit")
    audit = folder / "audit.jsonl"
    gateway = Gateway(postgres, {"databases": {"*": {"pool": {"mode": pool, "size": 20}}}, "audit": {"file": str(audit)},
                                 "policies": {"allow_override_roles": ["app"]}})

    def waiting(database: str) -> int:
        with psycopg.connect(host=gateway.host, port=gateway.port, user="postgres", dbname="tidegate", autocommit=True) as console:
            shown = console.cursor()
            shown.execute("SHOW DDL")
            guarded = sum(row[1] == database for row in shown.fetchall())
        # one that waits for its turn asks again and again who has it
        (asking,), = postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE '%%l.locktype%%advisory%%'", "postgres",
                                      (database,))
        return guarded + asking + in_locks(postgres, database)

    try:
        return Trial(tool, gateway, postgres, AuditLog(gateway, audit), waiting, modules, OUT / "results" / tool.name / pool, rows).run()
    finally:
        gateway.close()
        process.remove(folder)


if __name__ == "__main__":
    sys.exit(main())
