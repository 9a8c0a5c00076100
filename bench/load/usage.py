"""What processes use: processor time and memory, as the kernel counts them."""

import dataclasses
import os
import pathlib

_TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for each in found:
        for task in _tasks(each):
            found += map(int, _read(task / "children").split())
    return found


@dataclasses.dataclass(frozen=True)
class Processor:
    """Processor time of a contender so far, in microseconds. `total` counts nanoseconds (schedstat); the kernel splits it into user and
    system by looking at each tick, so the split needs many ticks to be true."""

    total: float = 0.0
    user: float = 0.0
    system: float = 0.0

    def __sub__(self, other: "Processor") -> "Processor":
        return Processor(self.total - other.total, self.user - other.user, self.system - other.system)


def processor(pids: list[int]) -> Processor:
    total = user = system = 0.0
    for pid in pids:
        total += sum(int(_read(task / "schedstat").split()[0]) for task in _tasks(pid)) / 1e3
        fields = _read(pathlib.Path(f"/proc/{pid}/stat")).rsplit(")", 1)[1].split()
        user += int(fields[11]) * _TICK_US
        system += int(fields[12]) * _TICK_US
    return Processor(total, user, system)


def machine() -> float:
    """Microseconds that all processors together have been busy."""
    fields = list(map(int, _read(pathlib.Path("/proc/stat")).split("\n", 1)[0].split()[1:9]))
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) * _TICK_US


def memory(pids: list[int]) -> float:
    """KiB of memory, pages shared with others counted by their share. Without what the kernel keeps for sockets."""
    return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids)


def forget_peak(pids: list[int]):
    for pid in pids:
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_memory(pids: list[int]) -> float:
    """KiB: the most that was resident since forget_peak()."""
    return sum(_field(f"/proc/{pid}/status", "VmHWM:") for pid in pids)


def _tasks(pid: int) -> list[pathlib.Path]:
    try:
        return list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []


def _read(path: pathlib.Path) -> str:
    """A file of a process that may have ended meanwhile: it used nothing, then."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {"schedstat": "0 0 0", "stat": ") " + "0 " * 20}.get(path.name, "")


def _field(path: str, name: str) -> float:
    for line in _read(pathlib.Path(path)).splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    return 0.0
