"""Who is compared: PostgreSQL itself, and what can stand in front of it. Each runs as one process on a port of 127.0.0.1.

A contender is a description; start() makes a Running of it, with a configuration of its own for what the workload needs.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from support import process
from support.wire import Closed, LoginRefused, Wire

from . import usage

MOST_CLIENTS = 12_000


class Failed(Exception):
    """A contender or a client cannot do its work: why, in one line."""

    def __init__(self, reason: str):
        super().__init__(" ".join(reason.split()).rstrip("."))


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a workload asks of a contender."""

    tls: bool = False                # between client and contender
    scram: bool = False              # clients log in as scram_user with a password
    named_statements: bool = False   # prepared statements that outlive a transaction


@dataclasses.dataclass(frozen=True)
class Server:
    """What stands behind a contender."""

    port: int
    sockets: pathlib.Path | None = None   # the folder of its unix socket
    pid: int = 0
    password: str = ""                    # the stored password of scram_user
    certificate: tuple[pathlib.Path, pathlib.Path] | None = None   # for contenders that speak TLS themselves

    def socket(self) -> pathlib.Path:
        return self.sockets / f".s.PGSQL.{self.port}"


class Running:
    """A contender at work. `note` says where it is not what was asked for."""

    def __init__(self, contender: "Contender", port: int, needs: Needs, root: int, folder: pathlib.Path | None = None,
                 child: subprocess.Popen | None = None, note: str = ""):
        self.contender = contender
        self.port = port
        self.needs = needs
        self.note = note
        self._root = root
        self._folder = folder
        self._child = child

    def pids(self) -> list[int]:
        return usage.tree(self._root)

    def environment(self) -> dict[str, str]:
        """Where libpq finds it, and how it logs in."""
        user = "scram_user" if self.needs.scram else "postgres"
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": user, "PGPASSWORD": user, "PGDATABASE": "postgres",
                "PGSSLMODE": "require" if self.needs.tls else "disable", "PGGSSENCMODE": "disable", "PGCONNECT_TIMEOUT": "30"}

    def connect(self) -> Wire:
        """A connection that has logged in."""
        try:
            wire = Wire.connect("127.0.0.1", self.port)
            if self.needs.tls:
                wire.start_tls()
            user = self.environment()["PGUSER"]
            return wire.login(user, "postgres", password=user)
        except (OSError, AssertionError, Closed, LoginRefused) as reason:
            raise Failed(f"no login at {self.contender.name}: {reason}") from reason

    def output(self) -> str:
        return (self._folder / "output.log").read_text(errors="replace") if self._folder else ""

    def close(self):
        if self._child:
            process.end(self._child, signal.SIGTERM, timeout=2)
        if self._folder:
            process.remove(self._folder)

    def wait_until_ready(self):
        def listens() -> bool:
            if self._child and self._child.poll() is not None:
                raise Failed(f"it ended at its start: {self.output()[-1000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            except OSError:
                return False

        process.wait_until(listens, timeout=30, every=0.02, what=f"{self.contender.name} listens")
        self.connect().close()


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    by_socket: bool = False   # reaches the server by its unix socket, if it has one

    pool_mode = ""            # session or transaction, of those who speak PostgreSQL's protocol; the others pass bytes on
    measured = True           # a process whose CPU is told apart from the server's

    def missing(self) -> str:
        """Why it cannot take part, if it cannot."""
        return ""

    def about(self) -> dict:
        """What the report knows of it."""
        described = {"kind": type(self).__name__, "version": self.version()} | dataclasses.asdict(self)
        return {key: str(value) if isinstance(value, pathlib.Path) else value for key, value in described.items()}

    def version(self) -> str:
        return ""

    def start(self, server: Server, needs: Needs) -> Running:
        port = process.free_port()
        folder = process.scratch_folder("bench-" + re.sub(r"\W+", "-", self.name))
        with (folder / "output.log").open("ab") as log:
            child = subprocess.Popen(self.command(port, server, needs, folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     cwd=folder, start_new_session=True, preexec_fn=process.end_with_parent, **self.account())
        running = Running(self, port, needs, child.pid, folder, child, self.remark(needs))
        try:
            running.wait_until_ready()
        except BaseException:
            running.close()
            raise
        return running

    def command(self, port: int, server: Server, needs: Needs, folder: pathlib.Path) -> list[str]:
        """Writes the configuration into `folder`: what to run."""
        raise NotImplementedError

    def account(self) -> dict:
        return {}

    def remark(self, needs: Needs) -> str:
        return ""

    def uses_socket(self, server: Server, needs: Needs) -> bool:
        """PostgreSQL speaks no TLS on its unix socket, and asks for no password there: nothing for those who only pass bytes on."""
        return self.by_socket and server.sockets is not None and (bool(self.pool_mode) or not (needs.tls or needs.scram))


@dataclasses.dataclass(frozen=True)
class Direct(Contender):
    measured = False

    def start(self, server: Server, needs: Needs) -> Running:
        return Running(self, server.port, needs, server.pid)


@dataclasses.dataclass(frozen=True)
class Floor(Contender):
    binary: pathlib.Path = pathlib.Path()

    def missing(self) -> str:
        return "" if self.binary.is_file() else f"{self.binary} is not built"

    def command(self, port, server, needs, folder):
        return [str(self.binary), str(port), str(server.socket() if self.uses_socket(server, needs) else server.port)]


@dataclasses.dataclass(frozen=True)
class HAProxy(Contender):
    binary: str = "haproxy"

    def missing(self) -> str:
        return "" if shutil.which(self.binary, path=_PATH) else "haproxy is not installed"

    def version(self) -> str:
        return _told_version(shutil.which(self.binary, path=_PATH), "-v")

    def command(self, port, server, needs, folder):
        address = f"unix@{server.socket()}" if self.uses_socket(server, needs) else f"127.0.0.1:{server.port}"
        (folder / "haproxy.cfg").write_text(
            "global\n  nbthread 1\n  maxconn 4000\n"
            "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n"
            f"listen bench\n  bind 127.0.0.1:{port}\n  server postgres {address}\n")
        return [shutil.which(self.binary, path=_PATH), "-db", "-q", "-f", str(folder / "haproxy.cfg")]


@dataclasses.dataclass(frozen=True)
class PgBouncer(Contender):
    binary: str = "pgbouncer"
    pool_mode: str = "session"
    pool_size: int = 20

    def missing(self) -> str:
        return "" if shutil.which(self.binary, path=_PATH) else "pgbouncer is not installed"

    def version(self) -> str:
        return _told_version(shutil.which(self.binary, path=_PATH), "--version")

    def prepares_in_transaction_mode(self) -> bool:
        major, minor = map(int, self.version().split(".")[:2])
        return (major, minor) >= (1, 21)

    def mode_for(self, needs: Needs) -> str:
        """Prepared statements in transaction mode came with 1.21; before it they are compared in session mode."""
        return "session" if needs.named_statements and not self.prepares_in_transaction_mode() else self.pool_mode

    def remark(self, needs: Needs) -> str:
        mode = self.mode_for(needs)
        if mode == self.pool_mode:
            return ""
        return f"in {mode} mode: {self.version()} has no prepared statements in {self.pool_mode} mode"

    def account(self) -> dict:
        return process.unprivileged()   # it refuses to run as root

    def command(self, port, server, needs, folder):
        mode = self.mode_for(needs)
        host = server.sockets if self.uses_socket(server, needs) else "127.0.0.1"
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "",
            "auth_type": "scram-sha-256" if needs.scram else "trust", "auth_file": folder / "users.txt",
            "pool_mode": mode, "default_pool_size": self.pool_size if mode == "transaction" else MOST_CLIENTS,
            "max_client_conn": MOST_CLIENTS, "server_tls_sslmode": "disable", "log_connections": 0, "log_disconnections": 0,
        }
        if self.prepares_in_transaction_mode():
            settings["max_prepared_statements"] = 200
        if needs.tls:
            certificate, key = _own_certificate(server, folder)
            settings |= {"client_tls_sslmode": "require", "client_tls_cert_file": certificate, "client_tls_key_file": key}
        (folder / "users.txt").write_text(_users(server))
        (folder / "pgbouncer.ini").write_text(f"[databases]\n* = host={host} port={server.port}\n[pgbouncer]\n"
                                              + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        return [shutil.which(self.binary, path=_PATH), "-q", str(folder / "pgbouncer.ini")]


@dataclasses.dataclass(frozen=True)
class Tidegate(Contender):
    binary: pathlib.Path = pathlib.Path()
    pool_mode: str = "session"
    pool_size: int = 20
    threads: int = 1
    relay: str | None = None   # None: not written into the configuration
    policies: str = "enforce"

    def missing(self) -> str:
        return "" if self.binary.is_file() else f"{self.binary} is not built"

    def version(self) -> str:
        return _told_version(str(self.binary), "--version")

    def command(self, port, server, needs, folder):
        listen = {"address": "127.0.0.1", "port": port}
        if needs.tls:
            certificate, key = _own_certificate(server, folder)
            listen["tls"] = {"mode": "require", "certificate": str(certificate), "key": str(key)}
        auth = {"method": "scram-sha-256", "user_file": str(folder / "users.txt")} if needs.scram else {"method": "trust"}
        pool = {"mode": self.pool_mode} | ({"size": self.pool_size} if self.pool_mode == "transaction" else {})
        settings = {
            "listen": [listen], "http": "off", "threads": self.threads, "auth": auth, "limits": {"max_clients": MOST_CLIENTS},
            "databases": {"*": {"host": str(server.sockets) if self.uses_socket(server, needs) else "127.0.0.1", "port": server.port, "pool": pool,
                                "server_tls": {"mode": "disable"}, "control": {"user": "postgres"}}},
            "policies": {"mode": self.policies}, "audit": "off", "log": {"level": "warning"},
        } | ({"relay": self.relay} if self.relay else {})
        (folder / "users.txt").write_text(_users(server))
        (folder / "tidegate.yaml").write_text(json.dumps(settings, indent=1))   # JSON is YAML
        return [str(self.binary), "serve", "--config", str(folder / "tidegate.yaml")]


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _told_version(program: str, option: str) -> str:
    """The first number with dots in what a program says of itself."""
    told = subprocess.run([program, option], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(\.\d+)+", told)[0]


def _users(server: Server) -> str:
    """A user file that PgBouncer and the gateway both read: with the server's own verifier nobody has to derive a key."""
    return f'"postgres" ""\n"scram_user" "{server.password}"\n'


def _own_certificate(server: Server, folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Copies that the contender's user may read."""
    copies = tuple(pathlib.Path(shutil.copy(file, folder)) for file in server.certificate)
    for copy in copies:
        process.own(copy)
    return copies
