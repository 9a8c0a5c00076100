"""What became of the statements of a tool: by the gateway's audit log, or without a gateway by the server's log."""

import dataclasses
import json
import pathlib
import re

from support.gateway import Gateway
from support.postgres import Postgres

_MANNERS = {"guarded": "guarded", "rewritten": "rewritten", "planned": "in steps", "overridden": "overridden"}
SERVER_SETTINGS = {"log_line_prefix": "%m [%p] %a@%d %e "}   # as _ServerLog reads it


@dataclasses.dataclass(frozen=True)
class Account:
    manner: str     # as it is, guarded, rewritten, in steps, overridden; "" of nothing
    sqlstate: str   # of the last error; "" without one
    message: str    # of that


class AuditLog:
    def __init__(self, gateway: Gateway, file: pathlib.Path):
        self._gateway = gateway
        self._file = file

    def mark(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def since(self, mark: int) -> Account:
        with self._file.open("rb") as file:
            file.seek(mark)
            records = [json.loads(line) for line in file.read().splitlines()]
        failed = [r for r in records if r.get("sqlstate")]
        manners = {_MANNERS.get(r["action"], "as it is") for r in records if re.search(r"\b(orders|customers)\b|orders_", r.get("statement", ""))}
        manner = next((m for m in ("overridden", "in steps", "rewritten", "guarded", "as it is") if m in manners), "")
        findings = failed[-1].get("findings") if failed else None
        return Account(manner, failed[-1]["sqlstate"] if failed else "", findings[0]["message"] if findings else "")


class ServerLog:
    def __init__(self, postgres: Postgres):
        self._file = postgres.log

    def mark(self) -> int:
        return self._file.stat().st_size

    def since(self, mark: int) -> Account:
        with self._file.open("rb") as file:
            file.seek(mark)
            text = file.read().decode(errors="replace")
        errors = re.findall(r"^\S+ \S+ \S+ \[\d+\] [^@]*@\S* (\w{5}) (?:ERROR|FATAL):  (.*)$", text, re.MULTILINE)
        return Account("as it is", *(errors[-1] if errors else ("", "")))
