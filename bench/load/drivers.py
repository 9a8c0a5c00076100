"""What drives a contender: pgbench, psql, the load of bench/stub, and connections that only sit there."""

import dataclasses
import os
import pathlib
import re
import subprocess
import tempfile
import time

from support import wire
from support.postgres import DEBIAN_BINARIES

from .contenders import Failed, Running


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]


def run(command: list[str], through: Running, **arguments) -> str:
    """Runs a client program to its end: its output."""
    done = subprocess.run(command, env=os.environ | through.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **arguments)
    if done.returncode != 0:
        raise Failed(" ".join(done.stderr.strip().splitlines()[-2:]) or f"{command[0]} ended with {done.returncode}")
    return done.stdout


@dataclasses.dataclass
class Pgbench:
    """What a run of pgbench gives. `latencies` are (seconds since the epoch at the end, milliseconds) of the sampled transactions."""

    transactions: int
    tps: float
    login_ms: float
    latencies: list[tuple[float, float]]


def pgbench(through: Running, arguments: list[str], *, sampling: float = 1.0) -> Pgbench:
    with tempfile.TemporaryDirectory(prefix="tidegate-pgbench-") as folder:
        told = run([str(DEBIAN_BINARIES / "pgbench"), "-n", "-l", f"--sampling-rate={sampling}", f"--log-prefix={folder}/log", *arguments],
                   through)
        latencies = []
        for file in pathlib.Path(folder).iterdir():
            for line in file.read_text().splitlines():
                _, _, latency, _, seconds, microseconds = line.split()[:6]
                latencies.append((int(seconds) + int(microseconds) / 1e6, int(latency) / 1e3))
    transactions = int(re.search(r"actually processed: (\d+)", told)[1])
    if transactions == 0:
        raise Failed("pgbench did not finish a single transaction")
    connecting = re.search(r"average connection time = ([\d.]+) ms", told)
    return Pgbench(transactions, tps=float(re.search(r"^tps = ([\d.]+)", told, re.M)[1]),
                   login_ms=float(connecting[1]) if connecting else 0.0, latencies=latencies)


def psql(through: Running, sql: str, **arguments) -> float:
    """Runs one statement; its input and output as given: the seconds it took, login included."""
    begin = time.monotonic()
    run([str(DEBIAN_BINARIES / "psql"), "-XqAt", "-c", sql, "-o", "/dev/null"], through, **arguments)
    return time.monotonic() - begin


class IdleClients:
    """Many connections that have logged in and say nothing."""

    def __init__(self, through: Running, count: int):
        self._wires: list[wire.Wire] = []
        try:
            for _ in range(count):
                self._wires.append(through.connect())
        except Failed as reason:
            self.close()
            raise Failed(f"client {len(self._wires) + 1} of {count}: {reason}") from reason

    def ask_all(self) -> int:
        """How many of them get no answer."""
        failed = 0
        for each in self._wires:
            try:
                failed += bool(wire.errors(each.query("SELECT 1")))
            except (OSError, wire.Closed):
                failed += 1
        return failed

    def close(self):
        for each in self._wires:
            each.close()

    def __enter__(self) -> "IdleClients":
        return self

    def __exit__(self, *_):
        self.close()
