"""psycopg 3's own tests, at the tag of the psycopg that /usr/bin/python3 imports (Debian 12: 3.1.7)."""

import pathlib
import shutil

from .suite import Address, NotHere, Outcome, fresh_database, junit, run, same

NAME = "psycopg3"
# not about the connection: the pool package, another database, type checking, tests that need an HTTP proxy program
LEFT_OUT = ["--ignore=tests/pool", "--ignore=tests/crdb", "--ignore=tests/test_psycopg_dbapi20.py", "--ignore=tests/scripts",
            "-m", "not slow and not proxy and not mypy"]


def run_suite(suites: pathlib.Path, address: Address, postgres, out: pathlib.Path, only: list[str]) -> Outcome:
    tests = suites / "psycopg/tests"
    if not tests.is_dir():
        raise NotHere(str(tests))
    fresh_database(postgres, "psycopg_test")
    # a copy, so that the installed psycopg is imported and not the sources beside it
    work = out / "psycopg"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(tests, work / "tests")
    (work / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    result = out / "psycopg.xml"
    result.unlink(missing_ok=True)
    environment = address.environment("psycopg_test")
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE"):   # tests of connection strings want them unset
        del environment[name]
    run(["/usr/bin/python3", "-m", "pytest", "-q", f"--junitxml={result}",
         "--test-dsn", address.conninfo("psycopg_test"), *LEFT_OUT, *([node(work, test) for test in only] or ["tests"])],
        log=out / "psycopg.log", timeout=1800, cwd=work, env=environment)
    if not result.exists():
        raise NotHere(f"a result of pytest: see {out / 'psycopg.log'}")
    return junit(result)


def node(work: pathlib.Path, test: str) -> str:
    """What pytest calls a test that JUnit's XML calls package.module.Class::name; anything else is given to it as it is."""
    places, separator, name = test.partition("::")
    parts = places.split(".")
    for length in range(len(parts), 0, -1):
        file = pathlib.Path(*parts[:length]).with_suffix(".py")
        if separator and (work / file).is_file():
            return "::".join([str(file), *parts[length:], name])
    return test


def baseline(outcome: Outcome, _suites: pathlib.Path) -> Outcome:
    return outcome


__all__ = ["NAME", "run_suite", "same", "baseline"]
