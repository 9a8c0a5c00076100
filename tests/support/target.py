"""What the tests connect to: the gateway, or with --direct PostgreSQL itself, which proves the tests."""

import psycopg

from .process import wait_until
from .wire import Wire, types


class Target:
    """An address that speaks PostgreSQL's protocol, in front of (or being) `postgres`."""

    direct = True
    keeps_servers = False   # open between clients

    def __init__(self, postgres, host: str | None = None, port: int | None = None):
        self.postgres = postgres
        self.host = host or postgres.host
        self.port = port or postgres.port

    def wire(self, **arguments) -> Wire:
        """A raw connection, before any startup packet."""
        return Wire.connect(self.host, self.port, **arguments)

    def login(self, user: str = "app", database: str = "app", **arguments) -> Wire:
        """A raw connection, logged in."""
        return self.wire().login(user, database, **arguments)

    def connect(self, **parameters) -> psycopg.Connection:
        """A connection of psycopg in autocommit mode, as `app` to database `app` unless told otherwise."""
        return psycopg.connect(**({"autocommit": True} | self.address(**parameters)))

    def address(self, **parameters) -> dict:
        return {"host": self.host, "port": self.port, "user": "app", "dbname": "app", "connect_timeout": 10} | parameters

    def uri(self, **parameters) -> str:
        """The address as a connection string for PostgreSQL's programs."""
        return psycopg.conninfo.make_conninfo(**self.address(**parameters))

    def descriptors(self) -> int:
        """Open file descriptors; 0 where nobody counts them."""
        return 0

    def client_descriptors(self) -> int:
        """Those of them that are there for clients."""
        return 0

    def resident(self) -> int:
        """Resident memory in bytes; 0 where nobody counts it."""
        return 0

    def assert_alive(self):
        pass


class Bystander:
    """A client that is there before, during and after something bad, and counts what is left of it."""

    def __init__(self, target: Target):
        self.target = target
        with target.login() as first:   # what is opened once, on first use, is no leak
            first.query("SELECT 1")
        self.client = target.login()
        self.descriptors = self.target.client_descriptors()
        self.sessions = self._sessions()

    def _sessions(self) -> int:
        return len(self.target.postgres.sessions("app"))

    def assert_unharmed(self):
        """The process lives, this client and the next are served, and no connection is left on either side."""
        self.target.assert_alive()
        assert types(self.client.query("SELECT 1")) == "TDCZ"
        with self.target.login() as after:
            assert types(after.query("SELECT 1")) == "TDCZ"
        if not self.target.keeps_servers:
            wait_until(lambda: self._sessions() <= self.sessions, what="server connections end with their clients")
        wait_until(lambda: self.target.client_descriptors() <= self.descriptors, what="descriptors are closed")
        self.client.close()
