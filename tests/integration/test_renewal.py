"""Prepared statements after schema changes: "cached plan must not change result type" reaches only whom it concerns."""

import time

import pytest

from support import wire
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

P, B, D, E = wire.parse, wire.bind, wire.describe, wire.execute
RESULT_CHANGED = "0A000"
ALTER = "ALTER TABLE wares ADD COLUMN extra int"
PID = "SELECT pg_backend_pid()"


@pytest.fixture(autouse=True)
def wares(postgres):
    postgres.execute("DROP TABLE IF EXISTS wares, others; CREATE TABLE wares (id int, name text); INSERT INTO wares VALUES (1, 'one'); "
                     "CREATE TABLE others (id int); INSERT INTO others VALUES (7); ALTER TABLE wares OWNER TO app; ALTER TABLE others OWNER TO app")
    yield
    postgres.execute("DROP TABLE IF EXISTS wares, others")


@pytest.fixture(params=["session", "transaction"])
def gateway(request, make_gateway):
    return make_gateway({"databases": {"*": {"pool": {"mode": request.param, "size": 20 if request.param == "session" else 2}}}})


@pytest.fixture
def own_server(make_gateway):
    """Each client keeps its server."""
    return make_gateway({"databases": {"*": {"pool": {"mode": "session"}}}})


@pytest.fixture
def pool(make_gateway):
    return make_gateway({"threads": 1, "databases": {"*": {"pool": {"mode": "transaction", "size": 2}}}})


def ran(client, *messages):
    return wire.errors(client.sync(*messages))


def renewals(gateway, result):
    return gateway.metrics().sum("tidegate_statement_renewals_total", result=result)


def test_direct_server_refuses_a_statement_whose_result_has_changed(postgres):
    """What all of this is about."""
    with wire.Wire.connect(postgres.host, postgres.port).login() as client:
        assert ran(client, P("SELECT * FROM wares", "s")) == []
        assert ran(client, B("s"), E()) == []
        postgres.execute(ALTER)
        assert ran(client, B("s"), E()) == [RESULT_CHANGED]


@pytest.mark.parametrize("described", ["nothing", "the portal"])
def test_statement_is_prepared_anew_when_the_client_was_not_told_its_result(gateway, described):
    portal = [D("P")] if described == "the portal" else []
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares WHERE id = $1", "s", (23,))) == []
        messages = client.sync(B("s", values=(b"1",)), *portal, E())
        assert wire.rows(messages) == [["1", "one"]]
        assert wire.errors(other.query(ALTER)) == []
        for _ in range(3):
            messages = client.sync(B("s", values=(b"1",)), *portal, E())
            assert wire.rows(messages) == [["1", "one", None]], messages


# Guarded, sent on as it came, and told by a COMMIT.
@pytest.mark.parametrize("form", [("{}",), ("SELECT 1; {}",), ("BEGIN", "{}", "COMMIT")], ids=["alone", "among others", "committed"])
def test_change_is_news_before_its_answer(gateway, form):
    """Whoever is told of a change by its author uses it at once, on a connection of another thread."""
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s")) == []
        for round in range(100):
            change = "DROP COLUMN extra" if round % 2 else "ADD COLUMN extra int"
            for text in form:
                assert wire.errors(other.query(text.format(f"ALTER TABLE wares {change}"))) == []
            assert ran(client, B("s"), E()) == [], round


def test_who_changes_the_schema_is_spared_too(gateway):
    with gateway.login() as client:
        assert ran(client, P("SELECT * FROM wares", "s"), B("s"), E()) == []
        assert wire.errors(client.query(ALTER)) == []
        assert wire.rows(client.sync(B("s"), E())) == [["1", "one", None]]


def test_client_that_was_told_another_result_gets_the_error_until_it_prepares_again(gateway):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        assert ran(client, P("SELECT id FROM wares", "same"), D("S", "same")) == []
        assert wire.errors(other.query(ALTER)) == []
        # Somebody has prepared the text since, and may run it.
        assert ran(other, P("SELECT * FROM wares", "mine"), D("S", "mine")) == []
        assert wire.rows(other.sync(B("mine"), E())) == [["1", "one", None]]
        for _ in range(3):
            assert ran(client, B("s"), E()) == [RESULT_CHANGED]
        assert wire.rows(client.sync(B("same"), E())) == [["1"]]
        assert wire.rows(other.sync(B("mine"), E())) == [["1", "one", None]]
        assert ran(client, wire.close("S", "s")) == []
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        assert wire.rows(client.sync(B("s"), E())) == [["1", "one", None]]


def test_result_that_did_not_change_is_none_of_it(gateway):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM others", "s"), D("S", "s")) == []
        assert ran(client, P("INSERT INTO others VALUES ($1)", "i", (23,)), D("S", "i")) == []
        for column in "abc":
            assert wire.errors(other.query(f"ALTER TABLE wares ADD COLUMN {column} int")) == []
            assert wire.rows(client.sync(B("s"), E())) == [["7"]]
            assert ran(client, B("i", values=(b"8",)), E()) == []
            assert wire.errors(client.query("DELETE FROM others WHERE id = 8")) == []
        assert renewals(gateway, "result_changed") == 0


def test_in_a_transaction_the_error_is_the_clients(own_server):
    with own_server.login() as client, own_server.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), B("s"), E()) == []
        assert wire.errors(other.query(ALTER)) == []
        client.query("BEGIN")
        assert ran(client, B("s"), E()) == [RESULT_CHANGED]
        client.query("ROLLBACK")
        assert wire.rows(client.sync(B("s"), E())) == [["1", "one", None]]
        assert renewals(own_server, "renewed") == 1


def test_schema_change_in_a_transaction_counts_from_its_commit(gateway):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM others", "s"), B("s"), E()) == []
        other.query("BEGIN")
        assert wire.errors(other.query("ALTER TABLE others ADD COLUMN extra int")) == []
        assert wire.errors(other.query("COMMIT")) == []
        assert wire.rows(client.sync(B("s"), E())) == [["7", None]]


def test_change_that_went_round_the_gateway_is_learnt_from_the_first_error(gateway, postgres):
    clients = [gateway.login() for _ in range(3)]
    for client in clients:
        assert ran(client, P("SELECT * FROM wares", "s"), B("s"), E()) == []
    postgres.execute(ALTER)
    failed = [ran(client, B("s"), E()) for client in clients]
    assert failed.count([RESULT_CHANGED]) <= 1 and failed.count([]) >= 2
    for client in clients:
        assert wire.rows(client.sync(B("s"), E())) == [["1", "one", None]]
        client.close()


def test_pipelines_go_on_behind_a_renewal(gateway):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), P("SELECT * FROM others", "t")) == []
        assert wire.errors(other.query(ALTER)) == []
        batch = B("s") + E() + wire.sync()
        client.send((batch + B("t") + E() + wire.sync()) * 20)
        messages = [message for _ in range(40) for message in client.read_until("Z")]
        assert wire.rows(messages) == [["1", "one", None], ["7"]] * 20


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 8, 9, 12])
def test_bind_that_comes_in_pieces_is_renewed(gateway, cut):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        assert ran(client, P("SELECT * FROM wares", "t")) == []
        assert wire.errors(other.query(ALTER)) == []
        for name, expected in ("t", []), ("s", [RESULT_CHANGED]):
            whole = B(name) + E() + wire.sync()
            client.send(whole[:cut])
            assert client.is_quiet(0.05)
            client.send(whole[cut:])
            assert wire.errors(client.read_until("Z")) == expected


def on_each_server(client, other, act):
    """Runs it on both servers of the pool, in transactions."""
    seen = {}
    for held in False, True, False, True:
        client.query("BEGIN")
        first = client.value(PID)
        if held and first in seen:   # another one, by somebody who takes this
            other.query("BEGIN")
            client.query("COMMIT")
            client.query("BEGIN")
        seen.setdefault(client.value(PID), act())
        client.query("COMMIT")
        other.query("COMMIT")
    assert len(seen) == 2
    return list(seen.values())


def test_columns_that_a_client_was_not_told_reach_it_from_no_server(pool):
    with pool.login() as client, pool.login() as other, pool.login() as third:
        other.query("BEGIN")   # both servers are there
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        other.query("COMMIT")
        assert on_each_server(client, third, lambda: wire.rows(client.sync(B("s"), E()))) == [[["1", "one"]]] * 2
        assert wire.errors(other.query(ALTER)) == []
        for _ in range(2):
            client.query("BEGIN")
            assert ran(client, B("s"), E()) == [RESULT_CHANGED]
            client.query("ROLLBACK")
        assert ran(client, B("s"), E()) == [RESULT_CHANGED]


def test_error_before_a_bind_that_is_looked_at_makes_the_server_skip_it(pool):
    """What the gateway would ask in such a batch is never answered."""
    with pool.login() as client, pool.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        assert wire.errors(other.query(ALTER.replace("wares", "others"))) == []
        assert ran(client, P("SELECT 1/0"), B(), E(), B("s"), E()) == ["22012"]
        assert ran(client, P("no SQL"), B("s"), E()) == ["42601"]
        assert wire.rows(client.sync(B("s"), E())) == [["1", "one"]]


def test_one_client_that_goes_on_with_a_stale_statement_is_no_news(own_server):
    """Each piece of news has the servers of all pools replaced."""
    with own_server.login() as stubborn, own_server.login() as other:
        assert ran(stubborn, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        assert ran(other, P("SELECT * FROM wares", "t")) == []
        assert wire.errors(other.query(ALTER)) == []
        for _ in range(25):   # for longer than the second in which news is told once
            assert ran(stubborn, B("s"), E()) == [RESULT_CHANGED]
            time.sleep(0.1)
        assert renewals(own_server, "result_changed") == 1


def test_search_path_gives_a_text_another_result_and_the_client_is_told(gateway, postgres):
    postgres.execute("CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE TABLE elsewhere.wares (a int, b int, c int); GRANT ALL ON SCHEMA elsewhere TO app; "
                     "GRANT ALL ON elsewhere.wares TO app")
    try:
        with gateway.login() as client:
            assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
            assert wire.rows(client.sync(B("s"), E())) == [["1", "one"]]
            client.query("SET search_path = elsewhere")
            assert ran(client, B("s"), E()) == [RESULT_CHANGED]
            client.query("RESET search_path")
            assert wire.rows(client.sync(B("s"), E())) == [["1", "one"]]
    finally:
        postgres.execute("DROP SCHEMA elsewhere CASCADE")


def test_statement_prepared_again_is_free_of_what_was_told_before(gateway):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        assert wire.errors(other.query(ALTER)) == []
        messages = client.sync(wire.close("S", "s"), P("SELECT * FROM wares", "s"), B("s"), E())
        assert wire.rows(messages) == [["1", "one", None]]
        for forget in "DEALLOCATE s", "DISCARD ALL":
            assert ran(client, D("S", "s")) == []
            assert wire.errors(client.query(forget)) == []
            assert ran(client, P("SELECT id, id, id, id FROM wares", "s")) == []
            assert wire.errors(other.query(f"ALTER TABLE wares ADD COLUMN {forget.split()[0]}_1 int")) == []
            assert wire.rows(client.sync(B("s"), E())) == [["1"] * 4]


def test_temporary_tables_are_no_schema_change(pool):
    """Servers are replaced after one, every half second."""
    with pool.login() as client, pool.login() as other:
        seen = set()
        for _ in range(25):
            assert wire.errors(other.query("BEGIN; CREATE TEMP TABLE mine (i int); DROP TABLE mine; COMMIT")) == []
            seen.add(client.value(PID))
            time.sleep(0.1)
        assert len(seen) <= 2


def test_statement_of_a_table_that_is_gone_says_so(gateway, postgres):
    with gateway.login() as client, gateway.login() as other:
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        postgres.execute("ALTER TABLE wares RENAME TO goods")
        assert wire.errors(other.query("ALTER TABLE others ADD COLUMN extra int")) == []
        assert ran(client, B("s"), E()) == ["42P01"]
        postgres.execute("ALTER TABLE goods RENAME TO wares")
        assert ran(client, B("s"), E()) == []
        assert wire.errors(client.query("SELECT 1")) == []


def test_servers_of_a_pool_are_replaced_one_after_the_other(pool):
    with pool.login() as one, pool.login() as other:
        one.query("BEGIN")
        before = {one.value(PID), other.value(PID)}
        one.query("COMMIT")
        assert wire.errors(one.query(ALTER)) == []
        wait_until(lambda: not before & {one.value(PID)}, what="the servers are new")
        one.query("BEGIN")
        assert not before & {one.value(PID), other.value(PID)}
        assert wire.errors(one.query("COMMIT")) == []


def test_row_types_in_plpgsql_are_followed(pool, postgres):
    """A function's cached row type outlives a schema change in its session, where some changes make it fail."""
    postgres.execute("CREATE OR REPLACE FUNCTION first_ware() RETURNS wares LANGUAGE plpgsql AS "
                     "$$ DECLARE w wares; BEGIN SELECT * INTO w FROM wares LIMIT 1; RETURN w; END $$")
    try:
        with pool.login() as one:
            assert wire.rows(one.query("SELECT first_ware()")) == [["(1,one)"]]
            assert wire.errors(one.query(ALTER)) == []
            wait_until(lambda: wire.rows(one.query("SELECT first_ware()")) == [["(1,one,)"]], what="the function sees the column")
    finally:
        postgres.execute("DROP FUNCTION first_ware()")


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_error_about_a_changed_result_has_the_routine_that_drivers_know_it_by(make_gateway, postgres, mode):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": mode, "size": 2}}}})
    with gateway.login() as client:
        assert ran(client, P("SELECT * FROM wares", "s"), D("S", "s")) == []
        postgres.execute(ALTER)
        errors = [m.fields() for m in client.sync(B("s"), E()) if m.type == "E"]
        assert [(e["C"], e["R"]) for e in errors] == [(RESULT_CHANGED, "RevalidateCachedQuery")]
