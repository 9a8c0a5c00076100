"""A running `tidegate serve`, watched: memory, descriptors, metrics, and how it ends."""

import copy
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from . import process
from .target import Target

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary() -> str:
    """The gateway under test: $TIDEGATE, or the sanitizer build."""
    return os.environ.get("TIDEGATE") or str(ROOT / "build/dev/tidegate")


def pool_mode() -> str:
    """Of gateways whose test does not say: $TIDEGATE_POOL_MODE, or session."""
    return os.environ.get("TIDEGATE_POOL_MODE") or "session"


def merged(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it, dictionaries key by key; a value of None takes a key away."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class Gateway(Target):
    """One gateway in front of `postgres`. `settings` are laid over the smallest useful configuration, whose `relay` is
    $TIDEGATE_RELAY where that is set.

    close() is a test of its own: the process must still be alive (unless `may_end`), end on SIGTERM within seconds with
    exit code 0, and have no sanitizer's report in its output.
    """

    direct = False

    def __init__(self, postgres, settings: dict | None = None, *, upstream=None, environment: dict | None = None,
                 files: int | None = None, forbid_io_uring: bool = False):
        super().__init__(postgres, "127.0.0.1", process.free_port())
        self.http_port = process.free_port()
        self.folder = process.scratch_folder("gateway")
        self.sockets = self.folder
        self.file = self.folder / "tidegate.yaml"
        self.log = self.folder / "output.log"
        self.may_end = False
        server = upstream or postgres
        self.settings = merged({
            "listen": [{"address": "127.0.0.1", "port": self.port}],
            "http": {"address": "127.0.0.1", "port": self.http_port},
            "threads": 2,
            "relay": os.environ.get("TIDEGATE_RELAY") or "epoll",
            "auth": {"method": "trust"},
            "admin": {"users": ["postgres"]},
            "databases": {"*": {"host": server.host, "port": server.port, "pool": {"mode": pool_mode()},
                                "control": {"user": "postgres"}}},
            "policies": {"mode": "enforce"},
            "locks": {"lock_timeout": "50ms", "ddl_wait_budget": "60s", "stall_budget": "100ms", "hold_budget": "1s"},
        }, settings or {})
        self.port = self.settings["listen"][0]["port"]
        self.keeps_servers = "transaction" in json.dumps([d.get("pool") for d in self.settings["databases"].values()])
        self.write(self.settings)
        self._environment = environment or {}
        self._files = files
        self._forbid_io_uring = forbid_io_uring
        self._process: subprocess.Popen | None = None
        self.start()

    # -- life ------------------------------------------------------------------------------------------------------

    def write(self, settings: dict | str):
        """Writes the configuration file; JSON is YAML."""
        self.file.write_text(settings if isinstance(settings, str) else json.dumps(settings, indent=2))

    def start(self):
        sanitizers = {"ASAN_OPTIONS": "quarantine_size_mb=16:" + os.environ.get("ASAN_OPTIONS", ""),
                      "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "print_stacktrace=1")}

        def prepare():
            process.end_with_parent()
            if self._files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, self._files))
            if self._forbid_io_uring:
                process.forbid_io_uring()

        with self.log.open("ab") as log:
            self._process = subprocess.Popen([binary(), "serve", "--config", self.file], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, preexec_fn=prepare, cwd=self.folder,
                                             env=os.environ | sanitizers | self._environment)
        try:
            process.wait_until(self._listens, timeout=30, what=f"the gateway listens ({self.log})")
        except BaseException:
            self._process.kill()
            raise

    def close(self):
        try:
            self.end()
        finally:
            process.remove(self.folder)

    def end(self):
        """SIGTERM, and the judgement."""
        ended_by_itself = self._process.poll() is not None
        code = process.end(self._process, signal.SIGTERM, timeout=15)
        output = self.output()
        reports = re.findall(r"^.*(?:Sanitizer|runtime error|terminate called|Assertion).*$", output, re.MULTILINE)
        assert not reports, f"{reports[0]}\n{output[-6000:]}"
        if not self.may_end:
            assert not ended_by_itself, f"the gateway ended by itself with {code}:\n{output[-3000:]}"
            assert code is not None, f"the gateway did not end within 15 s of SIGTERM:\n{output[-3000:]}"
            assert code == 0, f"the gateway ended with {code}:\n{output[-3000:]}"

    def signal(self, number: int):
        self._process.send_signal(number)

    def reload(self, settings: dict | str | None = None):
        """Writes changed settings, if given, sends SIGHUP and waits until the log says what came of it."""
        if settings is not None:
            self.write(merged(self.settings, settings) if isinstance(settings, dict) else settings)
        before = self.output().count("reload")
        self.signal(signal.SIGHUP)
        process.wait_until(lambda: self.output().count("reload") > before, what="the log tells of the reload")

    def wait(self, timeout: float = 15) -> int:
        """Waits for the process to end by itself or by a signal sent before: its exit code."""
        self.may_end = True
        return self._process.wait(timeout)

    @property
    def pid(self) -> int:
        return self._process.pid

    def assert_alive(self):
        assert self._process.poll() is None, f"the gateway ended with {self._process.returncode}:\n{self.output()[-6000:]}"

    def _listens(self) -> bool:
        self.assert_alive()
        try:
            socket.create_connection((self.host, self.http_port), timeout=1).close()
            socket.create_connection((self.host, self.port), timeout=1).close()
            return True
        except OSError:
            return False

    # -- watching --------------------------------------------------------------------------------------------------

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def client_descriptors(self) -> int:
        """Open file descriptors but those of the control plane's connections, which come when first needed and go when long unused.

        Servers of a transaction pool stay when their clients go: they are left out too."""
        control = {port for (port,) in self.postgres.execute(
            "SELECT client_port FROM pg_stat_activity WHERE application_name IN ('tidegate control', 'tidegate gate')", "postgres")}
        # of other gateways in front of the same server as well: so by the port of a socket that is ours
        ports, to_server = {}, set()
        for line in pathlib.Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            ports[f"socket:[{fields[9]}]"] = int(fields[1].rsplit(":", 1)[1], 16)
            if self.keeps_servers and int(fields[2].rsplit(":", 1)[1], 16) == self.postgres.port:
                to_server.add(f"socket:[{fields[9]}]")
        count = 0
        for descriptor in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                opened = os.readlink(descriptor)
                count += ports.get(opened) not in control and opened not in to_server
            except FileNotFoundError:
                pass   # closed meanwhile
        return count

    def resident(self) -> int:
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024

    def processor_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def http(self, path: str) -> tuple[int, str]:
        """Status and body of a GET."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.http_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def metrics(self) -> "Metrics":
        status, body = self.http("/metrics")
        assert status == 200, body
        return Metrics(body)


class Metrics:
    """Prometheus' text format, parsed: samples of (name, labels, value)."""

    _line = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
    _label = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, body: str):
        self.samples: list[tuple[str, dict[str, str], float]] = []
        self.types: dict[str, str] = {}
        for line in body.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif line and not line.startswith("#"):
                match = self._line.match(line)
                assert match, f"not a sample: {line}"
                self.samples.append((match[1], dict(self._label.findall(match[2] or "")), float(match[3])))

    def sum(self, name: str, **labels: str) -> float:
        """The sum over the samples of `name` with these labels; 0 if there are none."""
        return sum(value for sample, found, value in self.samples
                   if sample == name and all(found.get(key) == expected for key, expected in labels.items()))

    def names(self) -> set[str]:
        return {name for name, _, _ in self.samples}

    def label_values(self, label: str) -> set[str]:
        return {found[label] for _, found, _ in self.samples if label in found}
