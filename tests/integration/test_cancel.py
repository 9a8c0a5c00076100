"""Cancelling: the right query and no other."""

import os
import threading
import time

import pytest

from support import fake_server, wire
from support.process import wait_until

pytestmark = pytest.mark.usefixtures("bystander")


def start_sleeping(target, seconds: int = 30) -> wire.Wire:
    """A client whose query runs on the server for sure."""
    client = target.login()
    client.send(wire.query(f"SELECT pg_sleep({seconds})"))
    wait_until(lambda: [row for row in target.postgres.sessions("app") if row[0] == client.pid and row[3] == "active"], what="the query runs")
    return client


def test_pid_is_that_of_the_server_session(target):
    with target.login() as client:
        assert client.value("SELECT pg_backend_pid()") == str(client.pid)


def test_cancel_ends_the_running_query_and_not_the_session(target):
    with start_sleeping(target) as client:
        wire.cancel(target.host, target.port, client.pid, client.key)
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]
        assert wire.types(client.query("SELECT 1")) == "TDCZ"


def test_cancel_under_tls_request(target):
    """A CancelRequest may follow a declined SSLRequest, as libpq sends it from version 17 on."""
    with start_sleeping(target) as client, target.wire() as other:
        other.send(wire.startup_packet(wire.SSL_REQUEST))
        if other.read_bytes(1) == b"S":
            other.wrap_tls()
        other.send(wire.cancel_request(client.pid, client.key))
        assert other.read_rest() == []
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]


def test_cancel_by_psycopg(target):
    with target.connect() as connection:
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        started = time.monotonic()
        with pytest.raises(Exception, match="canceling statement"):
            connection.execute("SELECT pg_sleep(30)")
        assert time.monotonic() - started < 5
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_wrong_keys_cancel_nothing(target):
    with target.login() as ended:
        old = ended.pid, ended.key
        ended.send(wire.terminate())
        ended.read_rest()
    with start_sleeping(target, 1) as client:
        pid, key = client.pid, client.key
        wrong = {"zero key": (pid, bytes(len(key))), "guessed key": (pid, os.urandom(len(key))), "key one bit off": (pid, key[:-1] + bytes([key[-1] ^ 1])),
                 "wrong pid": (pid + 1, key), "key too long": (pid, key + b"\0"), "empty key": (pid, b""), "of an ended session": old}
        for pid, key in wrong.values():
            wire.cancel(target.host, target.port, pid, key)
        assert wire.types(client.read_until("Z")) == "TDCZ"


def test_keys_differ_and_are_not_in_sequence(target):
    clients = [target.login() for _ in range(20)]
    keys = [int.from_bytes(client.key, "big") for client in clients]
    assert len(set(keys)) == len(keys)
    steps = {abs(b - a) for a, b in zip(keys, keys[1:])}
    assert len(steps) > 15 and min(steps) > 1000
    for client in clients:
        client.close()


def test_cancel_while_idle_hits_no_later_query(target):
    with target.login() as client:
        client.query("SELECT 1")
        wire.cancel(target.host, target.port, client.pid, client.key)
        time.sleep(0.2)   # PostgreSQL itself hits a query that starts within the delivery
        for _ in range(50):
            assert wire.types(client.query("SELECT pg_sleep(0.002)")) == "TDCZ"


def test_cancel_of_one_client_leaves_the_others_alone(target):
    clients = [start_sleeping(target, 1) for _ in range(5)]
    victim = clients[3]
    wire.cancel(target.host, target.port, victim.pid, victim.key)
    outcomes = [wire.errors(client.read_until("Z", 5)) for client in clients]
    assert outcomes == [["57014"] if client is victim else [] for client in clients]
    for client in clients:
        client.close()


def test_cancel_of_an_old_client_never_hits_the_next_one(target):
    """A cancel that arrives as its client leaves: whoever comes next on that place must not feel it."""
    for _ in range(20):
        old = target.login()
        old.send(wire.query("SELECT pg_sleep(0.01)"))
        pid, key = old.pid, old.key
        request = target.wire()
        old.close()
        request.send(wire.cancel_request(pid, key))
        with target.login() as new:
            assert wire.types(new.query("SELECT pg_sleep(0.02)")) == "TDCZ"
        request.close()


def test_flood_of_cancels_disturbs_nobody(target):
    with target.login() as client:
        requests = []
        for number in range(300):
            request = target.wire()
            request.send(wire.cancel_request(number, os.urandom(4)))
            requests.append(request)
        for _ in range(20):
            assert wire.types(client.query("SELECT 1")) == "TDCZ"
        for request in requests:
            assert request.read_rest() == []
            request.close()


@pytest.mark.parametrize("size", [0, 2, 4, 9, 260, 4000])
def test_cancel_request_of_a_wrong_size_is_closed(target, size):
    with target.wire() as client:
        client.send(wire.startup_packet(wire.CANCEL_REQUEST, bytes(size)))
        assert client.read_rest(5) == []


def test_cancel_request_with_more_behind_it_is_closed(target):
    with target.wire() as client:
        client.send(wire.cancel_request(1, b"\0\0\0\1") + wire.startup() + wire.query("SELECT 1"))
        assert client.read_rest(5) == []


@pytest.mark.gateway_only
def test_cancel_with_the_key_of_version_3_2(target):
    with target.login(version=wire.PROTOCOL_3_2) as client:
        client.send(wire.query("SELECT pg_sleep(30)"))
        wait_until(lambda: [row for row in target.postgres.sessions("app") if row[0] == client.pid and row[3] == "active"], what="the query runs")
        wire.cancel(target.host, target.port, client.pid, client.key)
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]


def test_cancel_in_a_pipeline_ends_only_the_statement_that_runs(target):
    with target.login() as client:
        client.send(wire.parse("SELECT pg_sleep(30)"), wire.bind(), wire.execute(), wire.sync(), wire.query("SELECT 'next'"))
        wait_until(lambda: [row for row in target.postgres.sessions("app") if row[0] == client.pid and row[3] == "active"], what="the query runs")
        wire.cancel(target.host, target.port, client.pid, client.key)
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]
        assert wire.rows(client.read_until("Z", 5)) == [["next"]]


def test_cancel_of_a_copy(target):
    with target.login() as client:
        client.send(wire.query("COPY (SELECT pg_sleep(0.01), repeat('x', 10000) FROM generate_series(1, 10000)) TO STDOUT"))
        client.read_until("d")
        wire.cancel(target.host, target.port, client.pid, client.key)
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]


@pytest.mark.gateway_only
def test_server_that_takes_no_cancel_does_not_hold_the_request_for_ever(make_gateway, postgres):
    """The gateway connects anew to deliver a cancel; a server that does not answer costs `timeouts.cancel` at most."""
    with fake_server.FakeServer(fake_server.obedient, upstream=postgres) as server:
        gateway = make_gateway({"timeouts": {"cancel": "1s"}}, upstream=server)
        with gateway.login() as client:
            wire.cancel(gateway.host, gateway.port, client.pid, client.key)
            wait_until(lambda: server.cancels, what="the cancel arrives")
            assert server.cancels == [(4711, b"\x12\x34\x56\x78")]
            assert wire.types(client.query("SELECT 1")) == "TDCZ"
