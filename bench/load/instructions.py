"""Instructions of the gateway per SELECT, by callgrind: what the relay's own code costs, whatever the machine is doing.

    scripts/bench instructions [--tidegate BIN] [--queries 5000]

Runs the gateway under callgrind with one client that sends the same SELECT N and 3 N times; the difference is the price of
the queries between, the login and the start left out. Prints a line per protocol, and how much of it is the parser's: nothing.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
from support.postgres import Postgres  # noqa: E402
from support.process import free_port  # noqa: E402


def instructions(binary, server, mode, queries):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-callgrind."))
    port = free_port()
    (folder / "tidegate.yaml").write_text(
        f"listen: [{{address: 127.0.0.1, port: {port}}}]\nhttp: off\nthreads: 1\nauth: {{method: trust}}\n"
        f"databases: {{\"*\": {{host: 127.0.0.1, port: {server.port}, server_tls: {{mode: disable}}}}}}\npolicies: {{mode: enforce}}\naudit: off\nlog: {{level: warning}}\n")
    gateway = subprocess.Popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--main-stacksize=8388608",
                                binary, "serve", "--config", str(folder / "tidegate.yaml")],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(300):
            if subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-Atc", "select 1"],
                              capture_output=True).returncode == 0:
                break
        subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-n", "-S", "-M", mode, "-c", "1", "-t",
                        str(queries), "postgres"], check=True, capture_output=True)
    finally:
        gateway.terminate()
        errors = gateway.communicate(timeout=120)[1]
    total = int(re.search(r"Collected : (\d+)", errors).group(1))
    # The parser runs once at the start, to be checked; what it costs more in the longer run would be the queries'.
    annotated = subprocess.run(["callgrind_annotate", "--threshold=100", str(folder / "out")], capture_output=True, text=True).stdout
    parser = sum(int(line.split()[0].replace(",", "")) for line in annotated.splitlines()
                 if re.match(r"\s*[\d,]+ \(", line) and re.search(r"pg_query|base_yy|raw_parser|sql::parse", line))
    return total, parser


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tidegate", required=True)
    parser.add_argument("--queries", type=int, default=5000)
    options = parser.parse_args()
    server = Postgres(settings={"shared_buffers": "64MB"})
    try:
        subprocess.run(["pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-i", "-q", "postgres"], check=True,
                       capture_output=True)
        for mode in ("simple", "extended", "prepared"):
            few, parsed_few = instructions(options.tidegate, server, mode, options.queries)
            many, parsed_many = instructions(options.tidegate, server, mode, 3 * options.queries)
            each = (many - few) / (2 * options.queries)
            parser = (parsed_many - parsed_few) / (2 * options.queries)
            print(f"{mode}: {each:,.0f} instructions per SELECT in user space, {parser:,.0f} of them in the parser", flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
