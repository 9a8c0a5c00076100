"""A throwaway PostgreSQL: its own data folder, socket folder, port and certificates; gone when the tests are.

Roles it starts with (password = name): `postgres` and `app` (trusted), `scram_user`, `md5_user`, `password_user` (the
server asks), `cert_user` (TLS with a certificate), `expired_user` (valid until yesterday), `nologin_user`.
Databases: `postgres` and `app`, the latter owned by `app`.
"""

import os
import pathlib
import shutil
import signal
import subprocess

import psycopg

from . import process
from .certificates import Certificates

DEBIAN_BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")

_HBA = """
local     all          all                            trust
hostssl   all          cert_user      127.0.0.1/32    cert
hostnossl all          cert_user      127.0.0.1/32    reject
host      all          scram_user     127.0.0.1/32    scram-sha-256
host      all          md5_user       127.0.0.1/32    md5
host      all          password_user  127.0.0.1/32    password
host      all          all            127.0.0.1/32    trust
host      replication  all            127.0.0.1/32    trust
"""

_ROLES = """
CREATE ROLE app LOGIN PASSWORD 'app';
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram_user LOGIN PASSWORD 'scram_user';
CREATE ROLE password_user LOGIN PASSWORD 'password_user';
CREATE ROLE expired_user LOGIN PASSWORD 'expired_user' VALID UNTIL 'yesterday';
CREATE ROLE nologin_user NOLOGIN PASSWORD 'nologin_user';
SET password_encryption = 'md5';
CREATE ROLE md5_user LOGIN PASSWORD 'md5_user';
CREATE ROLE cert_user LOGIN;
"""


class Postgres:
    """One server. start(), stop() and restart() may be called at will; close() removes everything."""

    def __init__(self, *, binaries: pathlib.Path = DEBIAN_BINARIES, settings: dict[str, str] | None = None,
                 certificates: Certificates | None = None):
        self.binaries = binaries
        self.folder = process.scratch_folder("postgres")
        self.data = self.folder / "data"
        self.sockets = self.folder / "sockets"
        self.log = self.folder / "server.log"
        self.host = "127.0.0.1"
        self.port = process.free_port()
        self.user = "postgres"
        self.certificates = certificates or Certificates(self.folder / "certificates")
        self._process: subprocess.Popen | None = None
        self._initialise(settings or {})
        self.start()
        self._populate()

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self):
        assert self._process is None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-p", str(self.port)], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.data, env=self._environment(), preexec_fn=process.end_with_parent,
                **process.unprivileged())
        process.wait_until(self._answers, timeout=60, what=f"PostgreSQL is ready ({self.log})")

    def stop(self, mode: str = "fast"):
        """Stops as `pg_ctl stop -m mode` does: smart, fast or immediate (as after a crash)."""
        if self._process is None:
            return
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        process.end(self._process, number, timeout=60)
        self._process = None

    def restart(self, mode: str = "fast"):
        self.stop(mode)
        self.start()

    def reload(self):
        self._process.send_signal(signal.SIGHUP)

    def close(self):
        self.stop("immediate")
        process.remove(self.folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    # -- use -------------------------------------------------------------------------------------------------------

    def connect(self, **parameters) -> psycopg.Connection:
        """A connection of psycopg in autocommit mode, as `postgres` to database `app` unless told otherwise."""
        parameters = {"host": self.host, "port": self.port, "user": self.user, "dbname": "app"} | parameters
        return psycopg.connect(autocommit=True, **parameters)

    def execute(self, sql: str, database: str = "app", parameters=None) -> list[tuple]:
        """Runs SQL on a connection of its own, as superuser: the rows of the last statement, if any."""
        with self.connect(dbname=database) as connection:
            cursor = connection.execute(sql, parameters) if parameters else connection.execute(sql)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def drop_database(self, name: str):
        """Ends the sessions of a database and drops it."""
        with self.connect(dbname="postgres") as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            # A gateway's own connections may come back in between.
            force = " WITH (FORCE)" if self.version() >= 130000 else ""
            admin.execute('DROP DATABASE "' + name.replace('"', '""') + '"' + force)

    def sessions(self, user: str | None = None) -> list[tuple]:
        """(pid, user, application_name, state, query) of the client backends, ours left out."""
        return self.execute(
            "SELECT pid, usename, application_name, state, query FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
            "AND (%s::text IS NULL OR usename = %s)", "postgres", (user, user))

    def version(self) -> int:
        return int(self.execute("SHOW server_version_num", "postgres")[0][0])

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # -- making ----------------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        # a PostgreSQL that is not Debian's finds its own libraries beside its binaries
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC",
                "LD_LIBRARY_PATH": str(self.binaries.parent / "lib")}

    def _initialise(self, settings: dict[str, str]):
        self.sockets.mkdir()
        for folder in (self.folder, self.sockets):
            process.own(folder)
        subprocess.run([self.binaries / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
                       check=True, capture_output=True, env=self._environment(), cwd=self.folder, **process.unprivileged())
        certificate, key = self.certificates.server()
        for source, name in ((certificate, "server.crt"), (key, "server.key"), (self.certificates.ca, "root.crt")):
            shutil.copy(source, self.data / name)
            process.own(self.data / name)
        (self.data / "server.key").chmod(0o600)
        values = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.sockets), "max_connections": "200",
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB",
            "wal_level": "logical", "max_wal_senders": "10", "max_prepared_transactions": "20",
            "ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "root.crt",
            "logging_collector": "off", "log_min_messages": "warning", "log_line_prefix": "%m [%p] %u@%d ", "timezone": "UTC",
        } | settings
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in values.items())
        (self.data / "pg_hba.conf").write_text(_HBA)

    def _populate(self):
        self.execute(_ROLES, "postgres")
        with self.connect(dbname="postgres") as connection:
            connection.execute("CREATE DATABASE app OWNER app")

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended at its start:\n{self.tail()}")
        try:
            self.connect(dbname="postgres", connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False
