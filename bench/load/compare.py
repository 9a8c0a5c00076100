#!/usr/bin/env python3
"""Side by side: PostgreSQL directly, the do-nothing forwarder, PgBouncer (session mode) and Tidegate.

    compare.py --tidegate BIN --floor BIN [--rounds 7] [--seconds 2] [--clients 8,64] [--markdown FILE] [--json FILE]

Starts a throwaway PostgreSQL and every contender on 127.0.0.1, then runs pgbench through each of them in interleaved rounds and
reads each proxy's CPU time from the kernel. Prints CPU microseconds per transaction and transactions per second, as medians with
the ratio to the floor and the spread (lowest and highest ratio of the rounds). A second floor stands as the A/A contender: its
ratio shows what the machine's noise alone makes. Only ratios of one run count. See bench/README.md.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from support.postgres import Postgres  # noqa: E402
from support.process import free_port  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Contender:
    def __init__(self, name, port, process=None):
        self.name, self.port, self.process = name, port, process

    def cpu(self):
        return cpu_seconds(self.process.pid) if self.process else 0.0


def spawn(arguments, **kw):
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)


def wait_for(port):
    for _ in range(200):
        done = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-Atc", "select 1"],
                              capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


def pgbench(port, mode, clients, length):
    done = subprocess.run(
        ["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-n", "-S", "-M", mode, "-c", str(clients), "-j", "1",
         *length, "postgres"], capture_output=True, text=True, check=True)
    count = tps = 0
    for line in done.stdout.splitlines():
        if "number of transactions actually processed" in line:
            count = int(line.split(":")[1].split("/")[0])
        if line.startswith("tps ="):
            tps = float(line.split()[2])
    return count, tps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tidegate", required=True)
    parser.add_argument("--floor", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--clients", default="8,64")
    parser.add_argument("--modes", default="simple,extended,prepared")
    parser.add_argument("--markdown")
    parser.add_argument("--json")
    options = parser.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-bench."))
    server = Postgres(settings={"max_connections": "300", "shared_buffers": "256MB"})
    contenders = [Contender("direct", server.port)]
    try:
        subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-i", "-s", "5", "-q", "postgres"],
                       check=True, capture_output=True)
        for name in ("floor", "floor (A/A)"):
            port = free_port()
            contenders.append(Contender(name, port, spawn([options.floor, str(port), str(server.port)])))
        port = free_port()
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n"
            f"auth_type=any\npool_mode=session\nmax_client_conn=500\ndefault_pool_size=200\nunix_socket_dir=\n")
        os.chmod(folder, 0o755)
        if subprocess.run(["which", "pgbouncer"], capture_output=True).returncode == 0:
            bouncer = ["pgbouncer", "-q", str(folder / "pgbouncer.ini")]
            if os.getuid() == 0:
                bouncer = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] + bouncer
            contenders.append(Contender("pgbouncer session", port, spawn(bouncer)))
        port = free_port()
        (folder / "tidegate.yaml").write_text(
            f"listen: [{{address: 127.0.0.1, port: {port}}}]\nhttp: off\nthreads: 1\nauth: {{method: trust}}\n"
            f"databases: {{\"*\": {{host: 127.0.0.1, port: {server.port}, pool: {{mode: session}}, server_tls: {{mode: disable}}, control: {{user: postgres}}}}}}\n"
            f"policies: {{mode: enforce}}\naudit: off\nlog: {{level: warning}}\n")
        contenders.append(Contender("tidegate", port, spawn([options.tidegate, "serve", "--config", str(folder / "tidegate.yaml")])))
        for c in contenders:
            wait_for(c.port)

        results = {}
        for mode in options.modes.split(","):
            for clients in map(int, options.clients.split(",")):
                rounds = {c.name: [] for c in contenders}
                for r in range(options.rounds):
                    order = contenders[r % len(contenders):] + contenders[:r % len(contenders)]
                    for c in order:
                        # Logins are another workload: a run of one transaction per client tells what they cost.
                        before = c.cpu()
                        few, _ = pgbench(c.port, mode, clients, ["-t", "1"])
                        logged_in = c.cpu()
                        count, tps = pgbench(c.port, mode, clients, ["-T", str(options.seconds)])
                        spent = (c.cpu() - logged_in) - (logged_in - before)
                        rounds[c.name].append({"cpu_us": spent / max(count - few, 1) * 1e6, "tps": tps})
                results[f"{mode}, {clients} clients"] = rounds
        report(results, contenders, options)
    finally:
        for c in contenders:
            if c.process:
                c.process.terminate()
                c.process.wait(10)
        server.close()


def report(results, contenders, options):
    lines = ["| workload | " + " | ".join(c.name for c in contenders) + " |", "|---" * (len(contenders) + 1) + "|"]
    for workload, rounds in results.items():
        floor = [x["cpu_us"] for x in rounds["floor"]]
        cells = []
        for c in contenders:
            own = rounds[c.name]
            tps = statistics.median(x["tps"] for x in own)
            if c.process is None:
                cells.append(f"{tps:,.0f} tps")
                continue
            ratios = [x["cpu_us"] / f for x, f in zip(own, floor) if f]
            cells.append(f"{statistics.median(x['cpu_us'] for x in own):.1f} µs, **{statistics.median(ratios):.2f}** "
                         f"({min(ratios):.2f}–{max(ratios):.2f}), {tps:,.0f} tps")
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.markdown:
        pathlib.Path(options.markdown).write_text(text)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
