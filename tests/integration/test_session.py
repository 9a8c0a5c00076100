"""The extended protocol in every order, right and wrong: PostgreSQL is the oracle."""

import random
import struct

import pytest

from support import wire
from support.oracle import answer, assert_same_as_direct
from support.process import wait_until
from support.target import Target

pytestmark = pytest.mark.usefixtures("bystander")

MEBIBYTE = 1 << 20


# -- 12: order --------------------------------------------------------------------------------------------------------------

P, B, E, S, H = wire.parse, wire.bind, wire.execute, wire.sync, wire.flush

ORDERS = {
    "query before sync": P("SELECT 1") + wire.query("SELECT 2") + S(),
    "query after an error, before sync": P("SELECT nothing_there") + wire.query("SELECT 2") + S(),
    "query instead of sync after bind": P("SELECT 1") + B() + wire.query("SELECT 2") + E() + S(),
    "bind without parse": B("never") + S(),
    "execute without bind": E("never") + S(),
    "describe without parse": wire.describe("S", "never") + S(),
    "describe of a portal without bind": wire.describe("P", "never") + S(),
    "close of unknown": wire.close("S", "never") + wire.close("P", "never") + S(),
    "same statement twice": P("SELECT 1", "s") + P("SELECT 2", "s") + S() + B("s") + E() + S(),
    "same portal twice": P("SELECT 1") + B(portal="p") + B(portal="p") + S(),
    "unnamed statement replaced": P("SELECT 1") + P("SELECT 2") + B() + E() + S(),
    "close, then parse again": P("SELECT 1", "s") + wire.close("S", "s") + P("SELECT 2", "s") + B("s") + E() + S(),
    "portal gone at the end of its transaction": P("SELECT 1") + B(portal="p") + S() + E("p") + S(),
    "portal kept within a transaction":
        wire.query("BEGIN") + P("SELECT generate_series(1,3)") + B(portal="p") + E("p", 1) + S() + E("p", 1) + S() + E("p") + S() + wire.query("COMMIT"),
    "suspended portal, then another": P("SELECT generate_series(1,3)") + B(portal="a") + E("a", 2) + B(portal="b") + E("b", 1) + E("a", 2) + S(),
    "limit exactly reached": P("SELECT generate_series(1,3)") + B() + E(limit=3) + E() + S(),
    "error in the middle of a pipeline": P("SELECT 1") + B() + E() + P("SELECT 1/0") + B() + E() + P("SELECT 3") + B() + E() + S(),
    "two pipelines, the first fails": P("SELECT 1/0") + B() + E() + S() + P("SELECT 2") + B() + E() + S(),
    "begin, error, rollback in one pipeline":
        P("BEGIN") + B() + E() + P("SELECT 1/0") + B() + E() + S() + P("ROLLBACK") + B() + E() + S(),
    "implicit transaction of a pipeline":
        P("CREATE TEMP TABLE t(a int)") + B() + E() + P("INSERT INTO t VALUES (1)") + B() + E() + P("SELECT 1/0") + B() + E() + S() +
        wire.query("SELECT to_regclass('pg_temp.t')"),
    "sync storm": S() * 500,
    "empty statements": P("") + B() + wire.describe("P") + E() + S() + wire.query("") + wire.query(" ; ; "),
    "commands that end transactions in mid-pipeline":
        P("BEGIN") + B() + E() + P("SELECT 1") + B() + E() + P("COMMIT") + B() + E() + P("SELECT 2") + B() + E() + S(),
    "several statements in one parse": P("SELECT 1; SELECT 2") + B() + E() + S(),
    "ddl in a pipeline":
        P("CREATE TEMP TABLE u(a int)") + B() + E() + P("ALTER TABLE u ADD COLUMN b int") + B() + E() + P("SELECT a, b FROM u") + B() + E() + S(),
    "ddl that fails, then more, then sync":
        P("SELECT 1") + B() + E() + P("ALTER TABLE never_there ADD COLUMN b int") + B() + E() + P("SELECT 2") + B() + E() + S() + wire.query("SELECT 3"),
    "prepared ddl, executed twice":
        P("CREATE TEMP TABLE IF NOT EXISTS v(a int)", "ddl") + B("ddl") + E() + S() + B("ddl") + E() + S(),
    "described ddl": P("CREATE TEMP TABLE w(a int)") + wire.describe() + B() + wire.describe("P") + E() + S(),
    "ddl and queries in one simple query": wire.query("SELECT 1; CREATE TEMP TABLE x(a int); INSERT INTO x VALUES (1) RETURNING a; SELECT 1/0; SELECT 2"),
    "transaction block in one simple query": wire.query("BEGIN; SELECT 1; COMMIT; SELECT 2; BEGIN; SELECT 3"),
    "ddl by a query in an open batch, which fails":
        P("CREATE TEMP TABLE y(a int)") + B() + E() + wire.query("ALTER TABLE y ADD COLUMN b int; SELECT 1/0") + S() + wire.query("SELECT to_regclass('pg_temp.y')"),
    "savepoints": wire.query("BEGIN; SAVEPOINT a; SELECT 1/0") + wire.query("ROLLBACK TO a") + wire.query("SELECT 1; COMMIT"),
    "sql-level prepare and execute": wire.query("PREPARE q AS SELECT $1::int + 1") + wire.query("EXECUTE q(41)") + B("q", values=(b"1",)) + E() + S() +
        wire.query("DEALLOCATE q") + wire.query("EXECUTE q(1)"),
    "discard all forgets statements": P("SELECT 1", "kept") + S() + wire.query("DISCARD ALL") + B("kept") + S(),
    "binary parameters and results": P("SELECT $1::int4, $2::text", parameter_types=(23, 25)) +
        B(values=(b"\0\0\0\7", b"seven"), formats=(1, 0), results=(1, 1)) + E() + S(),
    "nulls": P("SELECT $1::int IS NULL, $2::text") + B(values=(None, None)) + E() + S(),
    "unusual statement names": P("SELECT 1", "naïve \"name\"") + B("naïve \"name\"", "портал") + E("портал") + S(),
    "declare and fetch": wire.query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 10)") + wire.query("FETCH 3 FROM c") + E("c", 2) + S() +
        wire.query("MOVE 2 IN c; FETCH NEXT FROM c; CLOSE c; COMMIT"),
    "cursor with hold": wire.query("DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3)") + wire.query("FETCH ALL FROM h; CLOSE h"),
}


def syncs(data: bytes) -> int:
    """How many ReadyForQuery a string of messages asks for."""
    count = at = 0
    while at < len(data):
        count += data[at:at + 1] in (b"Q", b"S", b"F")
        at += 1 + struct.unpack_from("!i", data, at + 1)[0]
    return count


def run(data: bytes):
    def conversation(client):
        client.send(data)
        return [message for _ in range(syncs(data)) for message in client.read_until("Z")]
    return conversation


def split(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        end = at + 1 + struct.unpack_from("!i", data, at + 1)[0]
        parts.append(data[at:end])
        at = end
    return parts


@pytest.mark.parametrize("data", ORDERS.values(), ids=ORDERS.keys())
def test_order_is_answered_as_postgresql_does(target, data):
    # a simple query in an open pipeline ends with a ReadyForQuery of its own, except while an error waits for its Sync
    if data is ORDERS["query after an error, before sync"]:
        assert_same_as_direct(target, lambda client: client.send(data).read_until("Z"))
    else:
        assert_same_as_direct(target, run(data))


@pytest.mark.parametrize("seed", range(40))
def test_random_pipelines_are_answered_as_postgresql_does(target, seed):
    """Messages right and wrong in random order, in pieces of random size."""
    chance = random.Random(seed)
    statements = ["SELECT 1", "SELECT generate_series(1, 5)", "SELECT 1/0", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "",
                  "CREATE TEMP TABLE IF NOT EXISTS r(a int)", "ALTER TABLE IF EXISTS r ADD COLUMN IF NOT EXISTS b int", "INSERT INTO r(a) VALUES (1)",
                  "DROP TABLE IF EXISTS r", "SELECT $1::int", "TABLE r", "SET LOCAL lock_timeout = '1s'", "SHOW lock_timeout", "syntax error", "DEALLOCATE ALL"]
    names = ["", "", "a", "b"]

    def one() -> bytes:
        name, portal = chance.choice(names), chance.choice(names)
        return chance.choice([
            lambda: P(chance.choice(statements), name), lambda: P(chance.choice(statements), name) + B(name, portal) + E(portal),
            lambda: P(chance.choice(statements), name) + wire.describe("S", name) + B(name, portal) + wire.describe("P", portal) + E(portal, chance.randrange(3)),
            lambda: B(name, portal), lambda: B(name, portal, (b"1",)), lambda: E(portal, chance.randrange(3)), lambda: wire.describe("S", name),
            lambda: wire.describe("P", portal), lambda: wire.close("S", name), lambda: wire.close("P", portal), lambda: H(), lambda: S(), lambda: S(),
        ])()

    data = b"".join(one() for _ in range(30)) + S()
    # the direct run and the one through the gateway see the same pieces
    cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(8)))

    def conversation(client):
        for start, end in zip([0, *cuts], [*cuts, len(data)]):
            client.send(data[start:end])
        return [message for _ in range(syncs(data)) for message in client.read_until("Z")]

    assert_same_as_direct(target, conversation)


def refused(statement: str) -> dict[str, bytes]:
    """A statement that fails when it is executed, in every place of a conversation."""
    one, work, seen = P(statement) + B() + E(), P("CREATE TEMP TABLE k(a int)") + B() + E(), wire.query("SELECT to_regclass('pg_temp.k')")
    return {
        "query": wire.query("SELECT 1") + wire.query(statement) + wire.query("SELECT 2"),
        "query in a transaction": wire.query("BEGIN") + wire.query(statement) + wire.query("SELECT 1") + wire.query("COMMIT"),
        "query in an open batch": work + wire.query(statement) + S() + seen,
        "batch": one + S() + wire.query("SELECT 1"),
        "batch with work before and behind": work + one + P("SELECT 3") + B() + E() + S() + seen,
        "batch in a transaction": wire.query("BEGIN") + one + P("SELECT 3") + S() + wire.query("SELECT 1") + wire.query("COMMIT"),
        "batch with flush": P(statement) + H() + B() + H() + E() + H() + S() + wire.query("SELECT 1"),
        "batch with descriptions": P(statement) + wire.describe() + B() + wire.describe("P") + E() + S(),
        "several batches": (P("SELECT 1") + B() + E() + S() + one + S()) * 3,
        "portal of an earlier batch": wire.query("BEGIN") + P(statement) + B(portal="p") + S() + E("p") + P("SELECT 1") + S() + wire.query("COMMIT"),
        "statement of an earlier batch": P(statement, "s") + S() + B("s") + E() + S() + B("s") + E() + P("SELECT 1") + S(),
    }


@pytest.mark.gateway_only
def test_refusal_is_followed_by_what_follows_an_error_of_the_server(make_gateway, postgres):
    postgres.execute("CREATE TABLE refused_here AS SELECT generate_series(1, 10000) a; ALTER TABLE refused_here OWNER TO app; ANALYZE refused_here")
    gateway = make_gateway({"policies": {"rules": {"drop-table": "block"}}})
    of_the_server = refused("DROP TABLE never_there")
    for place, data in refused("DROP TABLE refused_here").items():
        def bare(shape: list[str]) -> list[str]:
            return ["E" if line.startswith("E ") else line for line in shape]
        assert bare(answer(gateway, run(data))) == bare(answer(Target(postgres), run(of_the_server[place]))), place
    assert postgres.execute("SELECT count(*) FROM refused_here") == [(10_000,)]
    postgres.execute("DROP TABLE refused_here")


def test_flush_without_sync_brings_the_answers_so_far(target):
    with target.login() as client:
        client.send(P("SELECT 1") + wire.describe() + H())
        assert wire.types(client.read_until("T")) == "1tT"
        client.send(B() + E() + H())
        assert wire.types(client.read_until("C")) == "2DC"
        assert client.is_quiet()
        client.send(S())
        assert wire.types(client.read_until("Z")) == "Z"


def test_nothing_is_answered_before_flush_or_sync(target):
    with target.login() as client:
        client.send(P("SELECT 1") + B() + E())
        assert client.is_quiet(0.3)
        client.send(S())
        assert wire.types(client.read_until("Z")) == "12DCZ"


@pytest.mark.slow
def test_hundred_thousand_statement_names_take_bounded_memory(target):
    """PostgreSQL keeps every one of them; the gateway must not keep much per name."""
    count = 100_000
    before = target.resident()
    with target.login() as client:
        for start in range(0, count, 1000):
            client.send(*(wire.parse("SELECT 1", f"statement number {number}") for number in range(start, start + 1000)), S())
            assert len(client.read_until("Z", 60)) == 1001
        assert wire.types(client.sync(B("statement number 77777"), E())) == "2DCZ"
        assert target.resident() - before < 150 * MEBIBYTE
    with target.login() as client:
        for start in range(0, 2000):
            client.send(wire.parse("SELECT 1", "again and again"), wire.close("S", "again and again"), S())
            client.read_until("Z")


@pytest.mark.slow
def test_hundred_thousand_messages_with_a_reader_that_waits(target):
    """The gateway stops reading when nobody takes the answers; nothing is lost when somebody does."""
    import threading
    count = 100_000
    before = target.resident()
    with target.wire(receive_buffer=4096).login() as client:
        # more in all than the kernel keeps in the buffers of four sockets
        one = P("SELECT repeat('x', 200) /*" + 400 * "-" + "*/") + B() + wire.describe("P") + E()
        sender = threading.Thread(target=lambda: client.socket.sendall(one * count + S()), daemon=True)
        client.socket.settimeout(None)
        sender.start()
        sender.join(2)
        assert sender.is_alive(), "everything was taken in, so somebody holds it"
        assert target.resident() - before < 64 * MEBIBYTE
        answers = {}
        while True:
            message = client.read(60)
            answers[message.type] = answers.get(message.type, 0) + 1
            if message.type == "Z":
                break
        assert {kind: answers[kind] for kind in "12TDC"} == dict.fromkeys("12TDC", count)


def test_pipeline_of_many_syncs_with_ddl_between(target):
    """Everything before a guarded statement is answered first, everything after it waits for it."""
    with target.login() as client:
        pipeline = b"".join(P(f"SELECT {number}") + B() + E() + S() for number in range(50))
        ddl = P("CREATE TEMP TABLE between_pipelines (a int)") + B() + E() + S() + P("ALTER TABLE between_pipelines ADD COLUMN b int") + B() + E() + S()
        client.send(pipeline + ddl + pipeline + P("SELECT b FROM between_pipelines") + B() + E() + S())
        answers = [client.read_until("Z") for _ in range(103)]
        assert all(not wire.errors(messages) for messages in answers)
        assert [wire.rows(messages) for messages in answers[:50]] == [[[str(number)]] for number in range(50)]
        assert answers[50][-2].tag == "CREATE TABLE" and answers[51][-2].tag == "ALTER TABLE"
        assert [wire.rows(messages) for messages in answers[52:102]] == [[[str(number)]] for number in range(50)]


# -- 13: COPY messages in the wrong place ---------------------------------------------------------------------------------------


COPIES = {
    "copy data outside copy": wire.copy_data(b"1\n") + wire.query("SELECT 1"),
    "copy done outside copy": wire.copy_done() + wire.query("SELECT 1"),
    "copy fail outside copy": wire.copy_fail("why") + wire.query("SELECT 1"),
    "copy messages in a pipeline": P("SELECT 1") + wire.copy_data(b"x") + B() + wire.copy_done() + E() + S(),
    "copy data after the server's error":
        wire.query("CREATE TEMP TABLE c(a int)") + wire.query("COPY c FROM STDIN") + wire.copy_data(b"not a number\n") + wire.copy_data(b"1\n") * 50 +
        wire.copy_done() + wire.query("SELECT 1"),
    "copy fail after the server's error":
        wire.query("CREATE TEMP TABLE c(a int)") + wire.query("COPY c FROM STDIN") + wire.copy_data(b"x\n") + wire.copy_fail("late") + wire.query("SELECT 1"),
    "copy failed by the client": wire.query("CREATE TEMP TABLE c(a int)") + wire.query("COPY c FROM STDIN") + wire.copy_fail("no") + wire.query("SELECT 1"),
    "sync and flush in copy":
        wire.query("CREATE TEMP TABLE c(a int)") + wire.query("COPY c FROM STDIN") + wire.copy_data(b"1\n") + S() + H() + wire.copy_data(b"2\n") + wire.copy_done() +
        wire.query("SELECT sum(a) FROM c"),
    "sync and flush in a copy behind ddl, sent ahead":
        wire.query("CREATE TEMP TABLE c(a int); COPY c FROM STDIN; SELECT 1/0") + wire.copy_data(b"1\n") + S() + H() + wire.copy_done() + wire.query("SELECT 1"),
    "copy behind ddl that fails, its data sent ahead":
        wire.query("CREATE TEMP TABLE c(a int); COPY c FROM STDIN") + wire.copy_data(b"x\n") * 50 + wire.copy_done() + wire.query("SELECT 1"),
    "copy by the extended protocol":
        wire.query("CREATE TEMP TABLE c(a int)") + P("COPY c FROM STDIN") + B() + E() + wire.copy_data(b"1\n") + wire.copy_done() + S() + wire.query("TABLE c"),
    "copy of a table that is not there": wire.query("COPY never_there FROM STDIN") + wire.copy_data(b"1\n") + wire.copy_done() + wire.query("SELECT 1"),
    "copy out by both protocols": wire.query("COPY (SELECT generate_series(1, 5)) TO STDOUT") + P("COPY (SELECT 1) TO STDOUT") + B() + E() + S(),
    "copy within several statements":
        wire.query("CREATE TEMP TABLE c(a int); COPY c FROM STDIN; SELECT count(*) FROM c; COPY c TO STDOUT") + wire.copy_data(b"1\n2\n") + wire.copy_done(),
    "empty copy": wire.query("CREATE TEMP TABLE c(a int)") + wire.query("COPY c FROM STDIN") + wire.copy_data(b"") + wire.copy_done(),
    "two copies in one query": wire.query("CREATE TEMP TABLE c(a int); COPY c FROM STDIN; COPY c FROM STDIN") + wire.copy_data(b"1\n") + wire.copy_done() +
        wire.copy_data(b"2\n") + wire.copy_done() + wire.query("SELECT sum(a) FROM c"),
}


def readies(data: bytes) -> int:
    """Queries and Syncs, a Sync inside a COPY being ignored by PostgreSQL."""
    count, copying = 0, False
    for part in split(data):
        kind = part[:1]
        if kind in (b"Q", b"F"):
            count += 1
            copying = b"FROM STDIN" in part
        elif kind in (b"c", b"f"):
            copying = False
        elif kind == b"S" and not copying:
            count += 1
    return count


@pytest.mark.parametrize("data", COPIES.values(), ids=COPIES.keys())
def test_copy_is_answered_as_postgresql_does(target, data):
    def conversation(client):
        client.send(data)
        return [message for _ in range(readies(data)) for message in client.read_until("Z")]
    assert_same_as_direct(target, conversation)


def test_query_while_copying_in_ends_as_with_postgresql(target):
    def conversation(client):
        client.query("CREATE TEMP TABLE c(a int)")
        client.send(wire.query("COPY c FROM STDIN"))
        client.read_until("G")
        client.send(wire.query("SELECT 1"))
        return client.read_until("Z")
    assert_same_as_direct(target, conversation)


# -- 14: ends, and function calls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [
    wire.query("BEGIN; CREATE TABLE never_committed (a int)"), wire.query("BEGIN; LOCK TABLE pg_class IN ACCESS SHARE MODE; SELECT 1/0"),
    P("BEGIN") + B() + E() + S()], ids=["transaction", "failed transaction", "extended"])
def test_terminate_in_a_transaction_rolls_back_and_leaves_no_session(target, postgres, before):
    client = target.login()
    client.send(before)
    client.read_until("Z")
    client.send(wire.terminate())
    assert client.read_rest() == []
    wait_until(lambda: not [row for row in postgres.sessions("app") if row[0] == client.pid], what="the server session ends")
    assert postgres.execute("SELECT to_regclass('never_committed')") == [(None,)]


def test_statement_that_wants_a_decision_does_not_wait_for_ever_behind_a_copy(target, postgres):
    """The server wants data, and what came behind the COPY is none."""
    postgres.execute("CREATE TABLE IF NOT EXISTS copied (i int); GRANT ALL ON copied TO app")
    with target.login() as client:
        client.send(wire.query("COPY copied FROM STDIN"), wire.query("SET lock_timeout = 0"))
        assert "57014" in wire.errors(client.read_until("Z"))
        client.read_until("Z")
        assert client.value("SELECT 1") == "1"
    postgres.execute("DROP TABLE copied")


def test_terminate_in_a_copy_leaves_no_session(target, postgres):
    client = target.login()
    client.query("CREATE TEMP TABLE c(a int)")
    client.send(wire.query("COPY c FROM STDIN"))
    client.read_until("G")
    client.send(wire.copy_data(b"1\n"), wire.terminate())
    client.close()
    wait_until(lambda: not [row for row in postgres.sessions("app") if row[0] == client.pid], what="the server session ends")


@pytest.mark.parametrize("sql, behind", [("SET work_mem = '5MB'; COPY left_alone FROM STDIN", b""),
                                         ("COPY left_alone FROM STDIN", wire.query("SET work_mem = '5MB'")),
                                         ("COPY left_alone FROM STDIN", wire.message("d", b"half", length=500))])
def test_client_that_leaves_a_copy_leaves_no_session(target, postgres, sql, behind):
    postgres.execute("CREATE TABLE IF NOT EXISTS left_alone (a int); GRANT ALL ON left_alone TO app")
    before = len(postgres.sessions("app"))
    with target.login() as client:
        client.send(wire.query(sql))
        while client.read().type != "G":
            pass
        client.send(behind)
    wait_until(lambda: len(postgres.sessions("app")) <= before, what="the server's session ends")
    postgres.execute("DROP TABLE left_alone")


def test_terminate_right_after_queries_still_runs_them(target, postgres):
    postgres.execute("CREATE TABLE IF NOT EXISTS terminated (a int); GRANT ALL ON terminated TO app")
    try:
        client = target.login()
        client.send(wire.query("INSERT INTO terminated VALUES (1)"), P("INSERT INTO terminated VALUES (2)"), B(), E(), S(), wire.terminate())
        client.read_rest()
        assert postgres.execute("SELECT sum(a) FROM terminated") == [(3,)]
    finally:
        postgres.execute("DROP TABLE terminated")


def test_function_calls_are_answered(target, postgres):
    (oid,), = postgres.execute("SELECT 'pg_catalog.int4pl(int4,int4)'::regprocedure::oid::int")
    with target.login() as client:
        client.send(wire.function_call(oid, (struct.pack("!i", 40), struct.pack("!i", 2))))
        messages = client.read_until("Z")
        assert wire.types(messages) == "VZ"
        assert messages[0].body == struct.pack("!ii", 4, 42)


def test_function_call_in_a_failed_transaction_is_answered_as_postgresql_does(target):
    def conversation(client):
        client.query("BEGIN; SELECT 1/0")
        return client.send(wire.function_call(177, (b"\0\0\0\1", b"\0\0\0\1"))).read_until("Z")
    assert_same_as_direct(target, conversation)


# -- 15: size ---------------------------------------------------------------------------------------------------------------------


def test_row_of_1600_columns(target):
    sql = "SELECT " + ", ".join(f"{number} AS c{number}" for number in range(1600))
    with target.login() as client:
        assert wire.rows(client.query(sql)) == [[str(number) for number in range(1600)]]


@pytest.mark.slow
def test_huge_row_streams_through_with_bounded_memory(target):
    size = 250_000_000
    with target.login() as client:
        before = target.resident()
        client.send(wire.query(f"SELECT repeat('x', {size})"))
        client.read_until("T", 60)
        kind, length = struct.unpack("!ci", client.read_bytes(5, 60))
        assert kind == b"D" and length == size + 10
        left, peak = length - 4, 0
        while left:
            left -= len(client.read_bytes(min(left, 4 * MEBIBYTE), 60))
            peak = max(peak, target.resident())
        assert wire.types(client.read_until("Z")) == "CZ"
        assert not peak or peak - before < 32 * MEBIBYTE


@pytest.mark.slow
def test_endless_result_with_a_stalled_client_takes_bounded_memory(target):
    with target.wire(receive_buffer=4096).login() as client:
        before = target.resident()
        client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
        client.read_until("D")
        assert not wait_until_growth_stops(target) - before > 8 * MEBIBYTE
        assert target.login().value("SELECT 1") == "1"   # the thread is not stalled with it


def wait_until_growth_stops(target: Target) -> int:
    last = [-1]

    def settled():
        now = target.resident()
        done, last[0] = now == last[0], now
        return done
    wait_until(settled, what="memory stops growing", every=0.3)
    return target.resident()


def test_big_statements_pass(target):
    with target.login() as client:
        assert client.value("SELECT length('" + "y" * 5_000_000 + "')") == "5000000"
        assert wire.rows(client.sync(P("SELECT length($1::text)"), B(values=(b"z" * 20_000_000,)), E())) == [["20000000"]]


def test_answer_of_the_oracle_notices_differences(target, postgres):
    """The oracle itself: two conversations that differ must not look the same."""
    direct = Target(postgres)
    assert answer(direct, run(wire.query("SELECT 1"))) != answer(direct, run(wire.query("SELECT 2")))
    assert answer(direct, run(wire.query("SELECT 1/0"))) != answer(direct, run(wire.query("SELECT nothing_there")))
