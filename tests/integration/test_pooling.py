"""Transaction mode: clients share servers and do not notice."""

import threading
import time

import psycopg
import pytest

from support import wire
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

P, B, D, E, S, C = wire.parse, wire.bind, wire.describe, wire.execute, wire.sync, wire.close
PID = "SELECT pg_backend_pid()"


@pytest.fixture
def pool(make_gateway):
    """A gateway whose clients share two servers."""
    return make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 2}}}})


@pytest.fixture
def single(make_gateway):
    """One server for everybody: whatever one leaves, the next finds."""
    return make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}})


@pytest.fixture
def one_thread(make_gateway):
    """Two servers, of which the one that came back last is lent first."""
    return make_gateway({"threads": 1, "databases": {"*": {"pool": {"mode": "transaction", "size": 2}}}})


def show(gateway, topic):
    with gateway.connect(dbname="tidegate", user="postgres", autocommit=True) as console:
        cursor = console.execute(f"SHOW {topic}")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]


def close_all(*clients):
    for client in clients:
        client.close()


# -- sharing ------------------------------------------------------------------------------------------------------------


def test_many_clients_share_the_servers_of_the_pool(pool):
    clients = [pool.login() for _ in range(40)]
    pids = {client.value(PID) for client in clients for _ in range(3)}
    assert 1 <= len(pids) <= 2
    close_all(*clients)


def test_a_transaction_has_one_server_from_its_begin_to_its_end(pool):
    with pool.login() as one, pool.login() as other:
        one.query("BEGIN")
        pid = one.value(PID)
        for _ in range(5):
            assert other.value(PID) != pid
            assert one.value(PID) == pid
        one.query("COMMIT")


def test_clients_of_different_rights_share_nothing(pool):
    with pool.login("app") as one, pool.login("postgres") as other, pool.login("app", parameters={"options": "-c geqo=off"}) as third:
        pids = {client.value(PID) for client in (one, other, third)}
        assert len(pids) == 3
        assert [client.value("SELECT current_user") for client in (one, other, third)] == ["app", "postgres", "app"]
        assert [client.value("SHOW geqo") for client in (one, other, third)] == ["on", "on", "off"]


def test_hundreds_of_clients_at_once(pool):
    failures = []

    def work(number):
        try:
            with pool.connect(autocommit=True) as client:
                for step in range(20):
                    assert client.execute("SELECT %s::int", (number * 100 + step,)).fetchone() == (number * 100 + step,)
        except Exception as failure:   # told by the assertion below
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# -- settings ------------------------------------------------------------------------------------------------------------


def test_settings_follow_their_client_and_reach_nobody_else(single):
    with single.login() as one, single.login() as other:
        one.query("SET search_path = one, public")
        one.query("SET app.tenant = 'eleven'")
        other.query("SELECT set_config('statement_timeout', '7s', false)")
        for _ in range(2):
            assert one.value("SHOW search_path") == "one, public"
            assert other.value("SHOW search_path") == '"$user", public'
            assert one.value("SHOW app.tenant") == "eleven"
            assert other.value("SELECT current_setting('app.tenant', true)") in (None, "")
            assert [one.value("SHOW statement_timeout"), other.value("SHOW statement_timeout")] == ["0", "7s"]
        one.query("RESET ALL")
        assert other.value("SHOW statement_timeout") == "7s"
        assert one.value("SHOW search_path") == '"$user", public'


def test_settings_of_a_transaction_end_with_it(single):
    with single.login() as one, single.login() as other:
        one.query("BEGIN; SET LOCAL work_mem = '1MB'; SET geqo = off")
        one.query("ROLLBACK")
        assert [one.value("SHOW work_mem"), one.value("SHOW geqo")] == ["4MB", "on"]
        one.query("BEGIN; SAVEPOINT a; SET geqo = off; ROLLBACK TO a; SET enable_sort = off; COMMIT")
        assert [other.value("SHOW enable_sort"), one.value("SHOW enable_sort"), one.value("SHOW geqo")] == ["on", "off", "on"]


def test_role_follows_its_client(single, postgres):
    with single.login("postgres") as one, single.login("postgres") as other:
        one.query("SET ROLE app")
        for _ in range(2):
            assert [one.value("SELECT current_user"), other.value("SELECT current_user")] == ["app", "postgres"]
        one.query("RESET ROLE")
        assert one.value("SELECT current_user") == "postgres"


def test_application_name_is_each_clients_own(single):
    with single.login(parameters={"application_name": "first"}) as one, single.login(parameters={"application_name": "second"}) as other:
        for _ in range(2):
            assert one.value("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()") == "first"
            assert other.value("SHOW application_name") == "second"
        one.query("SET application_name = 'third'")
        assert [other.value("SHOW application_name"), one.value("SHOW application_name")] == ["second", "third"]
        one.query("RESET ALL")
        assert one.value("SHOW application_name") == "first"


def test_parameter_status_is_told_when_it_is_another(single):
    with single.login() as one, single.login() as other:
        one.query("SET DateStyle = 'German'")
        assert other.value("SELECT '2001-02-03'::date") == "2001-02-03"
        messages = one.query("SELECT '2001-02-03'::date")
        assert wire.rows(messages) == [["03.02.2001"]]


def test_client_encoding_follows_its_client(single):
    with single.login() as one, single.login() as other:
        one.query("SET client_encoding = 'LATIN1'")
        for _ in range(2):
            assert other.query("SELECT U&'\\00e4'")[1].body.endswith("ä".encode())
            assert one.query("SELECT U&'\\00e4'")[1].body.endswith("ä".encode("latin1"))


# -- prepared statements ----------------------------------------------------------------------------------------------------


def test_named_statements_are_found_on_every_server(pool):
    clients = [pool.login() for _ in range(6)]
    for number, client in enumerate(clients):
        assert wire.types(client.sync(P(f"SELECT {number} + $1::int", "same name"))) == "1Z"
    for round_ in range(4):
        for number, client in enumerate(clients):
            messages = client.sync(B("same name", values=(b"100",)), D("P"), E())
            assert wire.rows(messages) == [[str(100 + number)]]
    close_all(*clients)


def test_a_name_that_is_taken_is_refused_in_the_clients_own_words(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 1", "s"))
        error = one.sync(P("SELECT 2", "s"))[0].fields()
        assert (error["C"], error["M"]) == ("42P05", 'prepared statement "s" already exists')
        other.sync(P("SELECT 3", "s"))
        assert wire.rows(other.sync(B("s"), E())) == [["3"]]
        assert wire.rows(one.sync(B("s"), E())) == [["1"]]
        one.sync(C("S", "s"))
        assert wire.errors(one.sync(B("s"), E())) == ["26000"]
        assert wire.rows(other.sync(B("s"), E())) == [["3"]]


def test_an_error_before_it_leaves_a_statement_unprepared(single):
    with single.login() as one:
        assert wire.errors(one.sync(P("SELECT 1/0"), B(), E(), P("SELECT 1", "s"))) == ["22012"]
        assert wire.errors(one.sync(B("s"), E())) == ["26000"]
        assert wire.types(one.sync(P("SELECT 2", "s"), B("s"), E())) == "12DCZ"


def test_unnamed_statement_is_its_clients_own(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 1"))
        assert wire.errors(other.sync(B(), E())) == ["26000"]
        other.sync(P("SELECT 2"))
        assert wire.rows(one.sync(B(), E())) == [["1"]]
        assert wire.rows(other.sync(B(), E())) == [["2"]]
        one.query("SELECT 3")
        assert wire.errors(one.sync(B(), E())) == ["26000"]


def test_unnamed_statement_of_another_stays_out_of_reach_when_the_server_skips_its_close(single):
    with single.login() as one, single.login() as other:
        other.sync(P("SELECT 'not yours'"))
        one.send(B("nothing"), B(), E(), S(), D("S"), S(), B(), E(), S())
        assert [wire.errors(one.read_until()) for _ in range(3)] == [["26000"]] * 3
        assert wire.errors(one.sync(B(), E())) == ["26000"]


def test_unnamed_statement_is_the_latest_on_whichever_server(one_thread):
    with one_thread.login() as one, one_thread.login() as other:
        other.query("BEGIN")
        one.sync(P("SELECT 'on the second'"))
        other.query("COMMIT")   # the one used last is the next to be lent
        one.sync(P("SELECT 'on the first'"))
        other.query("BEGIN")
        assert wire.rows(one.sync(B(), E())) == [["on the first"]]


def test_a_taken_name_is_the_last_thing_that_is_wrong_with_a_statement(single):
    with single.login() as one:
        one.sync(P("SELECT 1", "a"))
        for text, code in [("SELECT 2", "42P05"), ("syntax error", "42601"), ("SELECT 1; SELECT 2", "42601"), ("SELECT nothing_there", "42703"), ("", "42P05")]:
            assert wire.errors(one.sync(P(text, "a"), P("SELECT 3", "b"))) == [code], text
        assert wire.errors(one.sync(P("SELECT $1 + 1", "a", (25,)))) == ["42883"]
        one.query("SET standard_conforming_strings = off")
        assert [message.type for message in one.sync(P("SELECT 'a\\\\b'", "a"))] == ["N", "E", "Z"]
        one.query("BEGIN; SELECT 1/0")
        assert [wire.errors(one.sync(P(text, "a"))) for text in ("SELECT 2", "ROLLBACK")] == [["25P02"], ["42P05"]]
        one.query("ROLLBACK")
        assert wire.rows(one.sync(B("a"), E())) == [["1"]]
        assert wire.errors(one.sync(B("b"), E())) == ["26000"]


def test_statements_of_the_gateway_are_out_of_reach(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 'secret'", "s"))
        one.sync(B("s"), E())
        (statement,) = [row["name"] for row in show(single, "PREPARED_STATEMENTS") if "secret" in row["query"]]
        assert wire.errors(other.sync(B(statement), E())) == ["26000"]
        assert wire.errors(other.sync(D("S", statement))) == ["26000"]
        assert wire.types(other.sync(C("S", statement))) == "3Z"
        assert wire.errors(other.query(f"EXECUTE {statement}")) == ["42939"]
        assert wire.rows(one.sync(B("s"), E())) == [["secret"]]


def test_sql_finds_the_statements_of_the_protocol_by_their_names(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 41 + $1::int", "s"))
        other.query("SELECT 1")
        assert one.value("EXECUTE s(1)") == "42"
        assert one.query("SELECT name, from_sql FROM pg_prepared_statements")[1].columns == ["s", "f"]
        assert other.query("SELECT count(*) FROM pg_prepared_statements")[1].columns == ["0"]
        other.sync(P("SELECT name FROM pg_prepared_statements", "t"))
        other.sync(P("PREPARE t AS SELECT 1", "u"))
        assert wire.errors(other.query("EXECUTE u")) == ["42P05"]
        other.sync(C("S", "u"))
        assert wire.rows(other.query("EXECUTE t")) == wire.rows(other.sync(P("EXECUTE t"), B(), E())) == [["t"]]
        assert wire.errors(one.query("DEALLOCATE s")) == []
        assert wire.errors(one.query("DEALLOCATE s")) == ["26000"]
        assert wire.errors(one.sync(B("s", values=(b"1",)), E())) == ["26000"]
        assert wire.types(one.sync(P("SELECT 1", "s"))) == "1Z"


@pytest.mark.parametrize("sql", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_statements_that_sql_drops_are_gone_and_only_this_clients(single, sql):
    with single.login() as one, single.login() as other:
        for client in (one, other):
            client.sync(P("SELECT 1", "s"), P("SELECT 2", "t"))
        assert wire.errors(one.query(sql)) == []
        assert wire.errors(one.sync(B("s"), E())) == ["26000"]
        assert wire.rows(other.sync(B("t"), E())) == [["2"]]
        assert wire.types(one.sync(P("SELECT 3", "s"), B("s"), E())) == "12DCZ"


def test_the_unnamed_statement_is_nothing_that_sql_drops(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 1", "s"))
        one.sync(P("DISCARD ALL"), B(), E())
        other.sync(P("SELECT 2"))
        assert wire.types(one.sync(B(), E())) == "2CZ"
        assert wire.errors(one.sync(B("s"), E())) == ["26000"]


@pytest.fixture
def doomed(postgres):
    """A table that goes while statements about it are prepared."""
    postgres.execute("DROP TABLE IF EXISTS doomed; CREATE TABLE doomed (a int); ALTER TABLE doomed OWNER TO app")
    yield
    postgres.execute("DROP TABLE IF EXISTS doomed")


def by_protocol(client, sql):
    return client.sync(P(sql), B(), D("P"), E())


@pytest.mark.parametrize("run", [by_protocol, wire.Wire.query], ids=["extended", "simple"])
@pytest.mark.parametrize("sql", ["DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE s", "DEALLOCATE s; DEALLOCATE t"])
def test_statements_whose_table_is_gone_can_be_dropped(single, doomed, run, sql):
    if run is by_protocol and ";" in sql:
        pytest.skip("one statement each")
    with single.login() as one, single.login() as other:
        other.sync(P("SELECT 5", "s"))
        assert wire.errors(one.sync(P("SELECT a FROM doomed", "s"), P("SELECT 2", "t"))) == []
        assert wire.errors(one.query("DROP TABLE doomed")) == []
        assert wire.errors(run(one, sql)) == []
        assert wire.errors(one.sync(B("s"), E())) == ["26000"]
        assert wire.errors(one.sync(B("t"), E())) == ([] if sql == "DEALLOCATE s" else ["26000"])
        assert wire.types(one.sync(P("SELECT 3", "s"), B("s"), E())) == "12DCZ"
        assert wire.rows(other.sync(B("s"), E())) == [["5"]]


@pytest.mark.parametrize("run", [by_protocol, wire.Wire.query], ids=["extended", "simple"])
@pytest.mark.parametrize("begin, end, left", [("BEGIN", "COMMIT", 0), ("BEGIN", "ROLLBACK", 1), ("BEGIN; SAVEPOINT x", "ROLLBACK TO x", 1)])
def test_transaction_goes_on_behind_deallocate_all_although_a_table_is_gone(single, postgres, doomed, run, begin, end, left):
    with single.login() as one:
        assert wire.errors(one.sync(P("SELECT a FROM doomed", "s"))) == []
        assert wire.errors(one.query(begin)) == []
        assert wire.errors(one.query("DROP TABLE doomed")) == []
        assert wire.errors(run(one, "DEALLOCATE ALL")) == []
        assert wire.rows(one.query("SELECT 1")) == [["1"]]
        assert wire.errors(one.query(end)) == []
        one.query("COMMIT")
        assert postgres.execute("SELECT count(*) FROM pg_class WHERE relname = 'doomed'") == [(left,)]
        assert wire.errors(one.sync(B("s"), E())) == ["26000"]


def test_prepared_execute_is_described_by_what_it_executes(single):
    with single.login() as one, single.login() as other:
        assert wire.errors(one.sync(P("SELECT 1 AS a, 2 AS b", "b"), P("EXECUTE b", "a"))) == []
        assert wire.errors(one.query("EXECUTE nothing")) == ["26000"]   # whatever that has left on the server
        other.query("DISCARD ALL")
        assert wire.types(one.sync(D("S", "a"), B("a"), E())) == "tT2DCZ"


def test_what_only_stands_for_a_statement_is_never_run_nor_shown(single):
    with single.login() as one:
        assert wire.errors(one.sync(P("SELECT 41 + 1", "s"), P("SELECT 2", "t"))) == []
        # in one batch: what drops a statement, then what runs another and what shows them
        answer = one.sync(P("DEALLOCATE t"), B(), E(), P("EXECUTE s"), B(), E(), P("SELECT name, statement FROM pg_prepared_statements"), B(), E())
        assert wire.errors(answer) == []
        assert wire.rows(answer) == [["42"], ["s", "SELECT 41 + 1"]]
        assert wire.rows(one.sync(B("s"), E())) == [["42"]]
        assert wire.errors(one.sync(B("t"), E())) == ["26000"]
        # … and in a transaction that a DEALLOCATE has failed
        one.query("BEGIN")
        assert wire.errors(by_protocol(one, "DEALLOCATE nothing")) == ["26000"]
        one.query("ROLLBACK")
        assert wire.rows(by_protocol(one, "EXECUTE s")) == [["42"]]
        assert wire.rows(one.query("EXECUTE s")) == [["42"]]


@pytest.mark.parametrize("run", [by_protocol, wire.Wire.query], ids=["extended", "simple"])
def test_statement_whose_table_is_gone_keeps_its_name(single, postgres, doomed, run):
    """The server's reason each time, and the others are there: as from PostgreSQL."""
    with single.login() as one:
        assert wire.errors(one.sync(P("SELECT a FROM doomed", "s"), P("SELECT 2", "t"))) == []
        postgres.execute("DROP TABLE doomed")
        for _ in range(3):
            assert wire.errors(run(one, "EXECUTE s")) == ["42P01"]
        assert wire.rows(one.query("EXECUTE t")) == [["2"]]
        assert wire.errors(one.sync(P("SELECT 1", "s"))) == ["42P05"]
        postgres.execute("CREATE TABLE doomed (a int); INSERT INTO doomed VALUES (6); GRANT SELECT ON doomed TO app")
        assert wire.rows(run(one, "EXECUTE s")) == [["6"]]
        assert wire.rows(one.sync(B("s"), E())) == [["6"]]


def test_statements_of_sql_keep_the_server(single):
    with single.login() as one:
        one.query("PREPARE q AS SELECT 7")
        assert one.value("EXECUTE q") == "7"
        assert wire.errors(one.sync(P("SELECT 8", "q"))) == ["42P05"]
        assert wire.rows(one.sync(B("q"), E())) == [["7"]]
        assert [row["reasons"] for row in show(single, "PINS")] == ["prepared_statement"]
        one.query("DEALLOCATE q")
        wait_until(lambda: show(single, "PINS") == [], what="nobody is pinned")


def test_a_close_that_the_server_skips_closes_no_statement_of_sql(single):
    with single.login() as one:
        one.query("PREPARE a AS SELECT 7; BEGIN")
        assert wire.errors(one.sync(B("nothing"), C("S", "a"))) == ["26000"]
        assert wire.errors(one.sync(P("", "a"))) == ["42P05"]
        one.query("ROLLBACK")
        assert wire.types(one.sync(C("S", "a"), P("SELECT 8", "a"), B("a"), E())) == "312DCZ"


def test_the_least_used_statement_gives_way(make_gateway, postgres):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1, "prepared_statements": 5}}}})
    with gateway.login() as client:
        for number in range(20):
            client.sync(P(f"SELECT {number}", f"s{number}"))
        for number in range(20):
            assert wire.rows(client.sync(B(f"s{number}"), E())) == [[str(number)]]
        client.query("BEGIN")
        assert int(client.value("SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()")) == 1
        client.query("COMMIT")


# -- what keeps its server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make, drop, reason, probe", [
    ("CREATE TEMP TABLE mine(a int)", "DROP TABLE mine", "temporary_object", "SELECT count(*) FROM mine"),
    ("LISTEN channel", "UNLISTEN channel", "channel", "SELECT count(*) FROM pg_listening_channels()"),
    ("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT", "CLOSE c", "cursor", "FETCH c"),
    ("SELECT pg_advisory_lock(4711)", "SELECT pg_advisory_unlock(4711)", "advisory_lock",
     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"),
    ("DO $$ BEGIN CREATE TEMP TABLE hidden(a int); END $$", "DROP TABLE hidden", "temporary_object", "SELECT count(*) FROM hidden"),
])
def test_what_cannot_be_moved_keeps_its_server_until_it_is_gone(pool, make, drop, reason, probe):
    with pool.login() as one, pool.login() as other:
        assert wire.errors(one.query(make)) == []
        pid = one.value(PID)
        for _ in range(3):
            assert other.value(PID) != pid
            assert one.value(PID) == pid
        assert wire.errors(one.query(probe)) == []
        assert [row["reasons"] for row in show(pool, "PINS")] == [reason]
        assert pool.metrics().sum("tidegate_pinned_clients", reason=reason) == 1
        one.query(drop)
        wait_until(lambda: show(pool, "PINS") == [], what="nobody is pinned")
        one.query("BEGIN")
        other.query("BEGIN")
        assert other.value(PID) != one.value(PID)


def test_temporary_table_of_one_transaction_keeps_nothing(pool):
    with pool.login() as one:
        one.query("BEGIN; CREATE TEMP TABLE short(a int) ON COMMIT DROP; COMMIT")
        wait_until(lambda: show(pool, "PINS") == [], what="nobody is pinned")
    assert pool.metrics().sum("tidegate_pinned_clients") == 0


def test_a_client_that_leaves_takes_its_pin_along(single):
    with single.login() as one:
        one.query("CREATE TEMP TABLE left_behind(a int)")
    with single.login() as other:
        assert other.value("SELECT to_regclass('pg_temp.left_behind')") is None
    wait_until(lambda: single.metrics().sum("tidegate_pinned_clients") == 0, what="nobody is pinned")


def test_listed_functions_keep_the_server(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 2, "session_functions": ["Pg_Sleep"]}}}})
    with gateway.login() as one:
        one.query("SELECT pg_sleep(0)")
        assert [row["reasons"] for row in show(gateway, "PINS")] == ["unmovable"]


def test_pins_are_bounded(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 4, "max_pinned": 1}}}})
    with gateway.login() as one, gateway.login() as other:
        one.query("LISTEN a")
        other.query("LISTEN a")
        assert other.read_rest()[-1].fields()["C"] == "53300"
        assert wire.types(one.query("SELECT 1")) == "TDCZ"


def test_sequence_values_are_never_somebody_elses(single, postgres):
    postgres.execute("CREATE SEQUENCE IF NOT EXISTS pooled; GRANT ALL ON SEQUENCE pooled TO app")
    with single.login() as one, single.login() as other:
        value = one.value("SELECT nextval('pooled')")
        assert one.value("SELECT lastval()") == value
        other.value("SELECT nextval('pooled')")
        assert wire.errors(one.query("SELECT lastval()")) == ["55000"]
        assert wire.errors(one.sync(P("SELECT currval('pooled')"), B(), E())) == ["55000"]
        assert wire.errors(one.query("BEGIN; SELECT nextval('pooled'); SELECT currval('pooled'); COMMIT")) == []
    postgres.execute("DROP SEQUENCE pooled")


def test_sequence_values_are_never_older_ones(one_thread, postgres):
    postgres.execute("CREATE SEQUENCE IF NOT EXISTS pooled; GRANT ALL ON SEQUENCE pooled TO app")
    with one_thread.login() as one, one_thread.login() as other:
        other.query("BEGIN")
        one.query("SELECT nextval('pooled')")
        other.query("COMMIT")   # the one used last is the next to be lent
        one.query("SELECT nextval('pooled')")
        other.query("BEGIN")
        assert wire.errors(one.query("SELECT currval('pooled')")) == ["55000"]
    postgres.execute("DROP SEQUENCE pooled")


def test_values_of_others_are_forgotten_where_clients_ask_for_them(single, postgres):
    """INSERT may draw a value, and need not: what lastval() returns behind it must not be somebody else's."""
    postgres.execute("CREATE SEQUENCE IF NOT EXISTS pooled; CREATE TABLE IF NOT EXISTS undrawn (a int); GRANT ALL ON SEQUENCE pooled TO app; GRANT ALL ON undrawn TO app")
    with single.login() as one, single.login() as other:
        one.value("SELECT nextval('pooled')")
        one.query("SELECT lastval()")
        value = other.value("SELECT nextval('pooled')")
        assert wire.errors(one.query("BEGIN; INSERT INTO undrawn VALUES (1); SELECT lastval(); COMMIT")) == ["55000"]
        one.query("ROLLBACK")
        assert wire.errors(other.query("SELECT lastval()")) == ["55000"], value
        drawn = one.query("BEGIN; SELECT nextval('pooled'); SELECT lastval(); COMMIT")
        assert len({row[0] for row in wire.rows(drawn)}) == 1
        assert wire.errors(one.query("SELECT lastval()")) == []
    postgres.execute("DROP SEQUENCE pooled; DROP TABLE undrawn")


def test_statement_prepared_in_a_transaction_that_failed_behind_deallocate_all_is_there(single):
    """What DEALLOCATE ALL took away is looked up when the transaction is over; what came after it is no part of that."""
    with single.login() as one:
        assert wire.errors(one.sync(P("SELECT 1", "before"))) == []
        one.query("BEGIN")
        assert wire.errors(one.query("DEALLOCATE ALL; EXECUTE missing")) == ["26000"]
        assert wire.errors(one.sync(P("", "empty"))) == []
        one.query("ROLLBACK")
        assert wire.rows(one.query("SELECT name, statement FROM pg_prepared_statements")) == [["empty", ""]]
        assert wire.types(one.sync(B("empty"), E())) == "2IZ"
        assert wire.errors(one.sync(B("before"), E())) == ["26000"]


@pytest.mark.parametrize("how", ["DEALLOCATE s; PREPARE s AS SELECT 2", "DEALLOCATE ALL; PREPARE s AS SELECT 2", "BEGIN; DEALLOCATE s; PREPARE s AS SELECT 2; COMMIT"])
def test_name_that_sql_has_taken_meanwhile_is_sqls(single, postgres, how):
    postgres.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept (a int, b int); INSERT INTO kept SELECT 1, 2 FROM generate_series(1, 10000); ALTER TABLE kept OWNER TO app; ANALYZE kept")
    for text in ("ALTER TABLE kept DROP COLUMN b", "SELECT 1"):
        with single.login() as one:
            assert wire.errors(one.sync(P(text, "s"))) == []
            assert wire.errors(one.query(how)) == []
            assert wire.rows(one.sync(B("s"), E())) == [["2"]]
    assert postgres.execute("SELECT b FROM kept LIMIT 1") == [(2,)]
    postgres.execute("DROP TABLE kept")


@pytest.mark.parametrize("text, code", [("ALTER TABLE read ALTER COLUMN a SET DEFAULT '\\'', DROP COLUMN b --'", ["26000"]), ("SELECT 1", [])])
@pytest.mark.parametrize("apart", [True, False])
def test_unnamed_statement_is_not_prepared_under_another_reading(single, postgres, text, code, apart):
    postgres.execute("DROP TABLE IF EXISTS read; CREATE TABLE read (a text, b int); ALTER TABLE read OWNER TO app")
    with single.login() as one, single.login() as other:
        one.sync(P("SET standard_conforming_strings = off", "x"))
        one.sync(P(text))
        if apart:
            one.sync(B("x"), E())
            other.query("SELECT 1")
            assert wire.errors(one.sync(B(), E())) == code
        else:
            other.query("SELECT 1")
            assert wire.errors(one.sync(B("x"), E(), B(), E())) == code
    assert postgres.execute("SELECT count(b) FROM read") == [(0,)]
    postgres.execute("DROP TABLE read")


def test_execute_of_a_name_of_its_own_batch_returns_rows(single):
    with single.login() as one:
        assert wire.rows(one.sync(P("SELECT 1", "s"), P("EXECUTE s"), B(), E())) == [["1"]]


def test_query_that_the_server_skips_leaves_the_unnamed_statement(single):
    with single.login() as one:
        one.sync(P("SELECT 1"))
        one.send(B("nothing"), wire.query("SELECT 3"), S()).read_until("Z")
        assert wire.rows(one.sync(B(), E())) == [["1"]]
        assert wire.errors(one.query("SELECT 1/0")) == ["22012"]
        assert wire.errors(one.sync(B(), E())) == ["26000"]


# -- waiting ---------------------------------------------------------------------------------------------------------------


def test_a_freed_server_goes_to_who_waited_longest(single):
    with single.login() as holder:
        holder.query("BEGIN")
        waiters = [single.login() for _ in range(6)]
        for number, waiter in enumerate(waiters):
            waiter.send(wire.query("SELECT clock_timestamp()"))
            wait_until(lambda: show(single, "POOLS")[0]["cl_waiting"] == number + 1, what="it waits")
        holder.query("COMMIT")
        times = [wire.rows(waiter.read_until())[0][0] for waiter in waiters]
        assert times == sorted(times)
        close_all(*waiters)


def test_one_application_leaves_servers_to_the_others(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 4, "max_per_application": 2}}}})
    heavy = [gateway.login(parameters={"application_name": "heavy"}) for _ in range(5)]
    for client in heavy[:2]:
        client.query("BEGIN")
    for number, client in enumerate(heavy[2:]):
        client.send(wire.query("SELECT clock_timestamp()"))
        wait_until(lambda: show(gateway, "POOLS")[0]["cl_waiting"] == number + 1, what="it waits")
    with gateway.login(parameters={"application_name": "light"}) as light, gateway.login() as nameless:
        for _ in range(5):
            light.query("BEGIN")
            assert wire.errors(nameless.query("SELECT 1")) == []
            assert wire.errors(light.query("COMMIT")) == []
        assert show(gateway, "POOLS")[0]["cl_waiting"] == 3, "a server is free, and not for them"
    notice = heavy[2].read_until("N", timeout=10)[-1].fields()
    assert "as many as they may (pool.max_per_application)" in notice["D"]
    heavy[0].query("COMMIT")
    times = [wire.rows(client.read_until())[0][0] for client in heavy[2:]]
    assert times == sorted(times)
    heavy[1].query("COMMIT")
    heavy[1].send(wire.terminate())
    assert wire.errors(heavy[2].query("SELECT 1")) == []
    close_all(*heavy)


def test_servers_of_clients_that_vanish_are_given_back_to_their_application(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 4, "max_per_application": 1}}}})
    for _ in range(3):
        client, waiter = gateway.login(parameters={"application_name": "heavy"}), gateway.login(parameters={"application_name": "heavy"})
        client.query("BEGIN")
        waiter.send(wire.query("SELECT 1"))
        wait_until(lambda: show(gateway, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
        client.close()
        assert wire.rows(waiter.read_until()) == [["1"]]
        waiter.close()


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_who_is_called_and_leaves_gives_its_turn_to_the_next_of_its_application(make_gateway, how):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 2, "max_per_application": 1}}}})
    first, second, third = (gateway.login(parameters={"application_name": "one"}) for _ in range(3))
    with gateway.login() as other, gateway.login(parameters={"application_name": "third"}) as older:
        first.query("BEGIN")
        other.query("BEGIN")
        for number, client in enumerate((older, second, third)):
            client.send(wire.query("BEGIN" if client is older else "SELECT 1"))
            wait_until(lambda: show(gateway, "POOLS")[0]["cl_waiting"] == number + 1, what="it waits")
        first.query("COMMIT")
        older.read_until("Z")
        if how == "close":
            second.close()
        else:
            wire.cancel(gateway.host, gateway.port, second.pid, second.key)
            assert wire.errors(second.read_until("Z")) == ["57014"]
        older.query("COMMIT")
        other.query("COMMIT")
        assert wire.rows(third.read_until("Z")) == [["1"]]


def test_login_from_before_a_reload_brings_no_old_limit_back(make_gateway):
    pool = {"mode": "transaction", "size": 4, "max_per_application": 3}
    gateway = make_gateway({"databases": {"*": {"pool": pool}}})
    slow = gateway.wire()
    with gateway.login() as one, gateway.login() as other:
        wait_until(lambda: gateway.metrics().sum("tidegate_clients_logging_in") == 1, what="the gateway has it")
        gateway.reload({"databases": {"*": {"pool": pool | {"max_per_application": 1}}}})
        slow.login("app", "app")
        one.query("BEGIN")
        other.send(wire.query("SELECT 1"))
        wait_until(lambda: show(gateway, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
        one.query("COMMIT")
        other.read_until("Z")
    slow.close()


def test_limit_of_an_application_follows_a_reload(make_gateway):
    pool = {"mode": "transaction", "size": 4, "max_per_application": 1}
    gateway = make_gateway({"databases": {"*": {"pool": pool}}})
    with gateway.login() as one, gateway.login() as other:
        one.query("BEGIN")
        other.send(wire.query("SELECT 1"))
        wait_until(lambda: show(gateway, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
        gateway.reload({"databases": {"*": {"pool": pool | {"max_per_application": 2}}}})
        assert wire.rows(other.read_until()) == [["1"]]


def test_who_waits_too_long_is_told(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}, "timeouts": {"query_wait": "1s"}})
    with gateway.login() as holder, gateway.login() as waiter:
        holder.query("BEGIN")
        began = time.monotonic()
        waiter.send(wire.query("SELECT 1"))
        error = waiter.read_rest()[-1].fields()
        assert error["C"] == "57014" and "query_wait" in error["M"]
        assert 0.9 < time.monotonic() - began < 5
        holder.query("COMMIT")
    with gateway.login() as after:
        assert wire.types(after.query("SELECT 1")) == "TDCZ"


def test_cancel_of_a_client_that_waits_ends_its_statement_only(single):
    with single.login() as holder, single.login() as waiter:
        holder.query("BEGIN")
        for message in (wire.query("SELECT 1"), P("SELECT 1") + B() + E() + S()):
            waiter.send(message)
            wait_until(lambda: show(single, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
            wire.cancel(single.host, single.port, waiter.pid, waiter.key)
            assert waiter.read().fields()["C"] == "57014"
            if message[:1] == b"Q":
                assert waiter.read().status == "I"
        holder.query("COMMIT")
        assert waiter.read().status == "I"
        assert wire.types(waiter.query("SELECT 1")) == "TDCZ"


def test_a_client_that_leaves_while_it_waits_is_forgotten(single):
    with single.login() as holder:
        holder.query("BEGIN")
        waiter = single.login()
        waiter.send(wire.query("SELECT 1"))
        wait_until(lambda: show(single, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
        waiter.close()
        wait_until(lambda: show(single, "POOLS")[0]["cl_waiting"] == 0, what="it is forgotten")
        holder.query("COMMIT")
        with single.login() as other:
            assert wire.types(other.query("SELECT 1")) == "TDCZ"


def test_cancel_reaches_the_statement_of_its_client_and_nobody_elses(pool):
    with pool.login() as one, pool.login() as other:
        for _ in range(20):
            one.send(wire.query("SELECT pg_sleep(30)"))
            wait_until(lambda: pool.postgres.execute("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"),
                       what="it runs")
            wire.cancel(pool.host, pool.port, one.pid, one.key)
            assert wire.errors(one.read_until()) == ["57014"]
            # late or early, it must not meet what runs next on any server
            wire.cancel(pool.host, pool.port, one.pid, one.key)
            assert wire.errors(other.query("SELECT pg_sleep(0.01)")) == []


# -- servers ---------------------------------------------------------------------------------------------------------------


def test_a_server_that_dies_while_idle_is_replaced(single, postgres):
    with single.login() as one:
        pid = one.value(PID)
        postgres.execute(f"SELECT pg_terminate_backend({pid})")
        wait_until(lambda: not [row for row in show(single, "SERVERS") if row["remote_pid"] == int(pid)], what="it is noticed")
        assert one.value(PID) != pid


def test_reconnect_replaces_the_servers_and_no_client_notices(pool):
    with pool.login() as one, pool.login() as other:
        before = {one.value(PID), other.value(PID)}
        one.query("BEGIN")
        kept = one.value(PID)
        with pool.connect(dbname="tidegate", user="postgres", autocommit=True) as console:
            console.execute("RECONNECT")
        assert one.value(PID) == kept
        one.query("COMMIT")
        assert {one.value(PID), other.value(PID)} & (before | {kept}) == set()


def test_unused_servers_are_closed(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 3, "server_idle_timeout": "3s", "min_size": 1}}}})
    clients = [gateway.login() for _ in range(3)]
    for client in clients:
        client.query("BEGIN")
    for client in clients:
        client.query("COMMIT")
    assert len(show(gateway, "SERVERS")) == 3
    wait_until(lambda: len(show(gateway, "SERVERS")) == 1, timeout=20, what="two are closed")
    close_all(*clients)


def test_idle_servers_are_asked_whether_they_are_there(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1, "server_check_after": "300ms"}}}})
    with gateway.login() as client:
        pid = client.value(PID)
        for _ in range(20):
            time.sleep(0.1)
            assert client.value(PID) == pid


def test_pool_grows_by_the_reserve_when_somebody_waits(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1, "reserve_size": 1, "reserve_after": "500ms"}}}})
    with gateway.login() as one, gateway.login() as other, gateway.login() as third:
        one.query("BEGIN")
        assert wire.types(other.query("BEGIN", timeout=8)) == "CZ"
        third.send(wire.query("SELECT 1"))
        assert third.is_quiet(1.5)
        one.query("COMMIT")
        assert wire.types(third.read_until()) == "TDCZ"
        other.query("COMMIT")


def test_replication_and_passthrough_have_servers_of_their_own(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}})
    with gateway.login("postgres", parameters={"replication": "database"}) as one, gateway.login("postgres", parameters={"replication": "database"}) as other:
        assert wire.types(one.query("IDENTIFY_SYSTEM")) == "TDCZ"
        assert wire.types(other.query("IDENTIFY_SYSTEM")) == "TDCZ"


def test_guarded_ddl_works_on_a_lent_server(pool, postgres):
    postgres.execute("CREATE TABLE IF NOT EXISTS lent(a int); ALTER TABLE lent OWNER TO app; INSERT INTO lent SELECT generate_series(1, 100)")
    with pool.login() as one, pool.login() as other:
        assert wire.errors(one.query("ALTER TABLE lent ADD COLUMN b int")) == []
        assert wire.errors(one.sync(P("ALTER TABLE lent ADD COLUMN c int", "ddl"))) == []
        other.query("BEGIN")
        assert wire.errors(one.sync(B("ddl"), E())) == []
        other.query("COMMIT")
        assert wire.errors(one.sync(B("ddl"), E())) == ["42701"]
        assert wire.errors(other.query("SELECT b, c FROM lent")) == []
        assert one.value("SHOW lock_timeout") == "0"
    postgres.execute("DROP TABLE lent")


def test_what_clients_set_is_kept_in_bounds_on_every_server(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}},
                            "locks": {"clamp": {"statement_timeout": {"max": "10s"}}}})
    with gateway.login() as one, gateway.login() as other:
        one.query("SET statement_timeout = '1h'")
        assert [one.value("SHOW statement_timeout"), other.value("SHOW statement_timeout")] == ["10s", "10s"]
        other.query("SET statement_timeout = '5s'")
        assert [one.value("SHOW statement_timeout"), other.value("SHOW statement_timeout")] == ["10s", "5s"]


def test_copy_both_ways(pool, postgres):
    with pool.connect(autocommit=True) as client:
        client.execute("CREATE TEMP TABLE copied(a int)")
        with client.cursor().copy("COPY copied FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row((number,))
        with client.cursor().copy("COPY copied TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000


def test_drivers_do_not_notice(pool):
    with pool.connect() as one, pool.connect(prepare_threshold=0) as other:
        for client in (one, other):
            for number in range(10):
                with client.transaction():
                    assert client.execute("SELECT %s::int, pg_backend_pid()", (number,)).fetchone()[0] == number
        with pytest.raises(psycopg.errors.DivisionByZero), other.transaction():
            other.execute("SELECT 1/0")
        assert other.execute("SELECT 1").fetchone() == (1,)


# -- what a stranger found ----------------------------------------------------------------------------------------------------


def test_an_error_of_one_client_leaves_the_statements_of_others_alone(single):
    with single.login() as victim, single.login() as other:
        victim.sync(P("SELECT 77", "s"))
        assert wire.errors(other.sync(P("SELECT 1/0"), B(), E(), P("SELECT 77", "q"))) == ["22012"]
        assert wire.rows(victim.sync(B("s"), E())) == [["77"]]
        assert wire.types(other.sync(P("SELECT 77", "q"), B("q"), E())) == "12DCZ"


def test_cancel_of_a_long_statement_that_waits(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}, "limits": {"query_buffer": "64KiB"},
                            "policies": {"mode": "observe"}})
    with gateway.login() as holder, gateway.login() as waiter:
        holder.query("BEGIN")
        long = wire.query("SELECT 1 --" + "x" * 200_000)
        waiter.send(long[:1000])
        wait_until(lambda: show(gateway, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
        wire.cancel(gateway.host, gateway.port, waiter.pid, waiter.key)
        assert wire.errors(waiter.read_until()) == ["57014"]
        waiter.send(long[1000:])
        holder.query("COMMIT")
        assert wire.types(waiter.query("SELECT 1")) == "TDCZ"


def test_settings_of_a_transaction_give_nobody_elses_text_another_meaning(single, postgres):
    postgres.execute("CREATE TABLE meant(a int); ALTER TABLE meant OWNER TO app; INSERT INTO meant SELECT generate_series(1, 20000)")
    text = r"ALTER TABLE meant ADD COLUMN c text DEFAULT 'x\', ADD COLUMN d text DEFAULT ', ALTER COLUMN a TYPE bigint --'"
    with single.login() as one, single.login() as other:
        other.sync(P(text, "s"))
        one.query("BEGIN; SET LOCAL standard_conforming_strings = off")
        one.sync(P(text, "s"))
        one.query("ROLLBACK")
        other.sync(B("s"), E())
        assert postgres.execute("SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'meant'::regclass AND attname = 'a'") == [("integer",)]
    postgres.execute("DROP TABLE meant")


def test_execute_of_sql_by_the_protocol_brings_its_rows(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 5 AS x", "s"))
        other.query("SELECT 1")
        assert wire.types(one.sync(P("EXECUTE s"), D("S"), B(), D("P"), E())) == "1tT2TDCZ"
        one.sync(P("EXECUTE s", "again"))
        other.query("SELECT 1")
        assert wire.types(one.sync(B("again"), D("P"), E())) == "2TDCZ"
        assert wire.types(one.sync(B("again"), E())) == "2DCZ"
        assert wire.errors(one.query("DEALLOCATE s")) == []
        assert wire.errors(one.sync(B("again"), E())) == ["26000"]


def test_execute_of_sql_in_a_failed_transaction_fails_once(single):
    with single.login() as one:
        one.sync(P("SELECT 5", "s"))
        one.query("BEGIN; SELECT 1/0")
        assert wire.errors(one.sync(P("EXECUTE s"), B(), E())) == ["25P02"]
        assert wire.errors(one.query("EXECUTE s")) == ["25P02"]
        one.query("ROLLBACK")
        assert wire.rows(one.sync(P("EXECUTE s"), B(), E())) == [["5"]]
        assert one.value("EXECUTE s") == "5"


def test_the_view_of_prepared_statements_by_the_protocol(single):
    with single.login() as one, single.login() as other:
        one.sync(P("SELECT 1", "mine"))
        other.sync(P("SELECT 2", "theirs"))
        for _ in range(3):
            messages = one.sync(P("SELECT name FROM pg_prepared_statements WHERE name <> 'probe'", "probe"), B("probe"), E(), C("S", "probe"))
            assert wire.rows(messages) == [["mine"]]
        assert wire.rows(other.sync(B("theirs"), E())) == [["2"]]


def test_a_transaction_without_nextval_tells_no_value(single, postgres):
    postgres.execute("CREATE SEQUENCE drawn; GRANT ALL ON SEQUENCE drawn TO app")
    with single.login() as one, single.login() as other:
        one.query("SELECT nextval('drawn')")
        other.query("SELECT nextval('drawn')")
        one.query("BEGIN")
        assert wire.errors(one.query("SELECT lastval()")) == ["55000"]
        one.query("ROLLBACK")
    postgres.execute("DROP SEQUENCE drawn")


def test_temporary_tables_by_the_search_path_reach_nobody(single):
    with single.login() as one:
        one.query("SET search_path = 'pg_temp'")
        one.query("CREATE TABLE acct AS SELECT 'secret' AS v")
        assert [row["reasons"] for row in show(single, "PINS")] == ["temporary_object"]
    with single.login() as other:
        assert wire.errors(other.query("SELECT * FROM acct")) == ["42P01"]


def test_customised_settings_with_blanks_in_their_names(single):
    with single.login() as one, single.login() as other:
        one.query("SET app . tenant = 'A'")
        assert other.value("SELECT current_setting('app.tenant', true)") in (None, "")
        assert one.value("SHOW app.tenant") == "A"


def test_names_within_values_pin_nobody(single):
    with single.login() as one:
        for number in range(70):
            one.query(f"SET app.user = 'first{number}.last{number}@example.com'")
        assert show(single, "PINS") == []


def test_locks_of_statements_that_sql_has_prepared(pool):
    with pool.login() as one:
        one.query("PREPARE q AS SELECT pg_advisory_lock(42)")
        one.sync(B("q"), E())
        one.query("DEALLOCATE q")
        wait_until(lambda: [row["reasons"] for row in show(pool, "PINS")] == ["advisory_lock"], what="the lock is known")


def test_close_of_a_statement_that_sql_has_prepared(single):
    with single.login() as one:
        one.query("PREPARE q AS SELECT 1")
        assert wire.types(one.sync(C("S", "q"))) == "3Z"
        assert wire.types(one.sync(P("SELECT 2", "q"))) == "1Z"
        wait_until(lambda: show(single, "PINS") == [], what="nobody is pinned")


def test_values_beyond_ascii_follow_their_encoding(single):
    with single.login() as one, single.login() as other:
        one.query("SET client_encoding = 'LATIN1'")
        one.query(b"SET app.name = 'M\xe4rz'")
        assert other.value("SELECT 1") == "1"
        assert one.query("SHOW app.name")[1].body.endswith(b"M\xe4rz")


def test_a_timeout_of_the_clients_own_makes_no_invisible_pin(single):
    with single.login() as one, single.login() as other:
        one.query("SET statement_timeout = '1ms'")
        other.send(wire.query("SELECT 1"))
        wait_until(lambda: [row["reasons"] for row in show(single, "PINS")] == ["unknown"] or not other.is_quiet(0.05), what="shown, or not pinned")
        one.close()
        assert wire.types(other.read_until(timeout=15)) == "TDCZ"


def test_drain_does_not_wait_for_a_client_that_is_looked_at(make_gateway):
    gateway = make_gateway({"databases": {"*": {"pool": {"mode": "transaction", "size": 1}}}})
    for _ in range(1):
        client = gateway.login()
        client.send(wire.query("SET app.x = '1'"))
        client.read_until()
        gateway.signal(15)
        assert client.read_rest()[-1].fields()["C"] == "57P01"
    assert gateway.wait(10) == 0
    gateway.may_end = True


def test_cancel_of_a_function_call_that_waits(single):
    with single.login() as holder, single.login() as waiter:
        holder.query("BEGIN")
        waiter.send(wire.function_call(1598, ()))
        wait_until(lambda: show(single, "POOLS")[0]["cl_waiting"] == 1, what="it waits")
        wire.cancel(single.host, single.port, waiter.pid, waiter.key)
        assert wire.types(waiter.read_until()) == "EZ"
        holder.query("COMMIT")
        assert wire.types(waiter.query("SELECT 1")) == "TDCZ"


def test_reload_changes_the_size_of_pools_that_are_there(single):
    with single.login() as one, single.login() as other:
        one.query("BEGIN")
        settings = dict(single.settings)
        settings["databases"] = {"*": dict(settings["databases"]["*"], pool={"mode": "transaction", "size": 2})}
        single.reload(settings)
        assert wire.types(other.query("SELECT 1")) == "TDCZ"
        one.query("COMMIT")


# -- texts and their meaning --------------------------------------------------------------------------------------------


def test_text_that_one_client_gives_another_meaning_keeps_its_own_for_others(single):
    text = "SELECT extract(month FROM date '01/02/2024')"
    with single.login() as one, single.login() as other:
        assert wire.errors(one.sync(P(text, "s"))) == []
        assert wire.errors(other.sync(P(text, "s"))) == []
        one.query("SET datestyle = 'ISO, DMY'")
        single_server = one.value(PID)
        # Whatever makes the server prepare it again while the first client's settings are on it.
        assert wire.errors(one.query("CREATE TABLE moved (i int)")) == []
        assert wire.errors(one.query("ALTER TABLE moved ADD COLUMN j int")) == []
        assert one.value(PID)
        assert wire.errors(one.sync(B("s"), E())) == []
        assert wire.rows(other.sync(B("s"), E())) == [["1"]]
        one.query("DROP TABLE moved")
        assert single_server


def test_text_is_prepared_again_as_it_was_read_or_not_at_all(single):
    with single.login() as client:
        assert wire.errors(client.sync(P(r"SELECT 'a\b'", "s"))) == []
        off = P("SET standard_conforming_strings = off") + B() + E()
        assert wire.errors(client.query("CREATE TABLE moved (i int)")) == []
        assert wire.errors(client.query("ALTER TABLE moved ADD COLUMN j int")) == []
        assert wire.errors(client.sync(off + B("s") + E())) == ["26000"]
        assert wire.errors(client.sync(off + P("EXECUTE s") + B() + E())) == ["26000"]
        assert wire.rows(client.sync(B("s"), E())) == [["a\\b"]]
        client.query("DROP TABLE moved")


def test_batch_without_end_does_not_fill_the_server(single, postgres):
    with single.login() as client:
        for i in range(700):
            client.send(P(f"SELECT {i}", "s"), C("S", "s"), wire.flush())
            client.read_until("3")
        client.send(S())
        client.read_until("Z")
        count = client.value("SELECT count(*) FROM (SELECT 1) one")
        assert count == "1"
        names = postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")
        assert names == [(1,)]
    rows = show(single, "PREPARED_STATEMENTS")
    assert len(rows) <= 501
