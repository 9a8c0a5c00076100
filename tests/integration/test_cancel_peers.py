"""Cancel requests that reach another gateway than their session."""

import os
import time

import pytest

from support import wire
from support.process import free_port, wait_until

pytestmark = pytest.mark.gateway_only
KEYS = {"3.0": wire.PROTOCOL_3_0, "3.2": wire.PROTOCOL_3_2}


@pytest.fixture
def gateways(make_gateway):
    """Three that know each other."""
    ports = {1: free_port(), 2: free_port(), 3: free_port()}

    def settings(own):
        return {"listen": [{"address": "127.0.0.1", "port": ports[own]}],
                "peers": {"id": own, "gateways": [{"id": other, "host": "127.0.0.1", "port": port} for other, port in ports.items() if other != own]}}

    return {own: make_gateway(settings(own)) for own in ports}


def start_sleeping(gateway, version=wire.PROTOCOL_3_0):
    client = gateway.login(version=version)
    client.send(wire.query("SELECT pg_sleep(30)"))
    time.sleep(0.1)
    return client


def cancels(gateway, result):
    return gateway.metrics().sum("tidegate_cancels_total", result=result)


@pytest.mark.parametrize("version", KEYS.values(), ids=KEYS.keys())
def test_request_at_another_gateway_finds_its_session(gateways, version):
    for own, gateway in gateways.items():
        for at in gateways.values():
            with start_sleeping(gateway, version) as client:
                wire.cancel(at.host, at.port, client.pid, client.key)
                assert wire.errors(client.read_until("Z", 5)) == ["57014"], own
    assert sum(cancels(gateway, "failed") + cancels(gateway, "unknown_key") for gateway in gateways.values()) == 0


def test_key_that_the_other_gateway_does_not_know_ends_there(gateways):
    one, other, third = gateways.values()
    with start_sleeping(other) as client:
        wrong = bytes([client.key[0]]) + bytes(byte ^ 1 for byte in client.key[1:])
        wire.cancel(one.host, one.port, client.pid, wrong)
        wait_until(lambda: cancels(other, "unknown_key") == 1, what="the other gateway was asked")
        assert cancels(one, "unknown_key") == 1 and cancels(third, "unknown_key") == 0
        assert client.is_quiet(0.2)
        wire.cancel(other.host, other.port, client.pid, client.key)
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]


def test_request_travels_once(make_gateway):
    """Two gateways that take each other for a third: nobody has it, and it does not go round."""
    ports = [free_port(), free_port()]
    one, other = [make_gateway({"listen": [{"address": "127.0.0.1", "port": own}],
                                "peers": {"id": identity, "gateways": [{"id": 9, "host": "127.0.0.1", "port": there}]}})
                  for identity, own, there in ((1, *ports), (2, *reversed(ports)))]
    key = bytes([9 << 2]) + os.urandom(3)
    wire.cancel(one.host, one.port, 12345, key)
    wait_until(lambda: cancels(other, "unknown_key") == 1, what="it was sent on")
    time.sleep(0.3)
    assert (cancels(one, "unknown_key"), cancels(other, "unknown_key")) == (1, 1)


def test_guessing_through_another_gateway_is_limited_where_it_comes_in(gateways):
    one, other, _ = gateways.values()
    requests = [one.wire() for _ in range(60)]
    for number, request in enumerate(requests):
        request.send(wire.cancel_request(number, bytes([2 << 2]) + os.urandom(3)))
    for request in requests:
        assert request.read_rest() == []
        request.close()
    assert 1 <= cancels(other, "unknown_key") < 60
    assert cancels(one, "failed") >= 1


def test_gateway_that_is_down_costs_nobody_anything(make_gateway):
    one = make_gateway({"peers": {"id": 1, "gateways": [{"id": 2, "host": "127.0.0.1", "port": free_port()}]}})
    with one.login() as bystander:
        wire.cancel(one.host, one.port, 12345, bytes([2 << 2]) + os.urandom(3))
        wait_until(lambda: cancels(one, "failed") == 1, what="it is given up")
        assert bystander.value("SELECT 1") == "1"


def test_request_that_pretends_to_come_from_a_gateway_is_as_good_as_any(gateways):
    one, other, _ = gateways.values()
    with start_sleeping(one) as client:
        with one.wire() as request:
            request.send(wire.cancel_request(client.pid, client.key + b"\xf0"))
            assert request.read_bytes(1) == b"Y"
        assert wire.errors(client.read_until("Z", 5)) == ["57014"]
        with other.wire() as request:   # never sent on
            request.send(wire.cancel_request(client.pid, client.key + b"\xf0"))
            assert request.read_bytes(1) == b"N"
