"""Instructions of the gateway per SELECT, by callgrind: what the relay's own code costs, whatever the machine is doing.

    scripts/bench instructions [--queries 5000] [--pool-mode session|transaction] [--relay NAME]

Runs the gateway under callgrind with one client that sends the same SELECT N and 3 N times; the difference is the price of
the queries between, the login and the start left out. Prints a line per protocol, and how much of it is the parser's: nothing.
"""

import argparse
import pathlib
import re
import signal
import subprocess

from support import process
from support.postgres import Postgres

from .contenders import Needs, Running, Server, Tidegate
from .drivers import pgbench


def instructions(gateway: Tidegate, server: Server, mode: str, queries: int) -> tuple[int, int]:
    """Of a gateway's life with so many queries: all, and those of the parser."""
    port, needs, folder = process.free_port(), Needs(), process.scratch_folder("callgrind")
    out = folder / "callgrind.out"
    try:
        with (folder / "output.log").open("wb") as log:
            child = subprocess.Popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--main-stacksize=8388608",
                                      *gateway.command(port, server, needs, folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     cwd=folder, start_new_session=True, preexec_fn=process.end_with_parent)
        through = Running(gateway, port, needs, child.pid, folder, child)
        try:
            through.wait_until_ready()
            pgbench(through, ["-S", "-M", mode, "-c", "1", "-t", str(queries)])
        finally:
            process.end(child, signal.SIGTERM, timeout=120)
        total = int(re.search(r"Collected : (\d+)", through.output())[1])
        # The parser runs once at the start, to be checked; what it costs more in the longer run would be the queries'.
        lines = subprocess.run(["callgrind_annotate", "--threshold=100", out], capture_output=True, text=True, check=True).stdout.splitlines()
    finally:
        process.remove(folder)
    parser = sum(int(line.split()[0].replace(",", "")) for line in lines
                 if re.match(r"\s*[\d,]+ \(", line) and re.search(r"pg_query|base_yy|raw_parser|sql::parse", line))
    return total, parser


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench instructions", description=__doc__.split("\n")[0])
    parser.add_argument("--tidegate", type=pathlib.Path, required=True, help="the binary")
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--pool-mode", choices=("session", "transaction"), default="session")
    parser.add_argument("--relay", help="Tidegate's `relay` (default: not written into its configuration)")
    options = parser.parse_args()
    gateway = Tidegate("tidegate", binary=options.tidegate.resolve(), pool_mode=options.pool_mode, relay=options.relay)
    postgres = Postgres(settings={"shared_buffers": "64MB"})
    try:
        subprocess.run([postgres.binaries / "pgbench", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres", "-i", "-q", "postgres"],
                       check=True, capture_output=True)
        for mode in ("simple", "extended", "prepared"):
            few, parsed_few = instructions(gateway, Server(postgres.port), mode, options.queries)
            many, parsed_many = instructions(gateway, Server(postgres.port), mode, 3 * options.queries)
            each, parsed = ((more - less) / (2 * options.queries) for more, less in ((many, few), (parsed_many, parsed_few)))
            print(f"{mode}: {each:,.0f} instructions per SELECT in user space, {parsed:,.0f} of them in the parser", flush=True)
    finally:
        postgres.close()


if __name__ == "__main__":
    main()
