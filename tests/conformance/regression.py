"""PostgreSQL's regression SQL (src/test/regress), with the exact output compared.

Needs pg_regress of postgresql-server-dev-15. The tests are those that need neither tablespaces nor the C functions of regress.so.
"""

import pathlib
import re
import shutil

from .suite import Address, NotHere, Outcome, fresh_database, run

NAME = "regression"
TESTS = """
test_setup boolean char name varchar text int2 int4 int8 oid float4 float8 bit numeric txid uuid enum money rangetypes strings
numerology point date time timetz timestamp timestamptz interval inet macaddr macaddr8 geometry horology regex comments expressions
unicode copy copyselect copydml insert insert_conflict create_table create_view create_index select_into select_distinct
select_implicit select_having subselect union case join aggregates transactions portals arrays update delete namespace
prepared_xacts matview lock groupingsets identity generated merge tsrf rules guc bitmapops combocid tsearch window functional_deps
advisory_lock json jsonb jsonpath plancache limit plpgsql copy2 temp domain rangefuncs prepare conversion truncate alter_table
sequence rowtypes returning largeobject with partition_join partition_prune explain errors psql
""".split()
TOOLS = pathlib.Path("/usr/lib/postgresql/15/lib/pgxs/src/test")


def run_suite(suites: pathlib.Path, address: Address, postgres, out: pathlib.Path, only: list[str]) -> Outcome:
    source = suites / "postgresql/src/test/regress"
    tool = TOOLS / "regress/pg_regress"
    if not source.is_dir() or not tool.exists():
        raise NotHere(f"{source} and {tool}")
    fresh_database(postgres, "regression")
    # one folder for every run, since tests print its name; the server writes into it as well
    work = out.parent / "regression-work"
    shutil.rmtree(work, ignore_errors=True)
    for folder in (work, work / "testtablespace", work / "results"):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    run([tool, f"--bindir={postgres.binaries}", "--use-existing", "--dbname=regression", f"--host={address.host}",
         f"--port={address.port}", f"--user={address.user}", f"--inputdir={source}", f"--outputdir={work}", f"--dlpath={source}",
         *(only or TESTS)], log=out / "pg_regress.log", timeout=1800, env=address.environment("regression"))
    return collect(work / "results", only or TESTS, address)


def collect(results: pathlib.Path, tests: list[str], address: Address) -> Outcome:
    """Each test's output, without the port, which differs between two servers."""
    outcome = {}
    for test in tests:
        file = results / f"{test}.out"
        if file.exists():
            told = file.read_text(errors="surrogateescape")
            outcome[test] = re.sub(rf"\b(port\W{{1,3}}){address.port}\b", r"\1PORT", told, flags=re.IGNORECASE)   # not every such number
    return outcome


def same(direct: str, through: str) -> bool:
    return direct == through


def baseline(outcome: Outcome, suites: pathlib.Path) -> Outcome:
    """How the run compares with what the suite itself expects: shows that the baseline is one."""
    expected = suites / "postgresql/src/test/regress/expected"
    return judge(outcome, expected)


def judge(outcome: Outcome, expected: pathlib.Path) -> Outcome:
    verdicts = {}
    for test, output in outcome.items():
        variants = [expected / f"{test}.out", *(expected / f"{test}_{number}.out" for number in range(10))]
        texts = [file.read_text(errors="surrogateescape") for file in variants if file.exists()]
        verdicts[test] = "passed" if output in texts else "failed: differs from expected/"
    return verdicts
