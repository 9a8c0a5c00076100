"""The PostgreSQL of the comparison, with its tables: pgbench's, and `bulk` (rows of 1,000 bytes)."""

import functools
import hashlib
import pathlib
import subprocess

from support import process
from support.certificates import Certificates
from support.postgres import Postgres

from .contenders import Server

MOST_CONNECTIONS = 2300
SCALE = 10
BULK_MEGABYTES = 100


class Database:
    def __init__(self):
        self.folder = process.scratch_folder("bench")
        try:
            certificates = Certificates(self.folder / "certificates")
            self.postgres = Postgres(certificates=certificates, settings={
                "max_connections": str(MOST_CONNECTIONS), "shared_buffers": "512MB", "max_wal_size": "8GB", "wal_level": "minimal",
                "max_wal_senders": "0", "autovacuum": "off", "synchronize_seqscans": "off"})
        except BaseException:
            process.remove(self.folder)
            raise
        self.certificate = certificates.server()
        try:
            self._fill()
        except BaseException:
            self.close()
            raise

    def _fill(self):
        subprocess.run([self.postgres.binaries / "pgbench", *self._address(), "-i", "-q", "-s", str(SCALE), "postgres"],
                       check=True, capture_output=True)
        self.postgres.execute("GRANT pg_read_all_data TO scram_user", "postgres")

    @functools.cached_property
    def bulk(self) -> pathlib.Path:
        """Makes the tables `bulk` and `sink` (empty): a file with the rows of `bulk` as COPY takes them."""
        self.postgres.execute(f"""
            CREATE UNLOGGED TABLE bulk AS
              SELECT repeat(chr(97 + g % 26), 1000) AS payload FROM generate_series(1, {BULK_MEGABYTES} * 1000) g;
            CREATE UNLOGGED TABLE sink (payload text)""", "postgres")
        self.postgres.execute("VACUUM ANALYZE bulk", "postgres")
        file = self.folder / "bulk"
        with file.open("wb") as rows:
            subprocess.run([self.postgres.binaries / "psql", *self._address(), "-Xqc", "COPY bulk TO STDOUT", "postgres"], check=True,
                           stdout=rows)
        return file

    def _address(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.postgres.port), "-U", "postgres"]

    def server(self) -> Server:
        ((password,),) = self.postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'", "postgres")
        return Server(self.postgres.port, self.postgres.sockets, self.postgres.pid, password, self.certificate)

    def script(self, text: str) -> pathlib.Path:
        """A script of pgbench in a file."""
        file = self.folder / f"{hashlib.sha1(text.encode()).hexdigest()[:12]}.sql"
        if not file.exists():
            file.write_text(text)
        return file

    def empty_sink(self):
        self.postgres.execute("TRUNCATE sink", "postgres")

    def settle(self):
        """Waits until the sessions of those who have left are gone."""
        process.wait_until(lambda: len(self.postgres.sessions()) < 50, timeout=60, every=0.1, what="the server's sessions have ended")

    def close(self):
        self.postgres.close()
        process.remove(self.folder)
