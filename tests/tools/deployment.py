"""A copy of a tool's project that grows by one migration after the other, as deployments do, and the tool run in it."""

import json
import os
import pathlib
import shutil
import subprocess

from support import process

from .tool import Tool

AS_WRITTEN, AS_HINTED = "as written", "as the HINT says"


class Deployment:
    """close() removes the copy. `address` has host, port, user and dbname."""

    def __init__(self, tool: Tool, modules: pathlib.Path, address: dict):
        self.tool = tool
        self.files = tool.files()
        self.folder = process.scratch_folder(tool.name)
        self.project = self.folder / "project"
        shutil.copytree(tool.project, self.project, ignore=shutil.ignore_patterns("as_hinted", "__pycache__"))
        self.migrations = self.project / tool.migrations
        self.forms: dict[int, str] = {}
        if tool.of_node:
            (self.project / "node_modules").symlink_to(modules)
        for number in range(1, len(self.files) + 1):
            self.withdraw(number)
        url = "postgres://{user}@{host}:{port}/{dbname}".format(**address)
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
            "PGHOST": address["host"], "PGPORT": str(address["port"]), "PGUSER": address["user"], "PGDATABASE": address["dbname"],
            "DATABASE_URL": url, "RAILS_ENV": "production", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}

    def close(self):
        process.remove(self.folder)

    def has_hinted(self, number: int) -> bool:
        return (self.tool.project / "as_hinted" / self.files[number - 1]).exists()

    def deploy(self, number: int, form: str):
        """Puts the migration there, in place of its other form if that is there."""
        name = self.files[number - 1]
        source = self.tool.project / ("as_hinted" if form == AS_HINTED else self.tool.migrations) / name
        shutil.copy(source, self.migrations / name)
        self.forms[number] = form
        self._write_journal()

    def withdraw(self, number: int):
        (self.migrations / self.files[number - 1]).unlink(missing_ok=True)
        self.forms.pop(number, None)
        self._write_journal()

    def up(self) -> list[str]:
        return self.tool.up + (list(self.tool.up_outside) if AS_HINTED in self.forms.values() else [])

    def down(self) -> list[str]:
        last = max(self.forms)
        previous = pathlib.Path(self.files[last - 2]).stem if last > 1 else self.tool.zero
        command = [part.replace("{previous}", previous) for part in self.tool.down]
        return command + (list(self.tool.down_outside) if self.forms[last] == AS_HINTED else [])

    def start(self, command: list[str], log: pathlib.Path) -> subprocess.Popen:
        with log.open("wb") as output:
            return subprocess.Popen(command, cwd=self.project, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.STDOUT, preexec_fn=process.end_with_parent)

    def _write_journal(self):
        """drizzle lists its migrations in a file of its own."""
        journal = self.migrations / "meta/_journal.json"
        if journal.exists():
            listed = json.loads((self.tool.project / self.tool.migrations / "meta/_journal.json").read_text())
            listed["entries"] = [entry for entry in listed["entries"] if entry["idx"] + 1 in self.forms]
            journal.write_text(json.dumps(listed))
