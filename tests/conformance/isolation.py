"""PostgreSQL's isolation specs (src/test/isolation): several sessions at once, lock waits, deadlocks.

isolationtester asks PostgreSQL whether the backend whose pid it was given is blocked, so a gateway that hands out pids of its
own fails every spec with a wait in it.
"""

import pathlib
import shutil

from . import regression
from .regression import TOOLS
from .suite import Address, NotHere, Outcome, fresh_database, run

NAME = "isolation"
same = regression.same


def run_suite(suites: pathlib.Path, address: Address, postgres, out: pathlib.Path, only: list[str]) -> Outcome:
    source = suites / "postgresql/src/test/isolation"
    tool = TOOLS / "isolation/pg_isolation_regress"
    if not source.is_dir() or not tool.exists():
        raise NotHere(f"{source} and {tool}")
    fresh_database(postgres, "isolation_regression")
    tests = only or schedule(source)
    work = out / "isolation"
    shutil.rmtree(work, ignore_errors=True)
    (work / "results").mkdir(parents=True)
    run([tool, f"--bindir={postgres.binaries}", "--use-existing", "--dbname=isolation_regression", f"--host={address.host}",
         f"--port={address.port}", f"--user={address.user}", f"--inputdir={source}", f"--outputdir={work}", *tests],
        log=out / "pg_isolation_regress.log", timeout=1800, env=address.environment("isolation_regression"))
    return regression.collect(work / "results", tests, address)


def schedule(source: pathlib.Path) -> list[str]:
    lines = (source / "isolation_schedule").read_text().splitlines()
    return [name for line in lines if line.startswith("test:") for name in line.removeprefix("test:").split()]


def baseline(outcome: Outcome, suites: pathlib.Path) -> Outcome:
    return regression.judge(outcome, suites / "postgresql/src/test/isolation/expected")
