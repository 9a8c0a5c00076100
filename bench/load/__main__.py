"""Compares, side by side, PostgreSQL itself, a forwarder that does nothing, HAProxy, PgBouncer and Tidegate. See bench/README.md.

    scripts/bench [--quick] [--pool-mode session|transaction] [--workloads PATTERN,…] [--contenders NAME,…] [--rounds N] [--seconds N] …

Starts a throwaway PostgreSQL and, for each workload, every contender on 127.0.0.1; then each contender has its turn in every round, in an
order drawn anew. Writes report.json, report.md and report.svg. Ctrl-C ends what was started and reports what there is.
"""

import argparse
import contextlib
import dataclasses
import fnmatch
import json
import os
import pathlib
import platform
import random
import resource
import signal
import subprocess
import sys
import time

from support import process

from . import picture, report, workloads
from .contenders import Contender, Direct, Failed, Floor, HAProxy, Needs, PgBouncer, Running, Server, Tidegate
from .database import Database

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTENDERS = ("direct", "floor", "floor-aa", "haproxy", "pgbouncer", "pgbouncer-aa", "tidegate")
QUICK_CONTENDERS = ("direct", "floor", "pgbouncer", "pgbouncer-aa", "tidegate")
STUB_THREADS = 2   # of the gateway that is compared with one PgBouncer process where the server is no limit


def main() -> int:
    options = parse_arguments()
    if options.list:
        for workload in workloads.ALL:
            print(f"{workload.name:22} {workload.title}")
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, signal.default_int_handler)   # as Ctrl-C: everything that was started ends
    options.out.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(options)
    status = 0
    try:
        comparison.run()
    except KeyboardInterrupt:
        comparison.result["remarks"].append("The run was interrupted.")
        status = 130
    text = comparison.write()
    print(f"\n{text}\n==> {options.out}/report.md, report.json, report.svg")
    return status or int(comparison.failed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds of a second of fewer workloads and contenders: about three minutes")
    parser.add_argument("--rounds", type=int, help="default: 9")
    parser.add_argument("--seconds", type=int, default=1, help="of one contender in one round (default: 1)")
    parser.add_argument("--workloads", help="names or patterns, with commas; --list names them (default: all)")
    parser.add_argument("--contenders", help=f"of {','.join(CONTENDERS)}; -aa is a second, identical process (default: all)")
    parser.add_argument("--pool-mode", choices=("session", "transaction"), default="session", help="of PgBouncer and Tidegate (default: session)")
    parser.add_argument("--pool-size", type=int, default=20, help="server connections in transaction mode (default: 20)")
    parser.add_argument("--threads", type=int, default=1, help="of Tidegate (default: 1)")
    parser.add_argument("--relay", help="Tidegate's `relay` (default: not written into its configuration)")
    parser.add_argument("--server-socket", default="", metavar="NAME,…", help="contenders that reach the server by its unix socket")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME:KEY=VALUE,…",
                        help="another Tidegate beside the others; keys: binary, pool-mode, relay, threads, server (tcp|socket), policies (enforce|observe|off)")
    parser.add_argument("--tidegate", type=pathlib.Path, default=ROOT / "build/bench/tidegate", help="the binary")
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "build/bench", help="the folder of floor_forwarder and the stubs")
    parser.add_argument("--pgbouncer", default="pgbouncer", help="the program")
    parser.add_argument("--seed", type=int, help="of the order of turns")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench-report", help="the folder of the report")
    parser.add_argument("--list", action="store_true", help="name the workloads")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    options.tidegate, options.tools, options.out = (path.resolve() for path in (options.tidegate, options.tools, options.out))
    options.seed = random.randrange(10**6) if options.seed is None else options.seed
    options.chosen = choose(parser, options)
    options.present = contenders(parser, options)
    return options


def choose(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[workloads.Workload]:
    patterns = options.workloads.split(",") if options.workloads else workloads.QUICK if options.quick else ["*"]
    for pattern in patterns:
        if not any(fnmatch.fnmatch(workload.name, pattern) for workload in workloads.ALL):
            parser.error(f"no workload {pattern}")
    return [workload for workload in workloads.ALL if any(fnmatch.fnmatch(workload.name, pattern) for pattern in patterns)]


def contenders(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[Contender]:
    names = options.contenders.split(",") if options.contenders else QUICK_CONTENDERS if options.quick else CONTENDERS
    by_socket = set(filter(None, options.server_socket.split(",")))
    for name in {*names, *by_socket} - set(CONTENDERS):
        parser.error(f"no contender {name}")
    made: list[Contender] = []
    for name in names:
        kind, _, twin = name.partition("-")
        label, socket = kind + " (A/A)" * bool(twin), name in by_socket
        if kind == "direct":
            made.append(Direct(label))
        elif kind == "floor":
            made.append(Floor(label, socket, binary=options.tools / "floor_forwarder"))
        elif kind == "haproxy":
            made.append(HAProxy(label, socket))
        elif kind == "pgbouncer":
            made.append(PgBouncer(label, socket, binary=options.pgbouncer, pool_mode=options.pool_mode, pool_size=options.pool_size))
        else:
            made.append(Tidegate(label, socket, binary=options.tidegate, pool_mode=options.pool_mode, pool_size=options.pool_size,
                                 threads=options.threads, relay=options.relay))
    base = Tidegate("tidegate", "tidegate" in by_socket, binary=options.tidegate, pool_mode=options.pool_mode,
                    pool_size=options.pool_size, threads=options.threads, relay=options.relay)
    return made + [variant(parser, base, text) for text in options.variant]


def variant(parser: argparse.ArgumentParser, base: Tidegate, text: str) -> Tidegate:
    name, _, changes = text.partition(":")
    read = {"binary": lambda value: ("binary", pathlib.Path(value).resolve()), "pool-mode": lambda value: ("pool_mode", value),
            "relay": lambda value: ("relay", value), "threads": lambda value: ("threads", int(value)),
            "server": lambda value: ("by_socket", value == "socket"), "policies": lambda value: ("policies", value)}
    changed = {"name": f"tidegate {name}"}
    for key, _, value in (change.partition("=") for change in changes.split(",") if change):
        if key not in read:
            parser.error(f"--variant {text}: no key {key}")
        changed.update([read[key](value)])
    return dataclasses.replace(base, **changed)


class Comparison:
    """One run: its servers, and the result as it goes into report.json."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.failed = False
        self.order = random.Random(options.seed)
        self.result = {"about": self.about(), "remarks": [], "contenders": {}, "workloads": []}
        self.present = []
        for contender in options.present:
            reason = contender.missing()
            if reason:
                self.remark(f"{contender.name} is left out: {reason}.")
            else:
                self.present.append(contender)

    def about(self) -> dict:
        options = self.options
        versions = {"kernel": platform.release(), "tidegate": str(options.tidegate), "processors": os.cpu_count()}
        return {"when": time.strftime("%Y-%m-%d %H:%M"), "pool_mode": options.pool_mode, "pool_size": options.pool_size,
                "rounds": options.rounds, "seconds": options.seconds, "seed": options.seed} | versions

    def run(self):
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            database = Database()
            stack.callback(database.close)
            self.result["about"]["postgresql"] = database.postgres.execute("SHOW server_version", "postgres")[0][0]
            for number, workload in enumerate(self.options.chosen, 1):
                print(f"==> {number}/{len(self.options.chosen)} {workload.title} (at {time.monotonic() - begin:.0f} s)", flush=True)
                try:
                    self.compare(workload, database)
                except Failed as reason:
                    self.failed = True
                    self.remark(f"{workload.title} was not measured: {reason}.")
                self.write()

    def compare(self, workload: workloads.Workload, database: Database):
        """All rounds of a workload. A contender that fails is out of it, and the report says why."""
        taking_part = self.taking_part(workload)
        if not taking_part:
            self.remark(f"{workload.title}: nobody can take part in pool mode {self.options.pool_mode}.")
            return
        entry = {"name": workload.name, "title": workload.title, "unit": workload.unit, "notes": {},
                 "rounds": {contender.name: [] for contender in taking_part}}
        self.result["workloads"].append(entry)
        self.result["contenders"] |= {contender.name: contender.about() for contender in taking_part}
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(server_stub(self.options.tools / "server_stub")) if workload.stub else database.server()
            running: dict[str, Running] = {}
            for number in range(min(self.options.rounds, workload.most_rounds)):
                for contender in self.order.sample(taking_part, len(taking_part)):
                    try:
                        if contender.name not in running:
                            through = stack.enter_context(contextlib.closing(contender.start(server, workload.needs)))
                            running[contender.name] = through
                            entry["notes"] |= {contender.name: through.note} if through.note else {}
                            workload.warm_up(self.round_of(through, database))
                        figures = workload.run(self.round_of(running[contender.name], database))
                    except (Failed, TimeoutError) as reason:
                        self.failed = True
                        entry["notes"][contender.name] = f"failed: {reason}"
                        taking_part = [each for each in taking_part if each is not contender]
                        print(f"    {contender.name} failed: {reason}", flush=True)
                        continue
                    entry["rounds"][contender.name].append({"round": number} | figures)
                    self.tell(contender, figures)
                    if workload.fresh:
                        running.pop(contender.name).close()
                        database.settle()

    def round_of(self, through: Running, database: Database) -> workloads.Round:
        return workloads.Round(through, database, self.options.tools, self.options.seconds)

    def tell(self, contender: Contender, figures: dict):
        shown = ", ".join(f"{name} {report.number(value)}" for name, value in figures.items()
                          if name in ("rate", "cpu_us", "p50_ms", "client_kib", "fairness", "errors"))
        print(f"    {contender.name:24} {shown}", flush=True)

    def taking_part(self, workload: workloads.Workload) -> list[Contender]:
        present = [contender for contender in self.present if workload.fits(contender)]
        if not workload.stub:
            return present
        # one PgBouncer process against a gateway that uses more than one core
        return present + [dataclasses.replace(contender, name=f"{contender.name}, {STUB_THREADS} threads", threads=STUB_THREADS)
                          for contender in present if isinstance(contender, Tidegate) and contender.threads != STUB_THREADS]

    def remark(self, text: str):
        print(f"    {text}", flush=True)
        self.result["remarks"].append(text)

    def write(self) -> str:
        """Writes the report as far as there is one: its Markdown."""
        out = self.options.out
        (out / "report.json").write_text(json.dumps(self.result, indent=1) + "\n")
        text = report.markdown(self.result)
        (out / "report.md").write_text(text)
        (out / "report.svg").write_text(picture.svg(self.result))
        return text


@contextlib.contextmanager
def server_stub(binary: pathlib.Path):
    if not binary.is_file():
        raise Failed(f"{binary} is not built")
    port = process.free_port()
    child = subprocess.Popen([binary, str(port)], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=process.end_with_parent)
    try:
        server = Server(port, pid=child.pid)
        Running(Direct("stub"), port, Needs(), child.pid).wait_until_ready()
        yield server
    finally:
        process.end(child, signal.SIGTERM, timeout=2)


if __name__ == "__main__":
    sys.exit(main())
