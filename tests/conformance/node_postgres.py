"""node-postgres' integration tests: one program each.

Needs a checkout of brianc/node-postgres and a node_modules folder with pg, async@2.6.4, bluebird@3.7.2, co@4.6.0 and
pg-copy-streams@0.3.0.
"""

import pathlib
import shutil

from .suite import PASSED, Address, NotHere, Outcome, fresh_database, run, same

NAME = "node-postgres"


def run_suite(suites: pathlib.Path, address: Address, postgres, out: pathlib.Path, only: list[str]) -> Outcome:
    package, modules = suites / "node-postgres/packages/pg", suites / "node/node_modules"
    if not package.is_dir() or not (modules / "pg-protocol").is_dir():
        raise NotHere(f"{package} and {modules}")
    fresh_database(postgres, "node_postgres")
    work = out / "node-postgres"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(package, work / "packages/pg")
    (work / "node_modules").symlink_to(modules)
    for file in (work / "packages/pg").rglob("pgpass.file"):
        file.chmod(0o600)
    environment = address.environment("node_postgres") | {
        "PGPASSWORD": "unused", "PGSSLMODE": "no-verify" if address.tls else "disable", "PGTESTNOSSL": "" if address.tls else "true"}
    outcome = {}
    for test in sorted((work / "packages/pg").glob("test/integration/**/*-tests.js")):
        name = str(test.relative_to(work / "packages/pg/test/integration"))
        if only and name not in only:
            continue
        code = run(["node", test], log=out / (name.replace("/", "_") + ".log"), timeout=60, cwd=work / "packages/pg", env=environment)
        outcome[name] = PASSED if code == 0 else f"failed: exit code {code}"
    return outcome


def baseline(outcome: Outcome, _suites: pathlib.Path) -> Outcome:
    return outcome


__all__ = ["NAME", "run_suite", "same", "baseline"]
