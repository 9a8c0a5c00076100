"""`tidegate check` on corpora of worked cases: every hazard is reported, nothing harmless is.

A corpus is a folder with `base.sql`, the schema, and `cases.jsonl`: one case per line with its SQL, the SQL that
prepares it (`setup`), the rules that may report it (`rules`), a `verdict` of safe, unsafe or depends, and the oldest
server it is about (`version`). Ours is in tests/cases/corpus; $TIDEGATE_CORPUS names another.
"""

import json
import os
import pathlib
import re
import subprocess
import urllib.parse

import pytest

from support.gateway import ROOT, binary
from support import process

OURS = ROOT / "tests/cases/corpus"
OTHER = pathlib.Path(os.environ.get("TIDEGATE_CORPUS") or ROOT.parent / "shared/corpus")
KNOWN_RULES = {file.stem.replace("_", "-") for file in (ROOT / "policies/rules").glob("*.cpp")}

# What no text shows: whether a table is partitioned, what an index looks like, who depends on a column.
NEEDS_FACTS = {
    "add-constraint-using-unfit-index", "alter-column-type-check-rescan", "alter-column-type-dependent-object",
    "alter-column-type-index-rebuild", "attach-partition-default-scan", "concurrently-on-partitioned", "detach-concurrently-with-default",
    "drop-constraint-index", "foreign-key-not-valid-on-partitioned", "partitioned-parent-ddl", "replace-view-incompatible",
    "sequence-type-mismatch"}

SESSION_STATE = re.compile(r"\s*(SET|RESET|BEGIN|START TRANSACTION)\b", re.IGNORECASE)

pytestmark = pytest.mark.gateway_only


class Case:
    def __init__(self, folder: pathlib.Path, line: str):
        fields = json.loads(line)
        self.folder = folder
        self.id = fields["id"]
        self.sql = fields["sql"]
        self.rules = set(fields["rules"])
        self.verdict = fields["verdict"]
        self.version = fields.get("version", 0)
        setup = fields.get("setup", "")
        # what lives in a session must be in the file, everything else in the database
        self.session_setup = setup if SESSION_STATE.match(setup) else ""
        self.database_setup = "" if self.session_setup else setup

    def text(self) -> str:
        return f"{self.session_setup};\n{self.sql}" if self.session_setup else self.sql

    def findings(self, statements: list) -> list:
        """Those of the case itself, not of what prepares its session."""
        skipped = self.session_setup.count(";") + 1 if self.session_setup else 0
        return [finding for statement in statements[skipped:] for finding in statement["findings"]]

    def __repr__(self):
        return self.id


def read(folder: pathlib.Path) -> list[Case]:
    file = folder / "cases.jsonl"
    if not file.exists():
        return []
    return [Case(folder, line) for line in file.read_text().splitlines() if line.strip()]


def cases():
    found = read(OURS) + (read(OTHER) if OTHER != OURS else [])
    if not (OTHER / "cases.jsonl").exists():
        found.append(pytest.param(None, marks=pytest.mark.skip(reason=f"no corpus in {OTHER}; set TIDEGATE_CORPUS"), id="other"))
    return found


def check(arguments: list[str], folder: pathlib.Path) -> dict:
    done = subprocess.run([binary(), "check", "--format", "json", *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def describe(case: Case, findings: list) -> str:
    lines = [f"{case.id}: {case.sql!r} ({case.verdict}, {sorted(case.rules)})"]
    lines += [f"  {f['rule']} {f['action']}: {f['message']} | {f['detail']}" for f in findings]
    return "\n".join(lines)


def assert_well_formed(statements: list):
    for number, statement in enumerate(statements):
        assert set(statement) == {"index", "line", "sql", "verdict", "findings"}
        assert statement["index"] == number
        for finding in statement["findings"]:
            assert set(finding) == {"rule", "action", "lock", "relations", "message", "detail", "hint", "line", "column", "steps"}
            assert finding["action"] in ("warn", "rewrite", "plan", "block")
            assert finding["line"] >= statement["line"] and finding["column"] >= 1
            assert finding["message"] and "\n" not in finding["message"] and not finding["message"].endswith(".")


@pytest.fixture(scope="session")
def without_database() -> dict[str, list]:
    """All cases at once: id -> statements."""
    everything = [case for case in cases() if isinstance(case, Case)]
    folder = process.scratch_folder("corpus")
    results = {}
    try:
        for version in {case.version for case in everything}:
            chosen = [case for case in everything if case.version == version]
            names = []
            for case in chosen:
                name = f"{case.folder.parent.name}-{case.id}.sql"
                (folder / name).write_text(case.text())
                names.append(name)
            newer = ["--server-version", str(version)] if version > 15 else []
            report = check([*newer, *names], folder)
            results |= {file["file"]: file["statements"] for file in report["files"]}
    finally:
        process.remove(folder)
    return results


@pytest.fixture(scope="session")
def templates(postgres):
    """A database with the base schema of each corpus."""
    made = {}
    for number, folder in enumerate(sorted({case.folder for case in cases() if isinstance(case, Case)})):
        name = f"corpus_base_{number}"
        postgres.execute(f"CREATE DATABASE {name}", "postgres")
        postgres.execute((folder / "base.sql").read_text(), name)
        made[folder] = name
    yield made
    for name in made.values():
        postgres.execute(f"DROP DATABASE {name}", "postgres")


@pytest.fixture
def database(postgres, templates):
    """Makes a database prepared for a case: its name."""
    def make(case: Case) -> str:
        postgres.execute(f"CREATE DATABASE corpus_case TEMPLATE {templates[case.folder]} STRATEGY file_copy", "postgres")
        if case.database_setup:
            postgres.execute(case.database_setup, "corpus_case")
        return "corpus_case"

    yield make
    postgres.execute("DROP DATABASE IF EXISTS corpus_case WITH (FORCE)", "postgres")


@pytest.mark.parametrize("case", cases(), ids=repr)
def test_with_a_database(case, postgres, database, tmp_path):
    name = database(case)
    (tmp_path / "case.sql").write_text(case.text())
    newer = ["--server-version", str(case.version)] if case.version * 10000 > postgres.version() else []
    uri = f"postgresql://{postgres.user}@{postgres.host}:{postgres.port}/{name}"
    statements = check(["--database", uri, *newer, "case.sql"], tmp_path)["files"][0]["statements"]
    assert_well_formed(statements)
    found = case.findings(statements)
    if case.verdict == "safe":
        assert not found, describe(case, found)
    if case.verdict == "unsafe" and case.rules & KNOWN_RULES:
        assert case.rules & {finding["rule"] for finding in found}, describe(case, found)


@pytest.mark.parametrize("case", cases(), ids=repr)
def test_by_the_text_alone(case, without_database):
    statements = without_database[f"{case.folder.parent.name}-{case.id}.sql"]
    assert_well_formed(statements)
    found = case.findings(statements)
    if case.verdict == "safe":
        for finding in found:
            assert "Lacked fact: " in finding["detail"], describe(case, found)
    if case.verdict == "unsafe" and (case.rules & KNOWN_RULES) - NEEDS_FACTS and not case.database_setup:
        assert case.rules & {finding["rule"] for finding in found}, describe(case, found)


def test_sarif_tells_what_json_tells(tmp_path):
    names = []
    for case in read(OURS):
        names.append(f"{case.id} ü.sql")
        (tmp_path / names[-1]).write_text(case.text())
    told = check(names, tmp_path)
    done = subprocess.run([binary(), "check", "--format", "sarif", *names], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    log = json.loads(done.stdout)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    expected = [(file["file"], finding) for file in told["files"] for statement in file["statements"] for finding in statement["findings"]]
    assert len(run["results"]) == len(expected) > 30
    for result, (name, finding) in zip(run["results"], expected):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding["rule"]
        assert result["level"] == ("warning" if finding["action"] == "warn" else "error")
        assert result["message"]["text"].split("\n")[0] == finding["message"]
        (place,) = result["locations"]
        assert urllib.parse.unquote(place["physicalLocation"]["artifactLocation"]["uri"]) == name
        assert place["physicalLocation"]["region"] == {"startLine": finding["line"], "startColumn": finding["column"]}
        assert result["properties"] == {key: finding[key] for key in ("action", "lock", "relations", "steps")}
