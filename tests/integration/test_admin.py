"""The admin console: who comes in, what it shows, and what its commands do to clients on a real server."""

import json
import subprocess
import threading
import time

import psycopg
import pytest

from support import wire
from support.process import wait_until
from support.wire import Closed, LoginRefused

pytestmark = pytest.mark.gateway_only


@pytest.fixture
def gateway(make_gateway, postgres):
    return make_gateway({"admin": {"users": ["postgres"], "stats_users": ["app"], "aliases": ["pgbouncer"]},
                         "audit": {"file": "audit.jsonl"}})


def console(gateway, user="postgres", database="tidegate", **arguments):
    return gateway.connect(user=user, dbname=database, **arguments)


def show(gateway, topic: str) -> list[dict]:
    with console(gateway) as admin:
        cursor = admin.execute(f"SHOW {topic}")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def audited(gateway) -> list[dict]:
    file = gateway.folder / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Command:
    """A command that runs beside the test."""

    def __init__(self, gateway, sql: str):
        self.client = gateway.login("postgres", "tidegate")
        self.answer: list[wire.Message] = []
        self.client.send(wire.query(sql))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            self.answer = self.client.read_until("Z", 30)
        except (Closed, OSError, TimeoutError):
            pass

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> list[wire.Message]:
        self._thread.join(30)
        assert not self.is_running()
        return self.answer


# -- who comes in -----------------------------------------------------------------------------------------------------------------


def test_only_named_users_come_in(gateway):
    with pytest.raises(LoginRefused) as refused:
        gateway.login("scram_user", "tidegate")
    assert refused.value.sqlstate == "42501"
    gateway.login("app", "tidegate").close()
    gateway.login("postgres", "pgbouncer").close()


def test_stats_users_look_and_change_nothing(gateway):
    with gateway.login("app", "tidegate") as client:
        assert wire.types(client.query("SHOW POOLS")) == "TCZ"
        for command in ("PAUSE", "RESUME", "DISABLE app", "ENABLE app", "KILL", "KILL_CLIENT 1", "RECONNECT", "RELOAD", "SHUTDOWN",
                        "SET log.level = debug"):
            assert wire.errors(client.query(command)) == ["42501"], command
    lines = wait_until(lambda: len(audited(gateway)) >= 10 and audited(gateway), what="the audit log has them all")
    assert {line["outcome"] for line in lines} == {"failed"}


def test_a_user_taken_off_the_list_may_do_nothing_more(gateway):
    with gateway.login("app", "tidegate") as client:
        gateway.reload({"admin": {"stats_users": ["nobody"]}})
        assert wire.errors(client.query("SHOW POOLS")) == ["42501"]


def test_the_listener_s_rules_decide_who_a_user_is(make_gateway, postgres, tmp_path):
    secret = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'", "postgres")[0][0]
    users = tmp_path / "users.txt"
    users.write_text(f'"scram_user" "{secret}"\n')
    gateway = make_gateway({"admin": {"users": ["scram_user", "app"]}, "auth": {"method": None, "user_file": str(users), "rules": [
        {"databases": ["tidegate"], "users": ["scram_user"], "method": "scram-sha-256"}, {"method": "passthrough"}]}})
    gateway.login("scram_user", "tidegate", password="scram_user").close()
    with pytest.raises(LoginRefused) as refused:
        gateway.login("scram_user", "tidegate", password="wrong")
    assert refused.value.sqlstate == "28P01"
    with pytest.raises(LoginRefused) as refused:
        gateway.login("app", "tidegate")
    assert refused.value.sqlstate == "28000"
    assert "passthrough" in refused.value.message.fields()["M"]


def test_a_replication_connection_is_no_console(gateway):
    with pytest.raises(LoginRefused) as refused:
        gateway.login("postgres", "tidegate", parameters={"replication": "database"})
    assert refused.value.sqlstate == "0A000"


def test_only_so_many_consoles_are_open(gateway):
    clients = []
    with pytest.raises(LoginRefused) as refused:
        for _ in range(100):
            clients.append(gateway.login("postgres", "tidegate"))
    assert refused.value.sqlstate == "53300"
    assert len(clients) == 32
    for client in clients:
        client.close()
    wait_until(lambda: _console_opens(gateway), what="their places are free again")


def _console_opens(gateway) -> bool:
    try:
        gateway.login("postgres", "tidegate").close()
        return True
    except LoginRefused:
        return False


# -- the protocol -----------------------------------------------------------------------------------------------------------------


def test_psql_shows_tables(gateway):
    done = subprocess.run(["psql", "-XAt", gateway.uri(user="postgres", dbname="tidegate"), "-c", "show version", "-c", "SHOW STATE;"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Tidegate ")
    assert "active|yes" in done.stdout
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize("autocommit", [True, False])
def test_psycopg_shows_tables_by_the_extended_protocol(gateway, autocommit):
    with psycopg.connect(**gateway.address(user="postgres", dbname="tidegate"), autocommit=autocommit) as admin:
        for binary in (False, True):
            cursor = admin.cursor(binary=binary)
            # Parse, Bind, Describe, Execute, Sync
            cursor.execute("SHOW LISTS", prepare=True)
            lists = dict(cursor.fetchall())
            assert lists["dns_names"] == 0
            assert isinstance(lists["used_clients"], int)
        with admin.pipeline():
            version = admin.execute("SHOW VERSION")
            state = admin.execute("SHOW STATE")
        assert version.fetchone()[0].startswith("Tidegate")
        assert len(state.fetchall()) == 4


def test_every_topic_is_described_as_it_is_shown(gateway):
    topics = [row["command"] for row in show(gateway, "HELP") if row["command"].startswith("SHOW ")]
    assert len(topics) >= 18
    with gateway.login("postgres", "tidegate") as client:
        for topic in topics:
            shown = client.query(topic)
            described = client.sync(wire.parse(topic), wire.describe("S", ""), wire.bind(), wire.execute())
            assert next(m for m in shown if m.type == "T").body == next(m for m in described if m.type == "T").body, topic
            assert wire.types(described).startswith("1tT2"), topic


def test_commands_of_one_text_are_answered_in_turn(gateway):
    with gateway.login("postgres", "tidegate") as client:
        messages = client.query("-- look\nSHOW VERSION; /* and */ select 1;; SHOW STATE")
        assert wire.types(messages) == "TDCTDCTDDDDCZ"
        assert wire.types(client.query("")) == "IZ"
        assert wire.types(client.query(" ; ")) == "IZ"


def test_what_is_not_known_is_an_error_with_the_list(gateway):
    with gateway.login("postgres", "tidegate") as client:
        for sql, position in (("FROB", "1"), ("SHOW VERSION; DROP TABLE x", "15"), ("SELECT * FROM pg_class", "8")):
            messages = client.query(sql)
            assert wire.errors(messages) == ["42601"] and wire.types(messages) == "EZ", sql
            assert messages[0].fields()["P"] == position
        assert "PAUSE [database]" in client.query("FROB")[0].fields()["H"]
        assert "pools" in client.query("SHOW NOTHING")[0].fields()["H"]
        assert wire.types(client.query("SHOW VERSION")) == "TDCZ"


def test_mistakes_in_the_extended_protocol_are_errors_up_to_the_sync(gateway):
    with gateway.login("postgres", "tidegate") as client:
        for messages, sqlstate in (((wire.parse("FROB"), wire.bind(), wire.execute()), "42601"),
                                   ((wire.parse("SHOW STATE; SHOW STATE"),), "42601"),
                                   ((wire.bind("nobody"),), "26000"), ((wire.execute("nobody"),), "34000"),
                                   ((wire.describe("P", "nobody"),), "34000"),
                                   ((wire.parse("SHOW STATE"), wire.bind(values=(b"1",)), wire.execute()), "08P01"),
                                   ((wire.parse("SHOW STATE", "a"), wire.parse("SHOW STATE", "a")), "42P05")):
            answer = client.sync(*messages)
            assert wire.errors(answer) == [sqlstate], messages
            assert wire.types(answer).endswith("EZ")
            client.sync(wire.close("S", "a"))
        # rows in portions
        answer = client.sync(wire.parse("SHOW STATE"), wire.bind(portal="p"), wire.execute("p", 3), wire.execute("p", 3))
        assert wire.types(answer) == "12DDDsDCZ"
        refused = [number for number in range(110) if wire.errors(client.sync(wire.parse("SHOW STATE", f"s{number}")))]
        assert refused and refused[0] >= 90


def test_bad_messages_end_the_console_and_nothing_else(gateway):
    for bad in (wire.message("Z", b"x"), wire.message("B", b"x"), b"Q\x7f\xff\xff\xff", b"Q\0\0\0\1", wire.message("P", b"no end"),
                wire.message("Q", b"x" * 70_000)):
        with gateway.login("postgres", "tidegate") as client:
            client.send(bad)
            client.read_rest()
    with gateway.login("postgres", "tidegate") as client:
        assert wire.errors(client.query(b"SHOW \xff\xfe")) == ["42601"]
        assert wire.types(client.send(wire.function_call(1, ())).read_until("Z")) == "EZ"
    with gateway.login() as client:
        assert client.value("SELECT 1") == "1"


def test_transactions_of_a_driver_are_followed(gateway):
    with gateway.login("postgres", "tidegate") as client:
        assert client.query("BEGIN")[-1].body == b"T"
        assert client.query("FROB")[-1].body == b"E"
        assert wire.errors(client.query("SHOW STATE")) == ["25P02"]
        assert client.query("COMMIT")[-1].body == b"I"
        assert wire.types(client.query("SHOW STATE")) == "TDDDDCZ"


# -- looking ----------------------------------------------------------------------------------------------------------------------


def test_pools_clients_and_servers_show_who_is_there(gateway, postgres):
    with gateway.login(parameters={"application_name": "worker 7"}) as busy, gateway.login("postgres", "postgres"):
        busy.query("BEGIN")
        pools = {(row["database"], row["user"]): row for row in show(gateway, "POOLS")}
        assert pools["app", "app"]["cl_active"] == 1
        assert pools["app", "app"]["sv_active"] == 1
        assert pools["postgres", "postgres"]["cl_waiting"] == 0
        clients = {row["application_name"]: row for row in show(gateway, "CLIENTS")}
        client = clients["worker 7"]
        assert (client["state"], client["doing"], client["addr"], client["user"]) == ("active", "in_transaction", "127.0.0.1", "app")
        assert client["port"] == busy.socket.getsockname()[1]
        server = next(row for row in show(gateway, "SERVERS") if row["link"] == client["ptr"])
        assert server["ptr"] == client["link"]
        assert server["remote_pid"] == busy.pid
        assert server["port"] == postgres.port
        lists = {row["list"]: row["items"] for row in show(gateway, "LISTS")}
        assert (lists["used_clients"], lists["used_servers"], lists["pools"]) == (2, 2, 2)
        databases = {row["name"]: row for row in show(gateway, "DATABASES")}
        assert databases["app"]["current_connections"] == 1
        assert databases["app"]["paused"] == 0


def test_stats_count(gateway):
    with gateway.login() as client:
        for _ in range(10):
            client.query("SELECT 1")
        client.query("BEGIN; SELECT 1; COMMIT")
        stats = next(row for row in show(gateway, "STATS") if row["database"] == "app")
        assert stats["total_query_count"] == 11
        assert stats["total_xact_count"] == 11
        assert stats["total_received"] > 100 and stats["total_sent"] > stats["total_received"]
        assert stats["total_query_time"] > 0
        totals = next(row for row in show(gateway, "STATS_TOTALS") if row["database"] == "app")
        assert totals["query_count"] == 11
        assert {row["name"]: row["value"] for row in show(gateway, "TOTALS")}["total_query_count"] == 11
        assert show(gateway, "STATS_AVERAGES")


def test_findings_and_rules_show_what_was_decided(gateway, postgres):
    postgres.execute("DROP TABLE IF EXISTS shown; CREATE TABLE shown AS SELECT n AS id, 'x' AS note FROM generate_series(1, 100000) n; "
                     "ALTER TABLE shown OWNER TO app; ANALYZE shown")
    try:
        with gateway.login() as client:
            assert wire.errors(client.query("ALTER TABLE shown ALTER COLUMN note TYPE varchar(7) USING 'secret value'"))
        finding = show(gateway, "FINDINGS")[0]
        assert finding["database"] == "app" and finding["user"] == "app"
        assert finding["action"] == "refused" and finding["sqlstate"] == "TG001"
        assert "secret" not in json.dumps(finding)
        rules = {row["rule"]: row for row in show(gateway, "RULES")}
        assert finding["rule"] in rules
        assert rules[finding["rule"]]["verdict"] == finding["verdict"]
    finally:
        postgres.execute("DROP TABLE shown")


def test_ddl_that_waits_is_shown_with_who_is_in_its_way(gateway, postgres):
    postgres.execute("DROP TABLE IF EXISTS awaited; CREATE TABLE awaited (id int); INSERT INTO awaited SELECT generate_series(1, 5000); "
                     "ALTER TABLE awaited OWNER TO app; ANALYZE awaited")
    try:
        with postgres.connect(dbname="app", application_name="sleeper") as reader, gateway.login() as client:
            reader.execute("BEGIN; SELECT * FROM awaited LIMIT 1")
            client.send(wire.query("ALTER TABLE awaited ADD COLUMN more text DEFAULT 'private'"))
            wait_until(lambda: any("sleeper" in (row["blockers"] or "") for row in show(gateway, "DDL")), what="the blocker is shown")
            row = show(gateway, "DDL")[0]
            assert row["database"] == "app" and row["remote_pid"] == client.pid
            assert "private" not in row["statement"]
            assert next(c for c in show(gateway, "CLIENTS") if c["id"] == row["client"])["doing"] == "waiting"
            reader.execute("ROLLBACK")
            assert not wire.errors(client.read_until("Z"))
            assert show(gateway, "DDL") == []
    finally:
        postgres.execute("DROP TABLE awaited")


def test_no_table_shows_a_secret(make_gateway, postgres, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text('"app" "hidden-password"\n')
    gateway = make_gateway({"auth": {"user_file": str(users)},
                            "databases": {"forced": {"host": postgres.host, "port": postgres.port, "dbname": "app",
                                                     "server_auth": {"user": "app", "password": "hidden-server-password"}}}})
    with gateway.login("app", "forced"):
        for topic in [row["command"].split()[1] for row in show(gateway, "HELP") if row["command"].startswith("SHOW ")]:
            assert "hidden" not in str(show(gateway, topic)), topic
        assert next(row for row in show(gateway, "DATABASES") if row["name"] == "forced")["force_user"] == "app"


# -- changing ---------------------------------------------------------------------------------------------------------------------


def test_pause_waits_for_transactions_and_holds_what_comes_after(gateway):
    with gateway.login() as busy, gateway.login() as idle, gateway.login("postgres", "postgres") as other:
        busy.query("BEGIN")
        pause = Command(gateway, "PAUSE app")
        idle.send(wire.query("SELECT 'held'"))
        assert idle.is_quiet(0.5)
        assert pause.is_running()
        assert not wire.errors(busy.query("SELECT 1"))   # what runs may end
        assert other.value("SELECT 1") == "1"
        assert busy.query("COMMIT")[-1].body == b"I"
        assert wire.types(pause.wait()) == "CZ"
        assert idle.is_quiet(0.3)
        waiting = [row for row in show(gateway, "CLIENTS") if row["state"] == "waiting"]
        assert len(waiting) == 1
        assert next(row for row in show(gateway, "DATABASES") if row["name"] == "app")["paused"] == 1
        # a new client waits as well
        late = gateway.wire().send(wire.startup("app", "app"))
        assert late.is_quiet(0.3)
        assert next(row for row in show(gateway, "POOLS") if row["database"] == "app")["cl_waiting"] == 2
        with console(gateway) as admin:
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                admin.execute("PAUSE app")
            admin.execute("RESUME app")
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                admin.execute("RESUME app")
        assert wire.rows(idle.read_until("Z")) == [["held"]]
        late.authenticate("app", None)
        assert late.value("SELECT 1") == "1"
        late.close()
    lines = wait_until(lambda: len(audited(gateway)) >= 4 and audited(gateway), what="the audit log has them all")
    assert [line["statement"] for line in lines] == ["PAUSE app", "PAUSE app", "RESUME app", "RESUME app"]


def test_pause_can_be_cancelled_and_then_leaves_nothing_paused(gateway):
    with gateway.login() as busy:
        busy.query("BEGIN")
        pause = Command(gateway, "PAUSE")
        assert show(gateway, "STATE")[1]["value"] == "yes"
        wire.cancel(gateway.host, gateway.port, pause.client.pid, pause.client.key)
        assert wire.errors(pause.wait()) == ["57014"]
        assert show(gateway, "STATE")[1]["value"] == "no"
        # the same when the console just goes
        pause = Command(gateway, "PAUSE")
        wait_until(lambda: show(gateway, "STATE")[1]["value"] == "yes", what="paused")
        pause.client.socket.shutdown(2)
        wait_until(lambda: show(gateway, "STATE")[1]["value"] == "no", what="the pause is taken back")
        assert gateway.login().value("SELECT 1") == "1"


def test_pause_and_those_it_holds_give_up_in_time(make_gateway):
    gateway = make_gateway({"timeouts": {"query_wait": "1s"}})
    with gateway.login() as busy:
        busy.query("BEGIN")
        assert wire.errors(Command(gateway, "PAUSE app").wait()) == ["55P03"]
        assert show(gateway, "STATE")[1]["value"] == "no"
        busy.query("COMMIT")
        assert wire.types(Command(gateway, "PAUSE app").wait()) == "CZ"
        busy.send(wire.query("SELECT 1"))
        assert wire.errors(busy.read_rest()) == ["57014"]
        with pytest.raises(LoginRefused) as refused:
            gateway.login()
        assert refused.value.sqlstate == "57P03"


def test_a_server_can_be_restarted_under_pause(make_gateway, own_postgres):
    gateway = make_gateway(postgres=own_postgres)
    with gateway.login() as client:
        client.query("SELECT 1")
        with console(gateway) as admin:
            admin.execute("PAUSE")
            own_postgres.restart()
            late = gateway.wire().send(wire.startup("app", "app"))
            assert late.is_quiet(0.3)
            admin.execute("RESUME")
        late.authenticate("app", None)
        assert late.value("SELECT 1") == "1"
        late.close()


def test_a_disabled_database_takes_nobody_new(gateway):
    with gateway.login() as here, console(gateway) as admin:
        admin.execute("DISABLE app")
        with pytest.raises(LoginRefused) as refused:
            gateway.login()
        assert refused.value.sqlstate == "57P03"
        assert here.value("SELECT 1") == "1"
        gateway.login("postgres", "postgres").close()
        admin.execute("ENABLE app")
        gateway.login().close()


def test_kill_ends_everybody_of_a_database_and_new_ones_wait(gateway, postgres):
    with gateway.login() as busy, gateway.login("postgres", "postgres") as other, console(gateway) as admin:
        busy.query("BEGIN")
        admin.execute("KILL app")
        assert wire.errors(busy.read_rest()) == ["57P01"]
        wait_until(lambda: not postgres.sessions("app"), what="its server connection has gone")
        assert other.value("SELECT 1") == "1"
        late = gateway.wire().send(wire.startup("app", "app"))
        assert late.is_quiet(0.3)
        admin.execute("RESUME app")
        late.authenticate("app", None)
        late.close()


def test_kill_client_ends_one(gateway):
    with gateway.login(parameters={"application_name": "bad"}) as bad, gateway.login() as good, console(gateway) as admin:
        number = next(row["id"] for row in show(gateway, "CLIENTS") if row["application_name"] == "bad")
        admin.execute(f"KILL_CLIENT {number}")
        assert wire.errors(bad.read_rest()) == ["57P01"]
        assert good.value("SELECT 1") == "1"
        with pytest.raises(psycopg.errors.UndefinedObject):
            admin.execute(f"KILL_CLIENT {number}")
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            admin.execute("KILL_CLIENT nobody")


def test_reconnect_ends_each_client_between_transactions(gateway):
    with gateway.login() as idle, gateway.login() as busy, console(gateway) as admin:
        busy.query("BEGIN")
        admin.execute("RECONNECT app")
        assert wire.errors(idle.read_rest()) == ["57P01"]
        assert not wire.errors(busy.query("SELECT 1"))
        assert [row["close_needed"] for row in show(gateway, "SERVERS")] == [1]
        messages = busy.send(wire.query("COMMIT")).read_rest()
        assert wire.errors(messages) == ["57P01"] and "C" in wire.types(messages)


def test_reload_says_what_came_of_it(gateway):
    with console(gateway) as admin:
        admin.execute("RELOAD")
        gateway.write("nonsense: 1\n")
        with pytest.raises(psycopg.Error) as failure:
            admin.execute("RELOAD")
        assert failure.value.sqlstate == "F0000"
        assert "nonsense" in failure.value.diag.message_detail


def test_set_changes_settings_until_the_next_reload(gateway):
    value = lambda key: next(row["value"] for row in show(gateway, "CONFIG") if row["key"] == key)
    with console(gateway) as admin:
        admin.execute("SET timeouts.client_idle = '1s'")
        assert value("timeouts.client_idle") == "1s"
        with gateway.login() as client:
            assert wire.errors(client.read_rest()) == ["57P05"]
        wait_until(lambda: gateway.metrics().sum("tidegate_clients") == 0, what="its place is free")
        admin.execute("SET limits.max_clients TO 1")
        with gateway.login():
            with pytest.raises(LoginRefused):
                gateway.login()
        admin.execute("RELOAD")
        assert value("timeouts.client_idle") == "0"
        for sql, sqlstate in (("SET timeouts.client_idle = 'soon'", "22023"), ("SET threads = 3", "55P02"), ("SET nothing.here = 3", "42704"),
                              ("SET policies.mode = maybe", "22023")):
            with pytest.raises(psycopg.Error) as failure:
                admin.execute(sql)
            assert failure.value.sqlstate == sqlstate, sql
        admin.execute("SET client_encoding TO 'UTF8'")


def test_databases_that_do_not_exist_can_t_be_switched(make_gateway, postgres):
    gateway = make_gateway({"databases": {"*": None, "app": {"host": postgres.host, "port": postgres.port}}})
    with console(gateway) as admin:
        for command in ("PAUSE", "RESUME", "DISABLE", "ENABLE", "KILL", "RECONNECT"):
            with pytest.raises(psycopg.errors.InvalidCatalogName):
                admin.execute(f"{command} nowhere")
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                admin.execute(f"{command} tidegate")


def test_shutdown_ends_at_once(gateway):
    with gateway.login() as client, gateway.login("postgres", "tidegate") as admin:
        client.query("BEGIN")
        messages = admin.send(wire.query("SHUTDOWN")).read_rest()
        assert wire.types(messages)[:2] == "CZ"
        assert gateway.wait() == 0


def test_shutdown_wait_for_servers_drains(gateway):
    with gateway.login() as idle, gateway.login() as busy, gateway.login("postgres", "tidegate") as admin:
        busy.query("BEGIN")
        admin.query("SHUTDOWN WAIT_FOR_SERVERS")
        assert wire.errors(idle.read_rest()) == ["57P01"]
        assert not wire.errors(busy.query("SELECT 1"))
        busy.send(wire.query("COMMIT"))
        assert gateway.wait() == 0


def test_shutdown_wait_for_clients_ends_with_the_last(gateway):
    with gateway.login() as client:
        with gateway.login("postgres", "tidegate") as admin:
            admin.query("SHUTDOWN WAIT_FOR_CLIENTS")
        time.sleep(0.3)
        assert client.value("SELECT 1") == "1"
        with pytest.raises(OSError):
            gateway.wire()
    assert gateway.wait() == 0


def test_an_alias_may_not_hide_a_database(gateway):
    gateway.reload({"admin": {"aliases": ["app"]}, "databases": {"app": {"host": "127.0.0.1"}}})
    assert "admin.aliases" in gateway.output() and "reload_failed" in gateway.output()
    gateway.reload({"databases": {"tidegate": {"host": "127.0.0.1"}}})
    assert "name of the admin console" in gateway.output()


# -- the tools of others ----------------------------------------------------------------------------------------------------------


def test_an_exporter_made_for_pgbouncer_reads_the_tables(gateway):
    collectors = pytest.importorskip("prometheus_pgbouncer_exporter.collectors")
    utils = pytest.importorskip("prometheus_pgbouncer_exporter.utils")
    with gateway.login() as client:
        client.query("SELECT 1")
        connection = utils.get_connection("app", gateway.port, gateway.host)
        try:
            found = {}
            for collector in (collectors.ListsCollector(connection=connection),
                              collectors.PoolsCollector(connection=connection, databases=None),
                              collectors.StatsCollector(connection=connection, databases=None),
                              collectors.DatabasesCollector(connection=connection, databases=None)):
                for family in collector.collect():
                    for sample in family.samples:
                        found[sample.name, sample.labels.get("database", "")] = sample.value
        finally:
            connection.close()
    assert found["pgbouncer_used_clients", ""] == 1
    assert found["pgbouncer_active_clients", "app"] == 1
    assert found["pgbouncer_requests_total", "app"] == 1
