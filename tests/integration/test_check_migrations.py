"""`tidegate check` on folders of migration tools: what a tool would run, in its order, judged in its transaction."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from support.gateway import ROOT, binary

pytestmark = pytest.mark.gateway_only

BUILD = "CREATE INDEX CONCURRENTLY i ON t (a);\n"
BUILD_BEHIND_SET = "SET lock_timeout = 1000;\n" + BUILD
NOT_ALONE = "concurrently-in-transaction"


class Checked:
    def __init__(self, folder, *arguments: str, stdin: str = ""):
        self.run = subprocess.run([binary(), "check", "--format", "json", *arguments], cwd=folder, input=stdin, capture_output=True,
                                  text=True, timeout=120)
        self.code = self.run.returncode
        self.remarks = self.run.stderr
        self.files = json.loads(self.run.stdout)["files"] if self.run.stdout else []

    def order(self) -> list[str]:
        return [file["file"] for file in self.files]

    def found(self) -> list[str]:
        """file:line rule"""
        return [f"{file['file']}:{finding['line']} {finding['rule']}" for file in self.files for statement in file["statements"]
                for finding in statement["findings"] if finding["action"] != "warn"]


def write(folder: pathlib.Path, files: dict[str, str | bytes]) -> pathlib.Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


# layout: files, findings. What the tools really do with these was seen on a server, or is in their sources.
FOLDERS = {
    "sql": ({"m/2.sql": BUILD_BEHIND_SET, "m/10.sql": "BEGIN;\n" + BUILD + "COMMIT;\n"}, [f"m/10.sql:2 {NOT_ALONE}"]),
    "flyway": (
        {"m/V2__a.sql": BUILD, "m/V10__b.sql": BUILD + "SELECT 1;", "m/V11__c.sql": "REINDEX INDEX CONCURRENTLY i;\n",
         "m/V12__d.sql": "REINDEX INDEX CONCURRENTLY i;\n", "m/V12__d.sql.conf": "executeInTransaction=false\n",
         "m/R__e.sql": "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;\nALTER TABLE t VALIDATE CONSTRAINT c;\n"},
        [f"m/V11__c.sql:1 {NOT_ALONE}", "m/R__e.sql:2 not-valid-and-validate-one-transaction"]),
    "golang-migrate": (
        {"m/2_a.up.sql": BUILD, "m/10_b.up.sql": BUILD_BEHIND_SET, "m/10_b.down.sql": "DROP TABLE t;"}, [f"m/10_b.up.sql:2 {NOT_ALONE}"]),
    "dbmate": (
        {"m/1_a.sql": f"-- migrate:up\n{BUILD}\n-- migrate:down\nDROP TABLE t;\n",
         "m/2_b.sql": f"-- migrate:up transaction:false\n{BUILD}\n-- migrate:down\n",
         "m/3_c.sql": f"-- migrate:up transaction:false\n{BUILD_BEHIND_SET}\n-- migrate:down\n"},
        [f"m/1_a.sql:2 {NOT_ALONE}", f"m/3_c.sql:3 {NOT_ALONE}"]),
    "goose": (
        {"m/2_a.sql": f"-- +goose Up\n{BUILD}\n-- +goose Down\nDROP TABLE t;\n",
         "m/10_b.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{BUILD_BEHIND_SET}",
         "m/11_c.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\n{BUILD_BEHIND_SET}-- +goose StatementEnd\n"},
        [f"m/2_a.sql:2 {NOT_ALONE}", f"m/11_c.sql:5 {NOT_ALONE}"]),
    "node-pg-migrate": (
        {"m/9_a.sql": f"-- Up Migration\n{BUILD}-- Down Migration\nDROP TABLE t;\n", "m/10_b.sql": "SELECT 1;\n"},
        [f"m/9_a.sql:2 {NOT_ALONE}"]),
    "prisma": (
        {"m/migration_lock.toml": "", "m/1_a/migration.sql": BUILD, "m/2_b/migration.sql": BUILD_BEHIND_SET},
        [f"m/2_b/migration.sql:2 {NOT_ALONE}"]),
    "drizzle": (
        {"m/meta/_journal.json": '{"entries": [{"tag": "0000_a"}]}',
         "m/0000_a.sql": "CREATE TABLE n (a int);--> statement-breakpoint\nCREATE INDEX j ON n (a);--> statement-breakpoint\n" + BUILD},
        [f"m/0000_a.sql:3 {NOT_ALONE}"]),
    "sqitch": (
        {"m/sqitch.plan": "%project=a\n\nb 2024-01-01T00:00:00Z A <a@b>\na [b] 2024-01-01T00:00:00Z A <a@b>\n",
         "m/deploy/a.sql": "BEGIN;\nDROP TABLE t;\nCOMMIT;\n", "m/deploy/b.sql": BUILD_BEHIND_SET, "m/revert/a.sql": "DROP TABLE u;"},
        ["m/deploy/a.sql:2 drop-table"]),
}


@pytest.mark.parametrize("layout", FOLDERS)
def test_a_folder_is_judged_as_its_tool_runs_it(tmp_path, layout):
    files, expected = FOLDERS[layout]
    checked = Checked(write(tmp_path, files), "m")
    assert {file["layout"] for file in checked.files} == {layout}
    assert checked.found() == expected
    assert (checked.code, checked.remarks) == (1, "")


@pytest.mark.parametrize("layout", ["golang-migrate", "dbmate", "goose", "node-pg-migrate", "sqitch"])
def test_down_migrations_are_judged_on_request(tmp_path, layout):
    checked = Checked(write(tmp_path, FOLDERS[layout][0]), "--down", "--layout", layout, "m")
    assert any(found.endswith(" drop-table") for found in checked.found())
    assert not any(found.endswith(NOT_ALONE) for found in checked.found())


def test_a_file_alone_is_known_by_its_name_its_folder_and_its_marks(tmp_path):
    write(tmp_path, {"V1__a.sql": BUILD, "a.up.sql": BUILD, "1_a.up.sql": BUILD_BEHIND_SET, "b.sql": "-- +goose Up\n" + BUILD,
                     "1_x/migration.sql": BUILD_BEHIND_SET})
    checked = Checked(tmp_path, "V1__a.sql", "a.up.sql", "1_a.up.sql", "b.sql", "1_x/migration.sql", "-", stdin="-- migrate:up\n" + BUILD)
    assert [file["layout"] for file in checked.files] == ["flyway", "sql", "golang-migrate", "goose", "prisma", "dbmate"]
    assert checked.found() == [f"{name} {NOT_ALONE}" for name in ("1_a.up.sql:2", "b.sql:2", "1_x/migration.sql:2", "-:2")]


def test_a_table_is_new_in_the_file_that_makes_it_alone(tmp_path):
    write(tmp_path, {"V1__a.sql": "CREATE TABLE n (a int);\nCREATE INDEX ON n (a);\n", "V2__b.sql": "CREATE INDEX ON n (a);\n"})
    assert Checked(tmp_path, ".").found() == ["V2__b.sql:1 create-index-not-concurrently"]


def test_what_is_local_to_the_transaction_of_the_tool_ends_with_it(tmp_path):
    text = "SET LOCAL standard_conforming_strings = off;\n{end}SELECT 'a\\'; DROP TABLE t; --'\n"
    write(tmp_path, {"V1__a.sql": text.format(end=""), "V2__b.sql": text.format(end="COMMIT;\n"), "c.sql": text.format(end="")})
    assert Checked(tmp_path, "V1__a.sql", "V2__b.sql", "c.sql").found() == ["V2__b.sql:3 drop-table", "c.sql:2 drop-table"]


def test_the_transaction_of_the_tool_is_named(tmp_path):
    write(tmp_path, {"1_a.sql": "-- migrate:up\n" + BUILD})
    detail = Checked(tmp_path, "1_a.sql").files[0]["statements"][0]["findings"][0]["detail"]
    assert "transaction:false" in detail


def test_places_are_those_of_the_file(tmp_path):
    """Behind a byte-order mark, with CRLF, in a section, behind a breakpoint."""
    write(tmp_path, {"a.sql": b"\xef\xbb\xbfDROP TABLE t;\r\n\r\n  DROP TABLE u;\r\n",
                     "b.sql": b"\xef\xbb\xbf-- migrate:up\r\nSELECT 1; DROP TABLE t;\r\n-- migrate:down\r\n",
                     "c.sql": "SELECT 'é';--> statement-breakpoint\nSELECT 1;\nSELECT 'é'; DROP TABLE t;"})
    checked = Checked(tmp_path, "a.sql", "b.sql", "c.sql")
    places = [(file["file"], finding["line"], finding["column"]) for file in checked.files for statement in file["statements"]
              for finding in statement["findings"] if finding["action"] != "warn"]
    assert places == [("a.sql", 1, 12), ("a.sql", 3, 14), ("b.sql", 2, 22), ("c.sql", 3, 24)]
    github = subprocess.run([binary(), "check", "--format", "github", "b.sql"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert github.stdout.startswith("::error file=b.sql,line=2,col=22,title=drop-table::")
    sarif = subprocess.run([binary(), "check", "--format", "sarif", "c.sql"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    region = json.loads(sarif.stdout)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 24}


def git(folder, *arguments: str) -> str:
    return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments], cwd=folder, check=True,
                          capture_output=True, text=True, timeout=60).stdout


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_only_what_a_branch_changed(tmp_path):
    write(tmp_path, {"db/V1__old.sql": "DROP TABLE a;\n", "db/V2__gone.sql": "SELECT 1;\n"})
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "old")
    git(tmp_path, "checkout", "-qb", "branch")
    write(tmp_path, {"db/V10__b.sql": "DROP TABLE c;\n", "db/V9__a.sql": "DROP TABLE b;\n", "app.py": "pass\n"})
    (tmp_path / "db/V2__gone.sql").unlink()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "new")
    changed = git(tmp_path, "diff", "--name-only", "--diff-filter=d", "main...")
    checked = Checked(tmp_path, "--only", "-", "db", stdin=changed)
    assert checked.found() == ["db/V9__a.sql:1 drop-table", "db/V10__b.sql:1 drop-table"]
    write(tmp_path, {"list": "app.py\n"})
    nothing = Checked(tmp_path, "--only", "list", "db")
    assert (nothing.code, nothing.files) == (0, [])
    elsewhere = Checked(tmp_path / "db", "--only", "-", ".", stdin=changed)
    assert elsewhere.code == 3 and "cannot be found from here" in elsewhere.remarks


def test_what_cannot_be_read_is_said_and_the_rest_is_judged(tmp_path):
    write(tmp_path, {"m/1.sql": "DROP TABLE t;\n", "m/2.sql": b"SELECT 1;\n-- caf\xe9\n", "m/3.sql": "DROP TABLE u;\n".encode("utf-16"),
                     "m/4.sql": "-- +goose Up\nSELECT 1\n", "empty/README": ""})
    (tmp_path / "m/loop.sql").symlink_to("loop.sql")
    (tmp_path / "m/back").symlink_to(".")
    checked = Checked(tmp_path, "--layout", "sql", "m", "empty", "nowhere")
    assert checked.code == 3
    assert checked.found() == ["m/1.sql:1 drop-table"]
    for said in ("m/2.sql: line 2: not UTF-8", "m/3.sql: line 1: not UTF-8", "m/loop.sql: cannot be read: Too many levels",
                 "empty: no migrations in it (layout sql)", "nowhere: cannot be read: No such file"):
        assert f"tidegate check: {said}" in checked.remarks
    assert "back" not in checked.remarks
    refused = Checked(tmp_path, "m/4.sql")
    assert refused.code == 3 and "m/4.sql:2: goose misses the semicolon at the end of a line" in refused.remarks
    assert len(refused.files[0]["statements"]) == 1


@pytest.mark.parametrize("arguments", [["--layout", "rails", "m"], ["--only", "nowhere", "m"], ["--only", ".", "m"], ["--only", "-", "-"]])
def test_bad_usage_exits_with_2(tmp_path, arguments):
    assert Checked(tmp_path, *arguments).code == 2


def test_a_structure_dump_is_creation_only(tmp_path):
    """What Rails keeps in db/structure.sql."""
    write(tmp_path, {"structure.sql": """
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE TABLE public.users (id bigint NOT NULL, email character varying);
CREATE SEQUENCE public.users_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;
CREATE TABLE public.posts (id bigint NOT NULL, user_id bigint);
ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX index_users_on_email ON public.users USING btree (email);
ALTER TABLE ONLY public.posts ADD CONSTRAINT fk_rails_1 FOREIGN KEY (user_id) REFERENCES public.users(id);
SET search_path TO "$user", public;
INSERT INTO "schema_migrations" (version) VALUES ('20240102'), ('20240101');
"""})
    assert Checked(tmp_path, "structure.sql").found() == []


def test_the_pre_commit_hook_runs(tmp_path):
    hook = dict(line.removeprefix("- ").strip().split(": ", 1) for line in (ROOT / ".pre-commit-hooks.yaml").read_text().splitlines()
                if not line.startswith("#"))
    hook["files"] = hook["files"].strip("'")
    assert hook["language"] == "system" and hook["entry"].split()[0] == "tidegate"
    names = {"db/V1__a.sql": "DROP TABLE t;\n", "db/V2__b.sql": "SELECT 1;\n", "db/V2__b.sql.conf": "", "a.py": ""}
    write(tmp_path, names)
    passed = sorted(name for name in names if re.search(hook["files"], name))
    assert passed == ["db/V1__a.sql", "db/V2__b.sql"]
    run = subprocess.run([binary(), *hook["entry"].split()[1:], *passed], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "db/V1__a.sql:1:12: block:" in run.stdout
