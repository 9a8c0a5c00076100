"""What is measured. A workload says what it needs of a contender and how one round of it goes; a round gives a dictionary of figures.

Figures (those that a workload does not have are left out):
    rate            units per second (Workload.unit: transactions, MB)
    p50_ms, p99_ms  latency of a transaction; of -C runs without the login, which is login_ms on average
    cpu_us          processor time of the contender per unit, and user_us, system_us of it
    machine_us      processor time of the whole machine per unit, clients and server included
    peak_kib        the most memory that was resident during the round
"""

import dataclasses
import pathlib
import subprocess
import time
from typing import ClassVar

from . import drivers, usage
from .contenders import Contender, Failed, Needs, Running
from .database import BULK_MEGABYTES, Database

Figures = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Round:
    """What a round is run with."""

    through: Running
    database: Database
    tools: pathlib.Path   # where the programs of bench/ are
    seconds: int


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    needs: Needs = Needs()

    unit: ClassVar[str] = "transaction"
    fresh: ClassVar[bool] = False            # a new process of each contender for each round, since memory is what is measured
    most_rounds: ClassVar[int] = 1000
    stub: ClassVar[bool] = False             # the server is bench/stub/server_stub

    def fits(self, contender: Contender) -> bool:
        return True

    def warm_up(self, r: Round):
        """Once for each process, before its first round: a pool opens its connections, tables come into memory."""

    def run(self, r: Round) -> Figures:
        raise NotImplementedError


class Meter:
    """What a contender uses from here on, per unit of work."""

    def __init__(self, through: Running):
        self._pids = through.pids() if through.contender.measured else []
        usage.forget_peak(self._pids)
        self._before = usage.processor(self._pids)
        self._machine = usage.machine()

    def spent(self) -> usage.Processor:
        return usage.processor(self._pids) - self._before

    def figures(self, units: float, *, without: usage.Processor = usage.Processor()) -> Figures:
        """Per unit; what `without` was spent on is left out."""
        found = {"machine_us": (usage.machine() - self._machine) / units}
        if not self._pids:
            return found
        spent = self.spent() - without
        user, system = max(spent.user, 0.0), max(spent.system, 0.0)
        share = user / (user + system) if user + system else 0.0
        return found | {"peak_kib": usage.peak_memory(self._pids), "cpu_us": spent.total / units,
                        "user_us": spent.total * share / units, "system_us": spent.total * (1 - share) / units}


def latencies(milliseconds: list[float]) -> Figures:
    if not milliseconds:
        return {}
    return {"p50_ms": drivers.percentile(milliseconds, 0.50), "p99_ms": drivers.percentile(milliseconds, 0.99)}


@dataclasses.dataclass(frozen=True)
class Transactions(Workload):
    """pgbench for a while. Logins are another workload: a run of one transaction per client before tells what they cost, and that is
    taken off."""

    arguments: tuple[str, ...] = ()
    clients: int = 8
    sampling: float = 0.25     # of the latencies: writing each down would make the client the limit
    script: str = ""           # instead of a built-in one

    def warm_up(self, r: Round):
        self.pgbench(r, "-t", "1")

    def run(self, r: Round) -> Figures:
        logins = Meter(r.through)
        few = self.pgbench(r, "-t", "1")
        of_logins = logins.spent()
        meter = Meter(r.through)
        done = self.pgbench(r, "-T", str(r.seconds), sampling=self.sampling)
        more = max(done.transactions - few.transactions, 1)
        return ({"rate": done.tps} | latencies([latency for _, latency in done.latencies]) | meter.figures(more, without=of_logins))

    def pgbench(self, r: Round, *length: str, sampling: float = 1.0) -> drivers.Pgbench:
        script = ["-f", str(r.database.script(self.script))] if self.script else []
        return drivers.pgbench(r.through, [*self.arguments, *script, "-c", str(self.clients), "-j", "1", *length], sampling=sampling)


@dataclasses.dataclass(frozen=True)
class Churn(Workload):
    """A connection per transaction (pgbench -C): the price of a login, one SELECT and a goodbye."""

    clients: int = 4

    def warm_up(self, r: Round):
        self.pgbench(r, "-t", "1")

    def run(self, r: Round) -> Figures:
        meter = Meter(r.through)
        done = self.pgbench(r, "-T", str(r.seconds))
        return ({"rate": done.tps, "login_ms": done.login_ms} | latencies([latency for _, latency in done.latencies])
                | meter.figures(done.transactions))

    def pgbench(self, r: Round, *length: str) -> drivers.Pgbench:
        # a thread per client, since pgbench waits for a login
        return drivers.pgbench(r.through, ["-C", "-S", "-c", str(self.clients), "-j", str(self.clients), *length])


@dataclasses.dataclass(frozen=True)
class Rows(Workload):
    """Big results: `megabytes` in each, rows of 1,000 bytes."""

    megabytes: int = 1
    clients: int = 1
    times: int = 1     # a client, in a round

    unit = "MB"

    def warm_up(self, r: Round):
        self.pgbench(r, 1)

    def run(self, r: Round) -> Figures:
        meter = Meter(r.through)
        done = self.pgbench(r, self.times)
        megabytes = done.transactions * self.megabytes
        return ({"rate": done.tps * self.megabytes} | latencies([latency for _, latency in done.latencies]) | meter.figures(megabytes))

    def pgbench(self, r: Round, times: int) -> drivers.Pgbench:
        assert self.megabytes <= BULK_MEGABYTES and r.database.bulk.exists()
        script = r.database.script(f"SELECT payload FROM bulk LIMIT {self.megabytes * 1000};\n")
        return drivers.pgbench(r.through, ["-f", str(script), "-c", str(self.clients), "-j", "1", "-t", str(times)])


@dataclasses.dataclass(frozen=True)
class Copy(Workload):
    """COPY of 100 MB with psql, out of a table or into an empty one."""

    into: bool = False

    unit = "MB"

    def run(self, r: Round) -> Figures:
        rows = r.database.bulk
        if self.into:
            r.database.empty_sink()
            meter = Meter(r.through)
            with rows.open("rb") as source:
                took = drivers.psql(r.through, "COPY sink FROM STDIN", stdin=source)
        else:
            meter = Meter(r.through)
            took = drivers.psql(r.through, "COPY bulk TO STDOUT", stdin=subprocess.DEVNULL)
        return {"rate": BULK_MEGABYTES / took} | meter.figures(BULK_MEGABYTES)


@dataclasses.dataclass(frozen=True)
class Idle(Workload):
    """Clients that have logged in and say nothing: memory of each (client_kib), and processor time of all per second (idle_us)."""

    count: int = 2000

    fresh = True
    most_rounds = 2

    def run(self, r: Round) -> Figures:
        with drivers.IdleClients(r.through, 1):
            before = usage.memory(r.through.pids())
            with drivers.IdleClients(r.through, self.count) as idle:
                held = usage.memory(r.through.pids()) - before
                found = {"client_kib": held / self.count, "idle_us": idle_cost(r)}
                found["errors"] = float(idle.ask_all())
        return found


@dataclasses.dataclass(frozen=True)
class Crowd(Workload):
    """Far more clients than server connections. Nearly all are idle; first a few are active, then so many that each waits for its turn:
    fairness is the longest wait divided by the median wait, both without the 5 ms that the server works."""

    count: int = 10_000
    active: int = 10
    waiting: int = 200

    fresh = True
    most_rounds = 3
    service_ms: ClassVar[float] = 5.0

    def fits(self, contender: Contender) -> bool:
        return contender.pool_mode == "transaction"   # the server has no room for so many

    def run(self, r: Round) -> Figures:
        with drivers.IdleClients(r.through, 1):
            before = usage.memory(r.through.pids())
            silent = self.count - self.waiting - 1
            begin = time.monotonic()
            with drivers.IdleClients(r.through, silent) as idle:
                found = {"login_ms": (time.monotonic() - begin) * 1e3 / silent,
                         "client_kib": (usage.memory(r.through.pids()) - before) / silent, "idle_us": idle_cost(r)}
                meter = Meter(r.through)
                few = drivers.pgbench(r.through, ["-S", "-c", str(self.active), "-j", "1", "-T", str(r.seconds)])
                found |= {"rate": few.tps} | latencies([latency for _, latency in few.latencies]) | meter.figures(few.transactions)
                found |= self.overload(r)
                found["errors"] = float(idle.ask_all())
        return found

    def overload(self, r: Round) -> Figures:
        script = r.database.script(f"SELECT pg_sleep({self.service_ms / 1e3});\n")
        crowd = drivers.pgbench(r.through, ["-f", str(script), "-c", str(self.waiting), "-j", "2", "-T", str(r.seconds + 2)])
        # the first second is not steady: all begin at once, and the pool fills
        begin = min(at - latency / 1e3 for at, latency in crowd.latencies)
        waits = [latency - self.service_ms for at, latency in crowd.latencies if at - latency / 1e3 > begin + 1]
        median = drivers.percentile(waits, 0.50)
        return {"wait_p50_ms": median, "wait_p99_ms": drivers.percentile(waits, 0.99), "wait_longest_ms": max(waits),
                "fairness": max(waits) / median if median > 0 else 0.0}


@dataclasses.dataclass(frozen=True)
class Unlimited(Workload):
    """A server stub and a load that cost little, so that the contender is the limit."""

    mode: str = "prepared"
    batch: int = 1
    clients: int = 64

    stub = True

    def run(self, r: Round) -> Figures:
        with subprocess.Popen([r.tools / "client_stub", str(r.through.port), self.mode, str(self.clients), str(self.batch), str(r.seconds)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
            try:
                if load.stdout.readline() != "ready\n":
                    raise Failed(load.stderr.read().strip())
                meter = Meter(r.through)
                load.stdin.write("go\n")
                load.stdin.flush()
                told = load.stdout.readline().split()
                if len(told) != 4:
                    raise Failed(load.stderr.read().strip())
                batches, seconds, p50, p99 = map(float, told)
                return {"rate": batches / seconds, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3} | meter.figures(batches)
            finally:
                load.kill()


def idle_cost(r: Round) -> float:
    """Microseconds of processor time per second, with nobody saying anything."""
    time.sleep(0.5)   # what logins have left behind
    before, begin = usage.processor(r.through.pids()), time.monotonic()
    time.sleep(r.seconds)
    return (usage.processor(r.through.pids()) - before).total / (time.monotonic() - begin)


PIPELINE = ("\\set aid random(1, 100000 * :scale)\n\\startpipeline\n"
            + "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n" * 10 + "\\endpipeline\n")


def _selects() -> list[Workload]:
    return [Transactions(f"select-{mode}-{count}", f"SELECT {mode}, {count} client{'s' * (count > 1)}",
                         Needs(named_statements=mode == "prepared"), arguments=("-S", "-M", mode), clients=count,
                         sampling=1.0 if count == 1 else 0.25)
            for mode in ("simple", "extended", "prepared") for count in (1, 8, 64)]


ALL: list[Workload] = [
    *_selects(),
    Transactions("tpcb-8", "tpcb-like, 8 clients", arguments=("-b", "tpcb-like"), sampling=1.0),
    Transactions("pipeline-extended-8", "pipelines of 10, extended, 8 clients", arguments=("-M", "extended"), script=PIPELINE),
    Transactions("pipeline-prepared-8", "pipelines of 10, prepared, 8 clients", Needs(named_statements=True),
                 arguments=("-M", "prepared"), script=PIPELINE),
    Transactions("tls-prepared-8", "TLS, SELECT prepared, 8 clients", Needs(tls=True, named_statements=True),
                 arguments=("-S", "-M", "prepared")),
    Churn("churn-trust", "a connection per SELECT, 4 clients, trust"),
    Churn("churn-scram", "a connection per SELECT, 4 clients, SCRAM", Needs(scram=True)),
    Rows("rows-1mb", "results of 1 MB, 4 clients", megabytes=1, clients=4, times=75),
    Rows("rows-100mb", "results of 100 MB", megabytes=100, times=3),
    Copy("copy-out", "COPY out, 100 MB"),
    Copy("copy-in", "COPY in, 100 MB", into=True),
    Unlimited("stub-simple-64", "server stub, simple, 64 clients", mode="simple"),
    Unlimited("stub-prepared-64", "server stub, prepared, 64 clients", Needs(named_statements=True)),
    Unlimited("stub-pipeline-64", "server stub, pipelines of 10, prepared, 64 clients", Needs(named_statements=True), batch=10),
    Idle("idle-2000", "2,000 idle clients"),
    Crowd("crowd-10000", "10,000 clients on a pool"),
]

QUICK = ("select-simple-8", "select-prepared-1", "select-prepared-8", "select-prepared-64", "pipeline-prepared-8", "tls-prepared-8",
         "churn-trust", "rows-1mb", "copy-out", "copy-in", "stub-prepared-64")
