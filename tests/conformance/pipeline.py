"""libpq_pipeline of PostgreSQL (src/test/modules/libpq_pipeline), already built: pipelines, errors in them, COPY, row by row.

Each of its tests is traced by libpq; where the order of messages is not a matter of timing the traces must be equal, message for message.
"""

import pathlib
import re

from .suite import PASSED, Address, NotHere, Outcome, fresh_database, run

NAME = "libpq_pipeline"
# the tests whose traces PostgreSQL compares itself
TRACED = {"disallowed_in_pipeline", "multi_pipelines", "nosync", "pipeline_abort", "pipeline_idle", "prepared", "simple_pipeline",
          "singlerow", "transaction"}


def run_suite(suites: pathlib.Path, address: Address, postgres, out: pathlib.Path, only: list[str]) -> Outcome:
    program = suites / "bin/libpq_pipeline"
    if not program.exists():
        raise NotHere(str(program))
    fresh_database(postgres, "libpq_pipeline")
    listing = out / "tests"
    run([program, "tests"], log=listing, timeout=10)
    outcome = {}
    for test in only or listing.read_text().split():
        trace = out / f"{test}.trace"
        trace.unlink(missing_ok=True)
        code = run([program, "-r", "700", "-t", trace, test, address.conninfo("libpq_pipeline")], log=out / f"{test}.log", timeout=120)
        outcome[test] = PASSED if code == 0 else f"failed: exit code {code}"
        if code == 0 and test in TRACED:
            outcome[test] += "\n" + _stable(trace.read_text(errors="replace"))
    return outcome


def _stable(trace: str) -> str:
    """Without the places in PostgreSQL's sources that errors name."""
    return re.sub(r'"[LRF][^"]*"|SSSS [^ ]*', "", trace)


def same(direct: str, through: str) -> bool:
    return direct == through


def baseline(outcome: Outcome, _suites: pathlib.Path) -> Outcome:
    return {test: result.split("\n")[0] for test, result in outcome.items()}
