"""What guarding must not change for a client whose statement is let through: each of these was a difference from PostgreSQL once."""

import threading

import psycopg
import pytest

from conformance.__main__ import MODES
from support import wire
from support.gateway import Gateway
from support.process import free_port, wait_until

pytestmark = pytest.mark.gateway_only


@pytest.fixture(scope="module")
def gateways(postgres, certificates):
    certificate, key = certificates.server()
    made = {}
    for mode, settings in MODES.items():
        tls = {"mode": "allow", "certificate": str(certificate), "key": str(key)}
        made[mode] = Gateway(postgres, settings | {"listen": [{"address": "127.0.0.1", "port": free_port(), "tls": tls}]})
    yield made
    for gateway in made.values():
        gateway.close()


@pytest.fixture(params=["observe", "enforce"])
def gateway(request, gateways):
    return gateways[request.param]


@pytest.fixture(autouse=True)
def table(postgres):
    postgres.execute("DROP TABLE IF EXISTS plain, other; CREATE TABLE plain (id int); CREATE TABLE other (id int); "
                     "ALTER TABLE plain OWNER TO app; ALTER TABLE other OWNER TO app")
    yield "plain"
    postgres.execute("DROP TABLE IF EXISTS plain, other")


def outcome(messages) -> tuple[str, list[str]]:
    return wire.types(messages), wire.errors(messages)


def test_lock_table_alone_is_refused_by_the_server(gateway):
    with gateway.login() as client:
        assert outcome(client.query("LOCK TABLE plain")) == ("EZ", ["25P01"])
        assert outcome(client.query("SELECT 1")) == ("TDCZ", [])


def test_lock_table_leaves_the_snapshot_to_the_first_query(gateway, postgres):
    with gateway.login() as client:
        client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        client.query("SET LOCAL lock_timeout = '7s'")
        assert outcome(client.query("LOCK TABLE plain IN ACCESS EXCLUSIVE MODE")) == ("CZ", [])
        postgres.execute("INSERT INTO other VALUES (1)")
        assert client.value("SELECT count(*) FROM other") == "1"
        assert client.value("SHOW lock_timeout") == "7s"
        client.query("ROLLBACK")


def test_cluster_of_a_partitioned_table(gateway, postgres):
    postgres.execute("DROP TABLE IF EXISTS parts; CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); "
                     "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (9); "
                     "ALTER TABLE parts OWNER TO app; ALTER TABLE parts_1 OWNER TO app")
    try:
        with gateway.login() as client:
            assert outcome(client.query("CLUSTER parts USING parts_pkey")) == ("CZ", [])
    finally:
        postgres.execute("DROP TABLE parts")


def test_observing_says_nothing_about_a_concurrent_index(gateways):
    with gateways["observe"].login() as client:
        client.query("SET lock_timeout = '9s'")
        assert outcome(client.query("CREATE INDEX CONCURRENTLY ON plain (id)")) == ("CZ", [])


def test_the_servers_last_word_is_the_last(gateway):
    with gateway.login() as client:
        client.send(wire.query("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert wire.errors(client.read_rest()) == ["57P01"]


def test_the_end_of_the_server_is_an_end_in_tls_too(gateway):
    with gateway.connect(sslmode="require") as client, pytest.raises(psycopg.OperationalError, match="has been closed unexpectedly"):
        client.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_shorter_lock_timeout_of_the_client_holds(gateways):
    with gateways["enforce"].login() as holder, gateways["enforce"].login() as client:
        holder.query("BEGIN; SELECT FROM plain")
        client.query("SET lock_timeout = '20ms'")
        assert outcome(client.query("ALTER TABLE plain ADD COLUMN more int", timeout=20)) == ("EZ", ["55P03"])
        assert client.value("SHOW lock_timeout") == "20ms"


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("rest", ["", "; SELECT 1/0"])
def test_lock_timeout_of_a_text_that_begins_a_transaction_is_put_back(gateways, ending, rest):
    with gateways["enforce"].login() as client:
        client.query("SET lock_timeout = '20min'")
        client.query("BEGIN; ALTER TABLE plain ADD COLUMN more int" + rest)
        if not rest:
            assert client.value("SHOW lock_timeout") == "20min"
        client.query(ending)
        assert client.value("SHOW lock_timeout") == "20min"


def test_a_deadlock_is_told_as_one(gateways, postgres):
    with gateways["enforce"].login() as first, gateways["enforce"].login() as second:
        for client, mine in ((first, "plain"), (second, "other")):
            client.query(f"BEGIN; LOCK TABLE {mine} IN ACCESS EXCLUSIVE MODE")
        outcomes = {}
        waiting = threading.Thread(target=lambda: outcomes.update(first=first.query("ALTER TABLE other ADD COLUMN more int")))
        waiting.start()
        wait_until(lambda: postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted"), what="the first waits")
        outcomes["second"] = second.query("ALTER TABLE plain ADD COLUMN more int")
        waiting.join()
        assert sorted(wire.errors(outcomes["first"]) + wire.errors(outcomes["second"])) == ["40P01"]
        failed = next(messages for messages in outcomes.values() if wire.errors(messages))
        error = next(message for message in failed if message.type == "E")
        assert "waits for" in error.fields()["D"]
