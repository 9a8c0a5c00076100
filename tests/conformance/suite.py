"""What the runners share: where they connect, what they return, and an empty database to begin with.

A suite is run against PostgreSQL itself and then through the gateway, on the same server and from the same state. Its
outcome is a dictionary from the name of a test to what came of it; what differs is what the gateway changed. So a test that
fails in both places for a reason of its own (a missing library, another minor version) says nothing against the gateway.
"""

import dataclasses
import os
import pathlib
import subprocess
import xml.etree.ElementTree as xml

Outcome = dict[str, str]
PASSED = "passed"


class NotHere(Exception):
    """The suite, or something it needs, is not on this machine."""


@dataclasses.dataclass(frozen=True)
class Address:
    """One end under test: PostgreSQL or the gateway."""

    host: str
    port: int
    tls: bool
    user: str = "postgres"

    def environment(self, database: str) -> dict[str, str]:
        """For programs of libpq."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}   # these tests' own
        return inherited | {
            "PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": database,
            "PGSSLMODE": "require" if self.tls else "disable", "PGCONNECT_TIMEOUT": "10",
        }

    def conninfo(self, database: str) -> str:
        mode = "require" if self.tls else "disable"
        return f"host={self.host} port={self.port} user={self.user} dbname={database} sslmode={mode}"


def fresh_database(postgres, name: str):
    """Makes `name` anew on PostgreSQL itself, with what earlier runs left behind it (prepared transactions, roles) gone."""
    with postgres.connect(dbname="postgres") as admin:
        exists = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if exists:
            prepared = admin.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (name,)).fetchall()
            if prepared:
                with postgres.connect(dbname=name) as inside:
                    for (gid,) in prepared:
                        inside.execute("ROLLBACK PREPARED '" + gid.replace("'", "''") + "'")
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        for (role,) in admin.execute("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname ~ '^regress_'").fetchall():
            admin.execute(f"DROP ROLE {role}")
        admin.execute(f"""CREATE DATABASE "{name}" TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'UTF8'""")


def run(command: list, *, log: pathlib.Path, timeout: float, **arguments) -> int:
    """Runs a program with its output in `log`: its exit code, or -1 when it took too long."""
    with log.open("wb") as output:
        try:
            return subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  timeout=timeout, **arguments).returncode
        except subprocess.TimeoutExpired:
            output.write(b"\n(took too long)\n")
            return -1


def junit(file: pathlib.Path) -> Outcome:
    """The outcome of a run that left JUnit's XML."""
    outcome: Outcome = {}
    for case in xml.parse(file).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        for kind in ("failure", "error", "skipped"):
            found = case.find(kind)
            if found is not None:
                # a test that fails in its body and again while cleaning up is listed twice: the first counts
                outcome.setdefault(name, "skipped" if kind == "skipped" else "failed: " + (found.get("message") or "").split("\n")[0][:160])
                break
        else:
            outcome.setdefault(name, PASSED)
    return outcome


def same(direct: str, through: str) -> bool:
    """Whether two outcomes of one test mean the same; messages may hold addresses and times."""
    return direct.split(":")[0] == through.split(":")[0]
