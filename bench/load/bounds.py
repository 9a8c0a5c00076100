"""What Tidegate wants to hold: bounds on its figures, most of them as ratios to another contender of the same run."""

import dataclasses
import fnmatch
from collections.abc import Iterator

from . import spread
from .spread import Spread


@dataclasses.dataclass(frozen=True)
class Bound:
    workloads: str              # names, as a pattern
    figure: str
    limit: float
    against: str = ""           # a contender; empty: the figure itself is bounded
    at_least: bool = False      # otherwise at most


@dataclasses.dataclass(frozen=True)
class Finding:
    bound: Bound
    title: str
    contender: str
    found: Spread
    twin: Spread | None   # the same of the reference's twin: how much of it is noise

    @property
    def holds(self) -> bool:
        return self.found.median >= self.bound.limit if self.bound.at_least else self.found.median <= self.bound.limit

    @property
    def is_clear(self) -> bool:
        """The limit lies outside of the spread."""
        return not self.found.low < self.bound.limit < self.found.high


_EVERYWHERE = (
    Bound("select-prepared-8", "cpu_us", 0.75, "pgbouncer"),
    Bound("select-prepared-64", "cpu_us", 0.75, "pgbouncer"),
    Bound("select-simple-*", "cpu_us", 1.0, "pgbouncer"),
    Bound("select-extended-*", "cpu_us", 1.0, "pgbouncer"),
    Bound("pipeline-prepared-8", "cpu_us", 0.40, "pgbouncer"),
    Bound("tls-*", "cpu_us", 0.80, "pgbouncer"),
    Bound("churn-*", "cpu_us", 1.0, "pgbouncer"),
    Bound("rows-*", "cpu_us", 0.55, "pgbouncer"),
    Bound("copy-in", "cpu_us", 0.55, "pgbouncer"),
    Bound("copy-out", "cpu_us", 0.65, "pgbouncer"),
    Bound("tpcb-8", "cpu_us", 0.95, "pgbouncer"),
    Bound("select-*-1", "p50_ms", 1.0, "pgbouncer"),
    *(Bound(f"select-*-{clients}", "rate", 1.0, against, at_least=True) for clients in (8, 64) for against in ("pgbouncer", "haproxy")),
    Bound("crowd-*", "client_kib", 4.0),
    Bound("crowd-*", "fairness", 2.0),
    Bound("crowd-*", "errors", 0.0),
    Bound("idle-*", "errors", 0.0),
)
_ALL_CORES = Bound("stub-*", "rate", 1.0, "pgbouncer", at_least=True)   # two threads against one PgBouncer process


def _to_the_floor(about: dict) -> tuple[Bound, ...]:
    """CPU to the forwarder that does nothing, by how this Tidegate pools and relays."""
    if about["pool_mode"] == "transaction":
        return (Bound("select-*", "cpu_us", 1.10, "floor"),)
    if about["relay"] != "io_uring":
        return (Bound("select-*", "cpu_us", 1.05, "floor"),)
    few, many = (0.85, 0.65) if about["by_socket"] else (0.97, 0.85)
    return (Bound("select-*-8", "cpu_us", few, "floor"), Bound("select-*-64", "cpu_us", many, "floor"))


def judge(result: dict) -> Iterator[Finding]:
    for workload in result["workloads"]:
        for contender in workload["rounds"]:
            about = result["contenders"][contender]
            if about["kind"] != "Tidegate":
                continue
            bounds = (_ALL_CORES,) if about["threads"] > 1 else (*_EVERYWHERE, *_to_the_floor(about))
            if about["pool_mode"] != result["about"]["pool_mode"]:   # than PgBouncer's: nothing to hold it to there
                bounds = tuple(bound for bound in bounds if bound.against != "pgbouncer")
            for bound in bounds:
                if not fnmatch.fnmatch(workload["name"], bound.workloads):
                    continue
                if bound.against:
                    found = spread.ratio(workload, contender, bound.against, bound.figure)
                    twin = spread.ratio(workload, f"{bound.against} (A/A)", bound.against, bound.figure)
                else:
                    found, twin = spread.of_contender(workload, contender, bound.figure), None
                if found:
                    yield Finding(bound, workload["title"], contender, found, twin)
