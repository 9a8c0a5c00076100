"""The gateway as something to run: limits, timeouts, metrics, reload, drain, and running out of things."""

import json
import re
import signal
import socket
import subprocess
import time

import pytest

from support import gateway as gateway_module
from support import process, wire
from support.postgres import Postgres
from support.process import wait_until
from support.wire import Closed

pytestmark = pytest.mark.gateway_only

MEBIBYTE = 1 << 20


def said(client: wire.Wire, timeout: float = 10) -> list[str]:
    return wire.errors(client.read_rest(timeout))


# -- limits -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"max_clients": 3}, {"max_clients_per_database": 3}, {"max_clients_per_user": 3}, {"users": {"app": 3}}],
                         ids=["in total", "per database", "per user", "for one user"])
def test_one_client_too_many_is_told_so(make_gateway, limits):
    gateway = make_gateway({"limits": limits})
    clients = [gateway.login() for _ in range(3)]
    for _ in range(3):
        with pytest.raises(wire.LoginRefused) as refusal:
            gateway.login()
        assert refusal.value.sqlstate == "53300"
    clients.pop().close()

    def enters() -> bool:
        try:
            gateway.login().close()
            return True
        except wire.LoginRefused:
            return False
    wait_until(enters, what="a place is free again")
    for client in clients:
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
        client.close()


def test_limit_of_a_database_leaves_other_databases_alone(make_gateway):
    gateway = make_gateway({"limits": {"max_clients_per_database": 1}})
    with gateway.login("app", "app"), gateway.login("app", "postgres"):
        with pytest.raises(wire.LoginRefused):
            gateway.login("app", "app")


def test_connections_that_never_log_in_count_and_go(make_gateway):
    gateway = make_gateway({"limits": {"max_clients": 20}, "timeouts": {"login": "1s"}})
    idle = [gateway.wire() for _ in range(40)]
    wait_until(lambda: _logs_in(gateway), timeout=10, what="the idle ones are cut")
    for client in idle:
        client.close()


def _logs_in(gateway) -> bool:
    try:
        gateway.login().close()
        return True
    except (wire.LoginRefused, Closed):
        return False


def test_running_out_of_descriptors_neither_spins_nor_kills(make_gateway):
    gateway = make_gateway({"locks": {"share_gate": False}}, files=80)
    # The sanitizer looks at an object's type through a pipe, and takes it for a wrong one when it gets none: unless it has seen the
    # type before.
    for database in ("app", "nowhere") * 4:
        try:
            gateway.login(database=database).close()
        except wire.LoginRefused:
            pass
    with gateway.login() as old:
        crowd = []
        for _ in range(100):
            try:
                crowd.append(gateway.wire())
                crowd[-1].send(wire.startup())
            except (OSError, Closed):
                break
        wait_until(lambda: gateway.descriptors() >= 78, what="the descriptors are used up")
        before = gateway.processor_seconds()
        time.sleep(1)   # an accept loop that spins would use this second whole
        assert gateway.processor_seconds() - before < 0.5
        assert wire.types(old.query("SELECT 1")) == "TDCZ"
        for client in crowd:
            client.close()
        wait_until(lambda: _logs_in(gateway), what="new clients are accepted again")


@pytest.mark.slow
def test_idle_clients_are_cheap(make_gateway, own_postgres_big):
    """Memory per idle client; the sanitizers' share is large, so the figure proper is taken on a release build."""
    gateway = make_gateway(postgres=own_postgres_big)
    warm = [gateway.login() for _ in range(50)]
    for client in warm:
        client.close()
    before = gateway.resident()
    clients = [gateway.login() for _ in range(400)]
    each = (gateway.resident() - before) / len(clients)
    print(f"memory per idle client: {each:.0f} bytes")
    assert each < 64 * 1024
    for client in clients:
        client.close()


@pytest.fixture
def own_postgres_big(certificates):
    server = Postgres(certificates=certificates, settings={"max_connections": "500", "shared_buffers": "32MB"})
    yield server
    server.close()


# -- timeouts -----------------------------------------------------------------------------------------------------------------------


def test_idle_client_is_ended(make_gateway):
    gateway = make_gateway({"timeouts": {"client_idle": "500ms"}})
    with gateway.login() as idle, gateway.login() as busy:
        for _ in range(8):
            busy.query("SELECT pg_sleep(0.1)")
        assert said(idle, 1) == ["57P05"]
        assert wire.types(busy.query("SELECT 1")) == "TDCZ"


def test_idle_transaction_is_ended_and_rolled_back(make_gateway, postgres):
    gateway = make_gateway({"timeouts": {"idle_in_transaction": "500ms"}})
    with gateway.login() as idle, gateway.login() as outside:
        idle.query("BEGIN; CREATE TABLE idle_transaction (a int)")
        assert said(idle, 5) == ["25P03"]
        assert wire.types(outside.query("SELECT 1")) == "TDCZ"
    wait_until(lambda: postgres.execute("SELECT to_regclass('idle_transaction')") == [(None,)], what="the transaction is gone")


def test_long_query_is_cancelled(make_gateway, postgres):
    gateway = make_gateway({"timeouts": {"query": "500ms"}})
    with gateway.login() as client:
        started = time.monotonic()
        client.send(wire.query("SELECT pg_sleep(30)"))
        messages = client.read_until("ZE", 5)
        assert wire.errors(messages) == ["57014"]
        assert time.monotonic() - started < 4
    wait_until(lambda: not [row for row in postgres.sessions("app") if row[3] == "active"], what="the server's query ends")


# -- metrics ----------------------------------------------------------------------------------------------------------------------------


def test_health_and_readiness(make_gateway, own_postgres):
    gateway = make_gateway(postgres=own_postgres)
    assert gateway.http("/healthz")[0] == 200
    wait_until(lambda: gateway.http("/readyz")[0] == 200, what="ready")
    own_postgres.stop("immediate")
    wait_until(lambda: gateway.http("/readyz")[0] == 503, timeout=30, what="not ready without its server")
    assert gateway.http("/healthz")[0] == 200


def test_metrics_count_what_happened(make_gateway):
    gateway = make_gateway()
    before = gateway.metrics()
    with gateway.login() as client:
        for _ in range(10):
            client.query("SELECT 1")
        during = wait_until(lambda: (found := gateway.metrics()).sum("tidegate_queries_total", database="app", user="app") >= 10 and found,
                            what="queries are counted")
        assert during.sum("tidegate_clients", database="app", user="app") == 1
        assert during.sum("tidegate_client_connections_total", database="app", user="app") == 1
        assert during.sum("tidegate_connections_accepted_total") > before.sum("tidegate_connections_accepted_total")
    assert before.sum("tidegate_build_info") == 1
    wait_until(lambda: gateway.metrics().sum("tidegate_clients", database="app") == 0, what="no client is counted any more")


def test_refusals_are_counted_by_reason_and_method(make_gateway, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text('"app" "secret"\n')
    gateway = make_gateway({"auth": {"method": None, "user_file": str(users), "rules": [
        {"users": ["app"], "method": "md5"}, {"users": ["postgres"], "method": "scram-sha-256"}, {"users": ["md5_user"], "method": "passthrough"}]}})
    for user in ("app", "postgres", "md5_user", "nobody_here"):
        with pytest.raises(wire.LoginRefused):
            gateway.login(user, password="wrong")
    metrics = gateway.metrics()
    for method in ("md5", "scram-sha-256", "passthrough", "reject"):
        assert metrics.sum("tidegate_auth_failures_total", method=method) == 1, method
    assert metrics.sum("tidegate_connections_refused_total", reason="authentication") == 3
    assert metrics.sum("tidegate_connections_refused_total", reason="no_rule") == 1


def test_metrics_follow_the_conventions(target, bystander):
    """One prefix, counters that end in _total, base units, types declared."""
    metrics = target.metrics()
    for name in metrics.names():
        assert name.startswith(("tidegate_", "process_")), name
        family = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        kind = metrics.types.get(name) or metrics.types.get(family)
        assert kind, f"{name} has no type"
        assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
        for unit in ("_ms", "_milliseconds", "_us", "_kb", "_mb"):
            assert unit not in name
    assert not {label for _, labels, _ in metrics.samples for label in labels} & {"query", "sql", "application_name"}


def test_names_of_strangers_become_no_labels(target, bystander):
    """Whoever is not authenticated must not be able to fill the metrics with names of his choice."""
    before = len(target.metrics().samples)
    for number in range(200):
        try:
            target.login(f"stranger_{number}", f"nowhere_{number}").close()
        except wire.LoginRefused:
            pass
    metrics = target.metrics()
    assert not [value for label in ("user", "database") for value in metrics.label_values(label) if "stranger_" in value or "nowhere_" in value]
    assert len(metrics.samples) - before < 30


def test_readers_of_metrics_that_do_not_read_are_cut(make_gateway):
    gateway = make_gateway()
    wait_until(lambda: gateway.http("/readyz")[0] == 200, what="the gateway's own connections are there")
    before, descriptors = gateway.resident(), gateway.client_descriptors()
    readers = []
    for _ in range(50):
        reader = socket.create_connection((gateway.host, gateway.http_port))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        readers.append(reader)
    slow = socket.create_connection((gateway.host, gateway.http_port))
    slow.sendall(b"GET /met")
    assert gateway.http("/healthz")[0] == 200
    with gateway.login() as client:
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
    assert gateway.resident() - before < 64 * MEBIBYTE
    for reader in [*readers, slow]:
        reader.close()
    wait_until(lambda: gateway.client_descriptors() <= descriptors, timeout=20, what="their descriptors are closed")


@pytest.mark.parametrize("request_, status", [
    (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"404"), (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"405"),
    (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"), (b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""), (b"GET /" + b"a" * 100_000, b""),
    (b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, b""), (b"\0\xff\0\xff" * 50 + b"\r\n\r\n", b""), (b"GET /metrics?x=y HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b"")],
    ids=["unknown path", "post", "http 1.0", "head", "endless path", "endless headers", "binary", "query string", "huge body"])
def test_odd_http_requests(target, bystander, request_, status):
    with socket.create_connection((target.host, target.http_port), timeout=10) as connection:
        try:
            connection.sendall(request_)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except OSError:   # closed before all of it was sent
            answer = b""
    assert status in answer.split(b"\r\n")[0]
    assert target.http("/healthz")[0] == 200


# -- configuration --------------------------------------------------------------------------------------------------------------------


def bomb() -> str:
    """Ten levels of ten references each: a thousand million strings, if somebody expands them."""
    lines = ['a0: &a0 ["x"]'] + [f"a{level}: &a{level} [" + ", ".join([f"*a{level - 1}"] * 10) + "]" for level in range(1, 10)]
    return "\n".join(lines) + "\n"


BAD = {
    "unknown key": lambda settings: json.dumps(settings | {"no_such_key": 1}),
    "unknown key inside": lambda settings: json.dumps(gateway_module.merged(settings, {"locks": {"lock_time_out": "1s"}})),
    "bad value": lambda settings: json.dumps(settings | {"threads": "many"}),
    "bad duration": lambda settings: json.dumps(gateway_module.merged(settings, {"locks": {"lock_timeout": "50 bananas"}})),
    "duplicate key": lambda settings: json.dumps(settings)[:-1] + ', "auth": {"method": "trust"}}',
    "no databases": lambda settings: json.dumps(settings | {"databases": {}}),
    "not yaml": lambda settings: "{{{{",
    "binary": lambda settings: "\0\1\2\3",
    "empty": lambda settings: "",
    "a list": lambda settings: "[1, 2, 3]",
    "bomb": lambda settings: bomb(),
    "deep nesting": lambda settings: "a: " + "[" * 20_000,
    "unknown rule": lambda settings: json.dumps(gateway_module.merged(settings, {"policies": {"rules": {"no-such-rule": "block"}}})),
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD.keys())
def test_bad_file_stops_the_start_and_says_where(postgres, tmp_path, spoil):
    file = tmp_path / "bad.yaml"
    file.write_text(spoil({"listen": [{"address": "127.0.0.1", "port": process.free_port()}], "http": {"address": "127.0.0.1", "port": process.free_port()},
                           "auth": {"method": "trust"}, "databases": {"*": {"host": postgres.host, "port": postgres.port}}}))
    ended = subprocess.run([gateway_module.binary(), "serve", "--config", file], capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2, ended.stderr
    assert f"{file}:" in ended.stderr
    assert "Sanitizer" not in ended.stderr


def _wait_for_log(gateway, pattern: str):
    wait_until(lambda: re.search(pattern, gateway.output()), what=f"the log has {pattern}")


def test_relay_is_what_the_file_says(make_gateway):
    gateway = make_gateway({"relay": "epoll"})
    _wait_for_log(gateway, r"event=started .*relay=epoll")
    assert _logs_in(gateway)


def test_relay_falls_back_to_epoll_where_io_uring_is_forbidden_and_says_why(make_gateway):
    gateway = make_gateway({"relay": "auto"}, forbid_io_uring=True)
    _wait_for_log(gateway, r"event=relay_without_io_uring why=.*forbidden")
    _wait_for_log(gateway, r"event=started .*relay=epoll")
    assert _logs_in(gateway)


def test_start_fails_where_io_uring_is_wanted_and_forbidden(postgres, tmp_path):
    file = tmp_path / "tidegate.yaml"
    file.write_text(json.dumps({"listen": [{"address": "127.0.0.1", "port": process.free_port()}], "http": "off", "relay": "io_uring",
                                "auth": {"method": "trust"}, "databases": {"*": {"host": postgres.host, "port": postgres.port}}}))
    ended = subprocess.run([gateway_module.binary(), "serve", "--config", file], capture_output=True, text=True, timeout=20,
                           preexec_fn=process.forbid_io_uring)
    assert ended.returncode == 3, ended.stderr
    assert "relay: io_uring can't be had here: io_uring is forbidden" in ended.stderr


@pytest.mark.parametrize("spoil", [BAD["unknown key"], BAD["not yaml"], BAD["bomb"], BAD["empty"]], ids=["unknown key", "not yaml", "bomb", "empty"])
def test_reload_with_a_bad_file_keeps_the_old_settings(make_gateway, spoil):
    gateway = make_gateway({"limits": {"max_clients": 5}})
    with gateway.login() as old:
        gateway.reload(spoil(gateway.settings))
        assert str(gateway.file) in gateway.output()
        assert wire.types(old.query("SELECT 1")) == "TDCZ"
        with gateway.login() as new:
            assert wire.types(new.query("SELECT 1")) == "TDCZ"
        clients = [gateway.login() for _ in range(3)]
        wait_until(lambda: not _logs_in_beyond(gateway, clients), what="the old limit holds")
        for client in clients:
            client.close()


def _logs_in_beyond(gateway, clients) -> bool:
    """Whether one more client than the limit of five gets in: one is old, three are in `clients`, one is tried beside this."""
    with gateway.login():
        return _logs_in(gateway)


def test_reload_with_a_missing_file_keeps_the_old_settings(make_gateway):
    gateway = make_gateway()
    gateway.file.unlink()
    gateway.reload()
    assert _logs_in(gateway)


def test_reload_changes_limits_and_keeps_sessions(make_gateway):
    gateway = make_gateway()
    with gateway.login() as old:
        old.query("BEGIN")
        gateway.reload({"limits": {"max_clients": 1}})
        wait_until(lambda: not _logs_in(gateway), what="the new limit counts")
        assert old.query("COMMIT")[-1].status == "I"


def test_reload_takes_users_and_policies_for_old_sessions_too(make_gateway, tmp_path, postgres):
    users = tmp_path / "users.txt"
    users.write_text('"app" "before"\n')
    auth = {"auth": {"method": "md5", "user_file": str(users)}}
    change = "BEGIN; ALTER TABLE taken ALTER a TYPE bigint; ROLLBACK"
    gateway = make_gateway(auth | {"policies": {"mode": "off"}})
    postgres.execute("CREATE TABLE IF NOT EXISTS taken (a int); ALTER TABLE taken OWNER TO app; INSERT INTO taken SELECT generate_series(1, 200000); ANALYZE taken")
    try:
        with gateway.login(password="before") as old:
            assert wire.types(old.query(change)) == "CCCZ"
            users.write_text('"app" "after"\n')
            gateway.reload(auth | {"policies": {"mode": "enforce", "rules": {"alter-column-type-rewrite": "block"}}})
            with pytest.raises(wire.LoginRefused):
                gateway.login(password="before")
            with gateway.login(password="after") as new:
                assert wire.errors(new.query(change)), "new sessions follow the new policy at once"
            wait_until(lambda: wire.errors(old.query(change)), what="old sessions follow the new policy")
            users.write_text("no such form\n")
            gateway.reload(auth)
            gateway.login(password="after").close()
    finally:
        postgres.execute("DROP TABLE taken")


def test_reloads_in_quick_succession(make_gateway):
    gateway = make_gateway()
    with gateway.login() as client:
        before = gateway.client_descriptors()
        for _ in range(30):
            gateway.signal(signal.SIGHUP)
            client.query("SELECT 1")
        gateway.reload()
        wait_until(lambda: gateway.client_descriptors() <= before, what="nothing is left of the old settings")


def test_second_gateway_on_the_same_port_does_not_start(make_gateway, tmp_path):
    gateway = make_gateway()
    file = tmp_path / "same.yaml"
    file.write_text(json.dumps(gateway.settings | {"http": {"address": "127.0.0.1", "port": process.free_port()}}))
    ended = subprocess.run([gateway_module.binary(), "serve", "--config", file], capture_output=True, text=True, timeout=20)
    assert ended.returncode in (2, 3)
    assert str(gateway.port) in ended.stderr


# -- the end --------------------------------------------------------------------------------------------------------------------------


def test_sigterm_drains(make_gateway):
    """No new clients, what runs may end, idle sessions are told to go."""
    gateway = make_gateway()
    idle, working, in_transaction = gateway.login(), gateway.login(), gateway.login()
    working.send(wire.query("SELECT pg_sleep(1.5), 'done'"))
    in_transaction.query("BEGIN")
    gateway.may_end = True
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: not _connects(gateway), what="no new clients")
    assert said(idle, 5) in (["57P01"], [])
    messages = working.read_until("Z", 5)
    assert wire.rows(messages) == [["", "done"]]
    assert wire.rows(in_transaction.query("SELECT 'still here'")) == [["still here"]]
    assert in_transaction.query("COMMIT")[-2].tag == "COMMIT"
    assert gateway.wait(10) == 0


def _connects(gateway) -> bool:
    try:
        with gateway.wire() as client:
            client.login()
            return True
    except (OSError, Closed, wire.LoginRefused):
        return False


def test_drain_has_a_limit(make_gateway):
    gateway = make_gateway({"timeouts": {"shutdown": "1s"}})
    with gateway.login() as client:
        client.query("BEGIN")
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(10) == 0
        assert 0.5 < time.monotonic() - started < 6


def test_drain_is_seen_by_readiness(make_gateway):
    gateway = make_gateway()
    with gateway.login() as client:
        client.query("BEGIN")
        gateway.may_end = True
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: gateway.http("/readyz")[0] == 503, what="not ready while draining")
        client.query("COMMIT")
    assert gateway.wait(10) == 0


def test_end_in_the_middle_of_everything_is_clean(make_gateway, postgres, tmp_path):
    """Cut while statements are decided and guarded, passwords are derived and servers are asked: nothing is used after it is gone."""
    users = tmp_path / "users.txt"
    users.write_text('"app" "secret"\n')
    gateway = make_gateway({"timeouts": {"shutdown": "100ms"}, "auth": {"method": None, "user_file": str(users), "rules": [
        {"users": ["app"], "method": "scram-sha-256"}, {"users": ["postgres"], "method": "trust"}]}})
    postgres.execute("CREATE TABLE IF NOT EXISTS cut_off (a int)")
    with postgres.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE cut_off")
        clients = [gateway.login("postgres") for _ in range(8)]
        for number, client in enumerate(clients):
            client.send(wire.query("ALTER TABLE cut_off ADD b int" if number % 2 else "SELECT pg_sleep(20)"))
        clients += [gateway.wire().send(wire.startup("app")) for _ in range(20)]   # each wants a password derived
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(15) == 0
        holder.execute("ROLLBACK")
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20)%'")
    postgres.execute("DROP TABLE cut_off")
    for client in clients:
        client.close()


def test_idle_gateway_uses_no_processor(make_gateway):
    gateway = make_gateway()
    with gateway.login():
        before = gateway.processor_seconds()
        time.sleep(2)
        assert gateway.processor_seconds() - before < 0.1


def test_query_timeout_holds_for_what_others_wait_behind(make_gateway, postgres):
    gateway = make_gateway({"timeouts": {"query": "1s"}})
    with gateway.login() as client:
        client.send(wire.query("SELECT pg_sleep(20)"), wire.query("SET lock_timeout = 0"))
        assert wire.errors(client.read_rest(10)) == ["57014"]
    wait_until(lambda: not [row for row in postgres.sessions("app")], what="the server has been asked to cancel")
