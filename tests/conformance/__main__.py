"""Runs other projects' tests against PostgreSQL and through the gateway, and lists every difference.

    scripts/conformance --suites FOLDER [--only SUITE]... [--mode MODE]... [--direct] [--test NAME]...

FOLDER holds the suites (README.md says what and where). Modes: direct (the baseline alone), and for the gateway `observe` and `enforce`
(every rule set to allow, so that the deciding path runs and changes nothing), each plain and with TLS on both sides.
"""

import argparse
import difflib
import pathlib
import sys
import time

from support import process
from support.gateway import Gateway
from support.postgres import Postgres

from . import isolation, node_postgres, pipeline, postgres_js, psycopg3, regression
from .suite import PASSED, Address, NotHere, Outcome

SUITES = {suite.NAME: suite for suite in (regression, isolation, pipeline, node_postgres, psycopg3, postgres_js)}
ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted(file.stem.replace("_", "-") for file in (ROOT / "policies/rules").glob("*.cpp"))   # a rule is a file
MODES = {
    "observe": {"policies": {"mode": "observe"}},
    # No relation is new or small, so that every strong lock is guarded; and one attempt is given the time that isolation specs let
    # their sessions wait for each other, since an attempt of 50 ms is another outcome by intention.
    "enforce": {"policies": {"mode": "enforce", "rules": dict.fromkeys(RULES, "allow"), "new_relation_window": "0s",
                             "small_table": {"rows": 0, "bytes": 0}},
                "locks": {"lock_timeout": "10m", "precheck_age": "10m", "ddl_wait_budget": "1ms", "transaction_wait_budget": "1ms",
                          "hold_budget": "10m", "transaction_hold_budget": "10m"}},
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__.split("\n")[0])
    parser.add_argument("--suites", type=pathlib.Path, required=True, help="the folder with the suites")
    parser.add_argument("--only", action="append", choices=SUITES, help="one suite (may be repeated)")
    parser.add_argument("--mode", action="append", choices=MODES, help="one mode of the gateway (may be repeated)")
    parser.add_argument("--tls", choices=("on", "off"), help="with TLS or without it only")
    parser.add_argument("--direct", action="store_true", help="the baselines alone, without a gateway")
    parser.add_argument("--test", action="append", default=[], help="one test of the suite (may be repeated)")
    parser.add_argument("--out", type=pathlib.Path, help="where outputs and differences go (default: build/conformance)")
    arguments = parser.parse_args()
    out = (arguments.out or ROOT / "build/conformance").resolve()
    out.mkdir(parents=True, exist_ok=True)

    runner = Runner(arguments.suites.resolve(), out, arguments.test)
    table: list[tuple[str, ...]] = []
    try:
        for tls in (False, True):
            if arguments.tls in (None, "on" if tls else "off"):
                for name in arguments.only or SUITES:
                    table += runner.compare(SUITES[name], tls, [] if arguments.direct else arguments.mode or list(MODES))
    finally:
        runner.close()
    report(table)
    return 1 if any(row[5] != "0" for row in table) else 0


class Runner:
    """One PostgreSQL, and a gateway per mode in front of it."""

    def __init__(self, suites: pathlib.Path, out: pathlib.Path, tests: list[str]):
        self.suites = suites
        self.out = out
        self.tests = tests
        # with synchronous_commit off, what replicates sees a commit later than suites wait for it
        self.postgres = Postgres(settings={"max_connections": "300", "synchronous_commit": "on"})
        self.gateways: dict[tuple[str, bool], Gateway] = {}

    def close(self):
        for gateway in self.gateways.values():
            gateway.close()
        self.postgres.close()

    def compare(self, suite, tls: bool, modes: list[str]) -> list[tuple[str, ...]]:
        """Rows (suite, mode, TLS, equal, passed directly, different, seconds), one for each mode and one for the baseline."""
        form = "on" if tls else "off"
        try:
            direct, seconds = self.run(suite, "direct", tls)
        except NotHere as missing:
            print(f"{suite.NAME}: not run, lacks {missing}", flush=True)
            return []
        verdicts = suite.baseline(direct, self.suites)
        passed = sum(verdict == PASSED for verdict in verdicts.values())
        for test, verdict in verdicts.items():
            if verdict.startswith("failed"):
                print(f"{suite.NAME} direct tls={form}: {test}: {verdict}", flush=True)
        rows = [(suite.NAME, "direct", form, str(len(direct)), str(passed), "0", f"{seconds:.0f}")]
        for mode in modes:
            through, seconds = self.run(suite, mode, tls)
            different = [test for test in direct if not suite.same(direct[test], through.get(test, "failed: no result"))]
            # a difference that is gone, or that PostgreSQL shows against itself, when run again is one of timing
            different = [test for test in different if not self.varies(suite, mode, tls, test)]
            for test in different:
                self.tell(suite, mode, form, test, direct[test], through.get(test, "failed: no result"))
            rows.append((suite.NAME, mode, form, str(len(direct) - len(different)), str(passed), str(len(different)), f"{seconds:.0f}"))
        return rows

    def run(self, suite, mode: str, tls: bool, tests: list[str] | None = None) -> tuple[Outcome, float]:
        target = self.postgres if mode == "direct" else self.gateway(mode, tls)
        folder = self.out / suite.NAME / f"{mode}{'-tls' if tls else ''}{'-again' if tests else ''}"
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        outcome = suite.run_suite(self.suites, Address(target.host, target.port, tls), self.postgres, folder, tests or self.tests)
        return outcome, time.monotonic() - started

    def varies(self, suite, mode: str, tls: bool, test: str) -> bool:
        """Whether one test, run alone twice each way, is equal at least once. PostgreSQL's regression SQL runs only as a whole."""
        if suite is regression:
            return False
        for _ in range(2):
            direct, through = (self.run(suite, way, tls, [test])[0].get(test, "failed: no result") for way in ("direct", mode))
            if suite.same(direct, through):
                print(f"{suite.NAME} {mode}: {test}: differs from run to run", flush=True)
                return True
        return False

    def tell(self, suite, mode: str, form: str, test: str, direct: str, through: str):
        file = self.out / suite.NAME / f"{mode}-tls-{form}-{test.replace('/', '_')}.diff"
        lines = list(difflib.unified_diff(direct.splitlines(), through.splitlines(), "direct", mode, lineterm=""))
        file.write_text("\n".join(lines) + "\n", errors="surrogateescape")
        first = next((line for line in lines[3:] if line[:1] == "+"), "")[:120]
        print(f"DIFFERENT {suite.NAME} {mode} tls={form}: {test}: {first} ({file})", flush=True)

    def gateway(self, mode: str, tls: bool) -> Gateway:
        if (mode, tls) not in self.gateways:
            settings = dict(MODES[mode])
            certificate, key = self.postgres.certificates.server()
            # without TLS it is offered all the same, as PostgreSQL does: some tests ask for it by themselves
            settings["listen"] = [{"address": "127.0.0.1", "port": process.free_port(),
                                   "tls": {"mode": "require" if tls else "allow", "certificate": str(certificate), "key": str(key)}}]
            settings["databases"] = {"*": {"server_tls": {"mode": "require" if tls else "disable"}}}
            self.gateways[mode, tls] = Gateway(self.postgres, settings)
        self.gateways[mode, tls].assert_alive()
        return self.gateways[mode, tls]


def report(table: list[tuple[str, ...]]):
    heads = ("suite", "mode", "TLS", "tests equal", "pass directly", "different", "seconds")
    widths = [max(len(row[column]) for row in [heads, *table]) for column in range(len(heads))]
    for row in [heads, tuple("-" * width for width in widths), *table]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


if __name__ == "__main__":
    sys.exit(main())
