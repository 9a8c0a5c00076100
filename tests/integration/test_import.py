"""`tidegate import`: configurations of PgBouncer become ones that the gateway takes, and clients come in by them."""

import stat
import subprocess

import psycopg
import pytest

from support import gateway as gateway_module
from support import process
from support.gateway import Gateway

pytestmark = pytest.mark.gateway_only


class Imported:
    """The output of one run, in a folder of its own."""

    def __init__(self, folder, ini: str, files: dict[str, str], *arguments: str):
        for name, content in (files | {"pgbouncer.ini": ini}).items():
            (folder / name).write_text(content)
        self.folder = folder
        self.run = subprocess.run([gateway_module.binary(), "import", *arguments, "pgbouncer.ini"], cwd=folder, capture_output=True, text=True,
                                  timeout=60)
        self.yaml = self.run.stdout
        self.remarks = self.run.stderr.splitlines()

    def load(self) -> subprocess.CompletedProcess:
        """What the loader says of it: `check` reads the whole configuration."""
        (self.folder / "made.yaml").write_text(self.yaml)
        (self.folder / "empty.sql").write_text("SELECT 1;\n")
        return subprocess.run([gateway_module.binary(), "check", "--config", "made.yaml", "empty.sql"], cwd=self.folder, capture_output=True,
                              text=True, timeout=60)


SMALL = "[databases]\n* = host=127.0.0.1 port=5432\n[pgbouncer]\nauth_type = trust\nlisten_addr = 127.0.0.1\nunix_socket_dir =\n"

FILES = {
    "small": (SMALL, {}),
    "nothing but defaults": ("[databases]\n[pgbouncer]\n", {}),
    "users and tls": (
        "[databases]\nshop = host=db1,db2 port=5433 dbname=real user=app pool_size=3 reserve_pool=2 connect_query='SELECT ''x'''\n"
        "\"odd name\" = host=/var/run/postgresql\n[users]\nann = max_user_client_connections=5 pool_mode=transaction\n"
        "[pgbouncer]\nlisten_addr = *\nauth_type = md5\nauth_file = userlist.txt\nserver_tls_sslmode = verify-full\n"
        "pool_mode = transaction\nadmin_users = ann\nmax_client_conn = 2000\nquery_wait_timeout = 30\nserver_lifetime = 60\n",
        {"userlist.txt": '"ann" "md5c4ca4238a0b923820dcc509a6f75849b"\n"app" "p\'w\\"\n'.replace('\\"', '""x"')}),
    "hba": (
        "[databases]\n* = host=127.0.0.1\n%include more.ini\n",
        {"more.ini": "[pgbouncer]\nauth_type = hba\nauth_hba_file = hba.conf\nauth_file = userlist.txt\n",
         "hba.conf": "local all all trust\nhost all ann 10.0.0.0/8 scram-sha-256\nhost all all samenet md5\nhost all all 0.0.0.0/0 reject\n",
         "userlist.txt": '"ann" "secret"\n'}),
    "auth_query": (
        "[databases]\nshop = host=127.0.0.1\n[pgbouncer]\nauth_type = scram-sha-256\nauth_user = asker\n"
        "auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename=$1\nauth_file = gone.txt\n", {}),
}


@pytest.mark.parametrize("name", FILES)
def test_output_is_taken_by_the_loader(name, tmp_path):
    ini, files = FILES[name]
    imported = Imported(tmp_path, ini, files)
    assert imported.run.returncode == (1 if imported.remarks else 0)
    loaded = imported.load()
    assert loaded.returncode == 0, loaded.stderr + imported.yaml
    for remark in imported.remarks:
        assert f"#   {remark}\n" in imported.yaml


def test_a_small_file_has_no_remarks(tmp_path):
    imported = Imported(tmp_path, SMALL.replace("trust", "md5\nauth_file = users.txt"), {"users.txt": '"ann" "secret"\n'})
    assert (imported.run.returncode, imported.remarks) == (0, [])


def test_a_file_that_is_not_there_is_told(tmp_path):
    run = subprocess.run([gateway_module.binary(), "import", "nowhere.ini"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and "nowhere.ini" in run.stderr and run.stdout == ""


def test_a_user_file_is_written_for_its_owner_alone(tmp_path):
    ini = "[databases]\n* = host=127.0.0.1\n[pgbouncer]\nauth_type = md5\nauth_file = userlist.txt\n"
    imported = Imported(tmp_path, ini, {"userlist.txt": '"ann" "secret" "more"\n"ann" "other"\n'}, "--user-file", "users.txt")
    assert (tmp_path / "users.txt").read_text() == '"ann" "secret"\n'
    assert stat.S_IMODE((tmp_path / "users.txt").stat().st_mode) == 0o600
    assert imported.load().returncode == 0


def test_clients_come_in_by_what_was_imported(postgres, tmp_path):
    port = process.free_port()
    secret = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'", "postgres")[0][0]
    imported = Imported(tmp_path, f"""[databases]
renamed = host={postgres.host} port={postgres.port} dbname=app
* = host={postgres.host} port={postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir = {tmp_path}
auth_type = scram-sha-256
auth_file = userlist.txt
admin_users = scram_user
pool_mode = session
""", {"userlist.txt": f'"scram_user" "{secret}"\n'})
    assert imported.remarks == []
    gateway_process = Gateway(postgres, {"listen": [{"address": "127.0.0.1", "port": port}]})
    try:
        # the file as it was printed, with a free port for /metrics
        gateway_process.end()
        gateway_process.write(imported.yaml + f"http: {{address: 127.0.0.1, port: {gateway_process.http_port}}}\n")
        gateway_process.start()
        for arguments in ({"dbname": "renamed"}, {"dbname": "app"}, {"dbname": "app", "host": str(tmp_path)}):
            with gateway_process.connect(user="scram_user", password="scram_user", **arguments) as client:
                assert client.execute("SELECT current_database()").fetchone() == ("app",)
        with pytest.raises(psycopg.OperationalError):
            gateway_process.connect(user="scram_user", password="wrong")
        for console in ("tidegate", "pgbouncer"):
            with gateway_process.connect(user="scram_user", password="scram_user", dbname=console) as admin:
                names = {row[0] for row in admin.execute("SHOW DATABASES").fetchall()}
                assert "renamed" in names
    finally:
        gateway_process.close()
