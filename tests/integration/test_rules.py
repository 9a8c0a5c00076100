"""What becomes of dangerous statements on a running gateway: refused with the way to do it, rewritten, or told; by every protocol, in every disguise."""

import json
import time

import psycopg
import pytest

from support import wire
from support.process import wait_until

pytestmark = pytest.mark.gateway_only

REFUSED = "TG001"
P, B, E, S = wire.parse, wire.bind, wire.execute, wire.sync


@pytest.fixture(autouse=True)
def orders(postgres):
    """A table that is neither small nor new."""
    postgres.execute("DROP TABLE IF EXISTS orders, purchases CASCADE; CREATE TABLE orders (id bigint PRIMARY KEY, customer int, note text); "
                     "INSERT INTO orders SELECT n, n % 100 + 1, repeat('x', 100) FROM generate_series(1, 20000) n; "
                     "ALTER TABLE orders OWNER TO app; CREATE TABLE IF NOT EXISTS lines (id int, order_id bigint); ALTER TABLE lines OWNER TO app; ANALYZE orders")
    yield
    postgres.execute("DROP TABLE IF EXISTS orders, purchases, lines CASCADE")


def refusal(messages: list[wire.Message]) -> dict[str, str]:
    (error,) = [message.fields() for message in messages if message.type == "E"]
    return error


DANGEROUS = {
    "type change": "ALTER TABLE orders ALTER COLUMN customer TYPE bigint",
    "rename column": "ALTER TABLE orders RENAME COLUMN customer TO client",
    "rename table": "ALTER TABLE orders RENAME TO purchases",
    "drop column": "ALTER TABLE orders DROP COLUMN note",
    "drop table": "DROP TABLE orders",
    "truncate": "TRUNCATE orders",
    "vacuum full": "VACUUM FULL orders",
    "cluster": "CLUSTER orders USING orders_pkey",
    "trigger": "ALTER TABLE orders DISABLE TRIGGER ALL",
    "row security": "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
    "unlogged": "ALTER TABLE orders SET UNLOGGED",
    "lock": "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
    "update of every row": "UPDATE orders SET note = 'x'",
    "update whose condition is a constant": "update only public.orders set note = 'x' where (1 = 1) returning id",
    "delete of every row": "/* WHERE id = 1 */ DELETE FROM orders -- WHERE id = 1",
    "delete in a with query": "WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone WHERE id = 1",
    "delete behind a select": "SELECT 1; DELETE FROM orders",
    "delete to copy out": "COPY (DELETE FROM orders RETURNING id) TO STDOUT",
    "delete that is explained": "EXPLAIN ANALYZE DELETE FROM orders",
    "delete prepared by sql": "PREPARE gone AS DELETE FROM orders",
    "delete in a block": "DO $$ BEGIN DELETE FROM orders; END $$",
}
SAFE = {
    "plain column": "ALTER TABLE orders ADD COLUMN plain int",
    "constant default": "ALTER TABLE orders ADD COLUMN fixed int NOT NULL DEFAULT 7",
    "set default": "ALTER TABLE orders ALTER COLUMN note SET DEFAULT ''",
    "not valid check": "ALTER TABLE orders ADD CONSTRAINT positive CHECK (customer > 0) NOT VALID",
    "comment": "COMMENT ON TABLE orders IS 'all of them'",
    "statistics": "ALTER TABLE orders ALTER COLUMN customer SET STATISTICS 500",
    "concurrent index": "CREATE INDEX CONCURRENTLY by_customer ON orders (customer)",
    "new table": "CREATE TABLE new_here (a int); ALTER TABLE new_here ALTER COLUMN a TYPE bigint; DROP TABLE new_here",
    "temporary table": "CREATE TEMP TABLE temporary AS SELECT * FROM orders; ALTER TABLE temporary ALTER COLUMN customer TYPE bigint",
    "small table": "ALTER TABLE lines ALTER COLUMN id TYPE bigint",
    "already logged": "ALTER TABLE orders SET LOGGED",
    "row security with a policy": "CREATE POLICY all_rows ON orders USING (true); ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
    "analyze": "ANALYZE orders",
    "vacuum": "VACUUM orders",
    "update of some rows": "UPDATE orders SET note = 'x' WHERE id = 1",
    "update of no row": "UPDATE orders SET note = 'x' WHERE false",
    "delete from a small table": "DELETE FROM lines",
    "delete from a new table": "CREATE TABLE new_here AS SELECT * FROM orders; DELETE FROM new_here; DROP TABLE new_here",
    "delete from a temporary table": "CREATE TEMP TABLE temporary AS SELECT * FROM orders; DELETE FROM temporary",
}


@pytest.mark.parametrize("sql", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_dangerous_statement_is_refused_with_the_way_to_do_it(target, bystander, sql):
    with target.login() as client:
        error = refusal(client.query(sql))
        assert error["S"] == "ERROR" and error["C"] == REFUSED
        assert "orders" in error["M"] and not error["M"].endswith(".")
        assert error["D"] and error["H"]
        assert wire.types(client.query("ROLLBACK"))[-1] == "Z"


@pytest.mark.parametrize("sql", SAFE.values(), ids=SAFE.keys())
def test_safe_statement_runs(target, bystander, sql):
    with target.login() as client:
        assert wire.errors(client.query(sql)) == []


@pytest.mark.parametrize("sql", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_observing_changes_nothing(make_gateway, sql):
    gateway = make_gateway({"policies": {"mode": "observe"}})
    with gateway.login() as client:
        assert wire.errors(client.query(sql)) == []
    wait_until(lambda: gateway.metrics().sum("tidegate_ddl_statements_total") >= 1, what="it is counted all the same")


def test_psql_shows_the_caret_and_the_names(target, bystander):
    with target.login() as client:
        error = refusal(client.query("SELECT 1;   ALTER TABLE public.orders ALTER COLUMN note SET NOT NULL"))
        assert 13 <= int(error["P"]) <= 70
        assert error["s"] == "public" and error["t"] == "orders"


# -- protocols ------------------------------------------------------------------------------------------------------------------------

DROP = "ALTER TABLE orders DROP COLUMN note"


def assert_kept(postgres):
    assert postgres.execute("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'note' AND NOT attisdropped") == [(1,)]


def test_refusal_in_a_pipeline_stands_where_the_statement_stood(target, bystander, postgres):
    with target.login() as client:
        client.send(P("SELECT 1"), B(), E(), P(DROP), B(), E(), P("SELECT 2"), B(), E(), S(), P("SELECT 3"), B(), E(), S())
        first, second = client.read_until("Z"), client.read_until("Z")
        assert wire.types(first) in ("12DC12EZ", "12DC1EZ", "12DCEZ") and wire.errors(first) == [REFUSED]
        assert wire.types(second) == "12DCZ"
    assert_kept(postgres)


def test_refusal_rolls_back_the_implicit_transaction_of_its_pipeline(target, bystander, postgres):
    with target.login() as client:
        client.send(P("INSERT INTO lines VALUES (1, 1)"), B(), E(), P(DROP), B(), E(), S())
        assert wire.errors(client.read_until("Z")) == [REFUSED]
        assert client.value("SELECT count(*) FROM lines") == "0"


def test_refusal_within_a_transaction_fails_it(target, bystander):
    with target.login() as client:
        client.query("BEGIN; INSERT INTO lines VALUES (1, 1)")
        messages = client.query(DROP)
        assert wire.errors(messages) == [REFUSED] and messages[-1].status == "E"
        assert wire.errors(client.query("SELECT 1")) == ["25P02"]
        assert client.query("COMMIT")[-2].tag == "ROLLBACK"
        assert client.value("SELECT count(*) FROM lines") == "0"


def test_refusal_under_a_savepoint_can_be_taken_back(target, bystander):
    with target.login() as client:
        client.query("BEGIN; INSERT INTO lines VALUES (1, 1); SAVEPOINT s")
        assert wire.errors(client.query(DROP)) == [REFUSED]
        assert client.query("ROLLBACK TO s")[-1].status == "T"
        client.query("COMMIT")
        assert client.value("SELECT count(*) FROM lines") == "1"


def test_refusal_in_several_statements_undoes_those_before_it(target, bystander):
    with target.login() as client:
        messages = client.query(f"INSERT INTO lines VALUES (1, 1); {DROP}; INSERT INTO lines VALUES (2, 2)")
        assert wire.errors(messages) == [REFUSED] and messages[-1].status == "I"
        assert client.value("SELECT count(*) FROM lines") == "0"


def test_prepared_statement_is_decided_at_each_execution(target, bystander, postgres):
    """Harmless while the table is small, refused once it is not."""
    postgres.execute("CREATE TABLE growing (a int); ALTER TABLE growing OWNER TO app")
    try:
        with target.login() as client:
            assert wire.errors(client.sync(P("ALTER TABLE growing ALTER COLUMN a TYPE bigint", "change"))) == []
            assert wire.errors(client.sync(B("change"), E())) == []
            postgres.execute("ALTER TABLE growing ALTER COLUMN a TYPE int; INSERT INTO growing SELECT generate_series(1, 20000)")
            assert wire.errors(client.sync(B("change"), E())) == [REFUSED]
            assert wire.types(client.query("SELECT 1")) == "TDCZ"
    finally:
        postgres.execute("DROP TABLE growing")


@pytest.mark.parametrize("ddl, error", [(DROP, REFUSED), (DROP + " /*" + "x" * 1_200_000 + "*/", "54000")], ids=["readable", "too long to read"])
@pytest.mark.parametrize("run", ["EXECUTE hidden", "BEGIN; EXECUTE hidden", "EXPLAIN ANALYZE EXECUTE hidden"])
def test_execute_in_sql_of_ddl_that_the_protocol_prepared(target, bystander, postgres, ddl, error, run):
    """SQL's EXECUTE finds statements of the protocol by name: the text that runs is not in the query."""
    with target.login() as client:
        assert wire.errors(client.sync(P(ddl, "hidden"))) == []
        assert wire.errors(client.query(run)) == [error]
        client.query("ROLLBACK")
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
    assert_kept(postgres)


def test_refused_statement_by_psycopg_with_parameters(target, bystander, postgres):
    with target.connect() as connection:
        with pytest.raises(psycopg.Error) as refused:
            connection.execute(DROP, prepare=True)
        assert refused.value.sqlstate == REFUSED
        assert connection.execute("SELECT %s::int", (1,)).fetchone() == (1,)
    assert_kept(postgres)


# -- disguises ------------------------------------------------------------------------------------------------------------------------


DISGUISES = {
    "comment before": "/* nothing */ " + DROP,
    "comment within": "ALTER/**/TABLE/*x*/orders DROP -- hm\n COLUMN note",
    "nested comment": "/* a /* b */ c */ " + DROP,
    "line comment before": "-- SELECT\n" + DROP,
    "after a select": "SELECT 1; " + DROP,
    "after a string with a semicolon": "SELECT ';'; " + DROP,
    "after an escape string": r"SELECT E'\''; " + DROP,
    "after a dollar string": "SELECT $a$ ' ; $a$; " + DROP,
    "after a quoted name": 'SELECT 1 AS "a;b"; ' + DROP,
    "after a unicode string": "SELECT U&'\\0061'; " + DROP,
    "unicode name": 'ALTER TABLE U&"\\006frders" DROP COLUMN note',
    "quoted names": 'ALTER TABLE "public"."orders" DROP COLUMN "note"',
    "catalog-qualified": "ALTER TABLE app.public.orders DROP COLUMN note",
    "mixed case and white space": "\t\n aLtEr \f TaBlE \r\n oRdErS dRoP cOlUmN nOtE",
    "if exists": "ALTER TABLE IF EXISTS orders DROP COLUMN IF EXISTS note",
    "only": "ALTER TABLE ONLY orders DROP note",
    "star": "ALTER TABLE orders * DROP note",
    "second action": "ALTER TABLE orders ADD COLUMN x int, DROP COLUMN note",
    "empty statements before": ";;; ; " + DROP,
    "begin before": "BEGIN; " + DROP + "; COMMIT",
    "string in two lines": "SELECT 'a'\n'b;'; " + DROP,
    "explain analyze of ddl": "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1; " + DROP,
    "through a search path": "SET search_path = public; " + DROP,
    "dollar tag with digits": "SELECT $a1$;$a1$; " + DROP,
    "national string": "SELECT N'x;'; " + DROP,
    "bit string": "SELECT B'1', X'F'; " + DROP,
    "operators like comments": "SELECT 1 */**/ 2; " + DROP,
    "many statements": "SELECT 1;" * 300 + DROP,
    "long comment": "/*" + "x" * 100_000 + "*/" + DROP,
    "form feeds": "ALTER\fTABLE\forders\f\fDROP\fCOLUMN note",
    "carriage returns end comments": "-- SELECT 1\r" + DROP,
    "unicode name with an escape of its own": """ALTER TABLE U&"!006frders" UESCAPE '!' DROP COLUMN note""",
    "unicode escape of six digits": 'ALTER TABLE U&"\\+00006frders" DROP COLUMN note',
    "unicode string with an escape of its own": "SELECT U&'!0027' UESCAPE '!'; " + DROP,
    "unicode escapes in an escape string": r"SELECT E'\u0027;\x27;\47'; " + DROP,
    "doubled quotes": "SELECT '''', '''; --'; " + DROP,
    "quoted name with doubled quotes": 'SELECT 1 AS """;"; ' + DROP,
    "dollar quotes in dollar quotes": "SELECT $a$ $$;$$ $b$ $a$; " + DROP,
    "dollar tag beyond ascii": "SELECT $é$;$é$; " + DROP,
    "a name with dollars": "SELECT 1 AS a$b$; " + DROP + " -- $b$",
    "comment in a string": "SELECT '/*'; " + DROP + "; SELECT '*/'",
    "string in a comment": "/* ' */ " + DROP + " /* ' */",
    "line comment in a block comment": "/* -- */ " + DROP,
    "shortest comments": "/**/" + DROP + "/***/",
    "continued string with a comment between": "SELECT 'a' -- '\n 'b;'; " + DROP,
    "continued escape string": "SELECT E'a\\''\n';'; " + DROP,
    "operator that ends in a comment": "SELECT 1 <-- ;\n 2; " + DROP,
    "prepared by sql": "PREPARE p AS SELECT 1; EXECUTE p; DEALLOCATE p; " + DROP,
    "after a transaction of its own": "BEGIN; SELECT 1; COMMIT; " + DROP,
    "after a savepoint": "BEGIN; SAVEPOINT s; " + DROP + "; RELEASE s; COMMIT",
    "a commit of nothing": "COMMIT; " + DROP,
    "atomic body before": "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END; " + DROP,
    "body of a rule before": "CREATE TEMP TABLE r (a int); CREATE RULE r AS ON INSERT TO r DO ALSO (SELECT 1; SELECT 2); " + DROP,
    "type written before a string": "SELECT date '2020-01-01', text ';'; " + DROP,
    "words beyond ascii": 'SELECT 1 AS "дата", 2 AS дата; ' + DROP,
    "no-break space within a name": "SELECT 1 AS a\u00a0b; " + DROP,
    "with cascade": DROP + " CASCADE",
    "a copy before": "COPY (SELECT 1) TO STDOUT; " + DROP,
}


@pytest.mark.parametrize("sql", DISGUISES.values(), ids=DISGUISES.keys())
def test_disguised_ddl_is_ddl_to_the_server(postgres, sql):
    if "BEGIN ATOMIC" in sql and postgres.version() < 140000:
        pytest.skip("PostgreSQL 12 and 13 know no BEGIN ATOMIC")
    with wire.Wire.connect(postgres.host, postgres.port).login() as direct:
        assert wire.errors(direct.query(sql)) == []
    assert postgres.execute("SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'note'") == [(0,)]


@pytest.mark.parametrize("sql", DISGUISES.values(), ids=DISGUISES.keys())
def test_disguised_ddl_is_seen(target, bystander, postgres, sql):
    with target.login() as client:
        assert REFUSED in wire.errors(client.query(sql))
        client.query("ROLLBACK")
    assert_kept(postgres)


@pytest.mark.parametrize("sql", [sql for sql in DISGUISES.values() if ";" not in sql])
def test_disguised_ddl_is_seen_in_the_extended_protocol(target, bystander, postgres, sql):
    with target.login() as client:
        assert wire.errors(client.sync(P(sql), B(), E())) == [REFUSED]
    assert_kept(postgres)


def test_static_sql_in_a_do_block_is_looked_at(target, bystander, postgres):
    with target.login() as client:
        messages = client.query(f"DO $$ BEGIN {DROP}; END $$")
        assert wire.errors(messages) == [REFUSED] or "do-block-ddl" in notices(messages)


def test_strings_that_are_not_standard(target, bystander, postgres):
    """With standard_conforming_strings off a backslash hides a quote, and what follows is a statement."""
    with target.login() as client:
        client.query("SET standard_conforming_strings = off; SET escape_string_warning = off")
        assert wire.errors(client.query(r"SELECT '\'; " + DROP + "; --'")) == []   # one string and a comment: no DDL at all
        assert wire.errors(client.query(r"SELECT 'a\\'; " + DROP)) == [REFUSED]
    assert_kept(postgres)
    with target.login(parameters={"options": "-c standard_conforming_strings=off"}) as client:
        assert wire.errors(client.query(r"SELECT '\''; " + DROP)) == [REFUSED]
    assert_kept(postgres)


# One string to the end with standard_conforming_strings, else a second command behind it.
TWO_WAYS = r"ALTER TABLE orders ALTER note SET DEFAULT 'a\'', DROP COLUMN note --'"


@pytest.mark.parametrize("run", ["bind", "execute in sql"])
@pytest.mark.parametrize("pipelined", [False, True], ids=["prepared alone", "prepared behind the SET"])
def test_prepared_text_means_what_it_meant_when_it_was_prepared(target, bystander, postgres, run, pipelined):
    off, on = "SET standard_conforming_strings = off", "SET standard_conforming_strings = on"
    with target.login() as client:
        if pipelined:
            messages = client.sync(P(off) + B() + E() + P(TWO_WAYS, "s"))
        else:
            messages = client.query(off) + client.sync(P(TWO_WAYS, "s"))
        assert wire.errors(messages) == []
        assert wire.errors(client.query(on)) == []
        assert wire.errors(client.sync(B("s"), E()) if run == "bind" else client.query("EXECUTE s")) == [REFUSED]
    assert_kept(postgres)


def test_text_behind_a_set_of_its_batch_is_read_as_the_server_reads_it(target, bystander, postgres):
    """A server reports a changed setting ahead of ReadyForQuery, not before."""
    with target.login() as client:
        messages = client.sync(P("SET standard_conforming_strings = off") + B() + E() + P(TWO_WAYS) + B() + E())
        assert wire.errors(messages) == [REFUSED]
        client.send(P("SET standard_conforming_strings = off") + B() + E() + wire.query(TWO_WAYS))
        assert wire.errors(client.read_until("Z")) == [REFUSED]
        assert wire.errors(client.query(TWO_WAYS.replace("DROP COLUMN note", "ADD gone int"))) == []   # a default, since both were undone
    assert_kept(postgres)


@pytest.mark.parametrize("behind", ["batch", "query", "savepoint"])
def test_transaction_that_its_batch_has_ended_is_over(target, bystander, postgres, behind):
    """A failed transaction runs nothing but its end; its end may stand in the same batch."""
    with target.login() as client:
        client.query("BEGIN")
        client.query("SAVEPOINT a")
        client.query("SELECT 1/0")
        end = P("ROLLBACK TO a" if behind == "savepoint" else "ROLLBACK") + B() + E()
        client.send(end + (wire.query(DROP) if behind == "query" else P(DROP) + B() + E() + S()))
        assert wire.errors(client.read_until("Z")) == [REFUSED]
        client.query("ROLLBACK")
    assert_kept(postgres)


@pytest.mark.parametrize("what", ["the name comes later", "the name gets another text", "a portal of it", "a portal, fetched"])
def test_prepared_execute_is_judged_by_what_its_name_means_when_it_runs(target, bystander, postgres, what):
    with target.login() as client:
        client.query("BEGIN")
        before = b"" if what == "the name comes later" else P("SELECT 1", "s")
        bound = B("t", "p") if "portal" in what else b""
        assert wire.errors(client.sync(before + P("EXECUTE s", "t") + bound)) == []
        assert wire.errors(client.sync(wire.close("S", "s") + P(DROP, "s"))) == []
        run = {"a portal of it": E("p") + S(), "a portal, fetched": wire.query("FETCH ALL FROM p")}.get(what, B("t") + E() + S())
        client.send(run)
        assert REFUSED in wire.errors(client.read_until("Z"))
        client.query("ROLLBACK")
    assert_kept(postgres)


def test_names_beyond_ascii_are_not_for_what_may_be_ddl(target, bystander, postgres):
    """The server knows them in its own encoding, and SQL may write them in a third."""
    with target.login(parameters={"client_encoding": "LATIN1"}) as client:
        assert wire.errors(client.sync(P(DROP, b"s\xe9"))) == ["0A000"]
        assert wire.errors(client.sync(P(DROP, "s"), B("s", b"p\xe9"))) == ["0A000"]
        assert wire.rows(client.sync(P("SELECT 1", b"h\xe9"), B(b"h\xe9", b"p\xe9"), E(b"p\xe9"))) == [["1"]]
        assert wire.errors(client.sync(B("s"), E())) == [REFUSED]
    assert_kept(postgres)


def test_execute_in_a_do_block_of_ddl_that_the_protocol_prepared(target, bystander, postgres):
    with target.login() as client:
        assert wire.errors(client.sync(P(DROP, "s"), P("EXECUTE s", "t"))) == []
        assert REFUSED in wire.errors(client.query("DO $$ BEGIN EXECUTE 'EXECUTE s'; END $$"))
        assert REFUSED in wire.errors(client.query("EXECUTE t"))
        assert REFUSED in wire.errors(client.sync(B("t"), E()))
    assert_kept(postgres)


def test_encodings_whose_second_bytes_are_ascii(target, bystander, postgres):
    """In SJIS 表 ends with a backslash: the quote after it is a quote."""
    with target.login(parameters={"client_encoding": "SJIS"}) as client:
        assert wire.errors(client.query("SELECT '表'; ".encode("sjis") + DROP.encode())) == [REFUSED]
    assert_kept(postgres)


@pytest.mark.parametrize("text", [b"SELECT E'\x87\x40\x95\x5c'; DROP TABLE orders; --'", b"SELECT E'\x81\x5f'; DROP TABLE orders; --'"], ids=["extended", "wide backslash"])
def test_characters_that_only_some_know_end_where_the_server_ends_them(target, bystander, postgres, text):
    """Microsoft's additions to SJIS. Read byte by byte, the string would go on behind its quote."""
    with target.login(parameters={"client_encoding": "SJIS"}) as client:
        assert wire.errors(client.query(text)) == [REFUSED]
        assert wire.errors(client.sync(P("SELECT '\x87\x40'".encode("latin-1")), B(), E())) == []
    assert_kept(postgres)


BEYOND_ASCII = ['TRUNCATE "表十"', 'ALTER TABLE "表十" DROP COLUMN "列"', 'ALTER TABLE "表十" ALTER COLUMN "列" TYPE varchar(9)', 'BEGIN; ALTER TABLE orders ALTER COLUMN "列" SET NOT NULL']


@pytest.mark.parametrize("encoding, codec", [("UTF8", "utf-8"), ("SJIS", "cp932"), ("EUC_JP", "euc_jp"), ("GB18030", "gb18030"), ("BIG5", "big5")])
def test_names_beyond_ascii_are_looked_up_in_the_clients_encoding(target, bystander, postgres, encoding, codec):
    postgres.execute('CREATE TABLE "表十" AS SELECT n AS id, n::text AS "列" FROM generate_series(1, 20000) n; ALTER TABLE "表十" OWNER TO app; '
                     'ALTER TABLE orders ADD COLUMN "列" text; ANALYZE "表十"')
    try:
        with target.login(parameters={"client_encoding": encoding}) as client:
            for sql in BEYOND_ASCII:
                answer = client.query(sql.encode(codec))
                assert wire.errors(answer) == [REFUSED], (sql, [m.fields() for m in answer if m.type in "EN"])
                error, = [m for m in answer if m.type == "E"]
                assert ("列" if "列" in sql else "表十").encode(codec) in error.body, error.body
                client.query("ROLLBACK")
            assert wire.errors(client.query('CREATE TABLE "十表" (id int PRIMARY KEY); ALTER TABLE "十表" ADD "十" int; DROP TABLE "十表"'.encode(codec))) == []
    finally:
        postgres.execute('DROP TABLE "表十"')


def test_columns_beyond_ascii_are_known_to_latin1(target, bystander, postgres):
    postgres.execute('ALTER TABLE orders ADD COLUMN "nötig" text')
    with target.login(parameters={"client_encoding": "LATIN1"}) as client:
        answer = client.query('ALTER TABLE orders ALTER COLUMN "nötig" SET NOT NULL'.encode("latin-1"))
        assert wire.errors(answer) == [REFUSED]
        error, = [m for m in answer if m.type == "E"]
        assert "nötig".encode("latin-1") in error.body and b"encoding" in error.body, error.body
        answer = client.query('CREATE INDEX "größte" ON orders ("nötig")'.encode("latin-1"))
        assert wire.errors(answer) == [] and any(b"CONCURRENTLY" in m.body for m in answer if m.type == "N"), answer
        # contents are no names
        assert wire.errors(client.query("ALTER TABLE orders ADD CHECK (note <> 'ö')".encode("latin-1"))) == []
    assert postgres.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = '\"größte\"'::regclass") == [(True,)]


DEEP = {
    "parentheses": "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
    "plus": "SELECT 1" + "+1" * 100_000,
    "casts": "SELECT 1" + "::int" * 100_000,
    "concatenation": "SELECT 'a'" + "||'a'" * 100_000,
    "unions": "SELECT 1" + " UNION SELECT 1" * 30_000,
    "nots": "SELECT " + "NOT " * 100_000 + "true",
    "brackets": "SELECT " + "ARRAY[" * 50_000 + "1" + "]" * 50_000,
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP.keys())
@pytest.mark.parametrize("ddl", [True, False], ids=["then ddl", "alone"])
def test_deeply_nested_text_neither_kills_nor_slips_by(target, bystander, postgres, deep, ddl):
    with target.login() as client:
        messages = client.query(deep + ("; " + DROP if ddl else ""), timeout=60)
        assert messages[-1].type == "Z"
    assert_kept(postgres)


@pytest.mark.parametrize("run", ["bind", "portal", "execute in sql"])
def test_names_are_as_long_as_the_server_takes_them(target, bystander, postgres, run):
    same = "a" * 63
    with target.login() as client:
        assert wire.errors(client.sync(P(DROP, same + "x"))) == []
        messages = {"bind": lambda: client.sync(B(same + "y"), E()),
                    "portal": lambda: client.sync(B(same + "x", same + "p"), E(same + "q")),
                    "execute in sql": lambda: client.query(f"EXECUTE {same}")}[run]()
        assert wire.errors(messages) == [REFUSED]
    assert_kept(postgres)


def test_copy_that_fails_beside_a_sync_hides_nothing(target, bystander, postgres):
    """Whether the server reads that Sync as part of the COPY can't be told: the session goes no further than to the next decision."""
    for behind in wire.query(DROP), P(DROP) + B() + E() + S():
        with target.login() as client:
            client.send(P("COPY lines FROM STDIN"), B(), E(), wire.flush())
            while client.read().type != "G":
                pass
            client.send(wire.copy_data(b"bad\trow\textra\n") + S())
            client.read_until("Z")
            client.send(behind)
            client.read_rest(5)
        assert_kept(postgres)


@pytest.mark.parametrize("count, error", [(2_000, REFUSED), (12_000, "54000")])
def test_many_statements_in_one_message_hold_up_nobody(target, bystander, postgres, count, error):
    with target.login() as client, target.login() as other:
        client.send(wire.query("; ".join(f"ALTER TABLE absent_{n} ADD COLUMN a int" for n in range(count)) + "; " + DROP))
        longest, answered = 0.0, False
        while not answered:
            began = time.monotonic()
            other.query("SELECT 1")
            longest = max(longest, time.monotonic() - began)
            answered = not client.is_quiet(0.01)
        assert wire.errors(client.read_until("Z", 60)) == [error]
        assert longest < 3   # with sanitizers, on a busy machine
    assert_kept(postgres)


def test_prepare_that_fails_hides_nothing(target, bystander, postgres):
    with target.login() as client:
        client.sync(P(DROP, "s1"))
        assert wire.errors(client.query("PREPARE s1 AS SELECT 1")) == ["42P05"]
        assert wire.errors(client.sync(B("s1"), E())) == [REFUSED]
        assert wire.errors(client.query("EXECUTE s1")) == [REFUSED]
    assert_kept(postgres)


@pytest.mark.parametrize("behind", [wire.query(DROP), P(DROP) + B() + E() + S()], ids=["query", "batch"])
def test_copy_that_fails_hides_nothing(target, bystander, postgres, behind):
    with target.login() as client:
        client.send(wire.query("SET work_mem = '5MB'; COPY lines FROM STDIN"))
        while client.read().type != "G":
            pass
        client.send(wire.copy_data(b"bad\trow\textra\n") * 20 + behind)
        client.read_until("Z")
        assert wire.errors(client.read_until("Z")) == [REFUSED]
    assert_kept(postgres)


MADE = {
    "if not exists": ["CREATE TABLE IF NOT EXISTS orders (id int)"],
    "if not exists, in a transaction": ["BEGIN", "CREATE TABLE IF NOT EXISTS orders (id int)"],
    "as, if not exists": ["CREATE TABLE IF NOT EXISTS orders AS SELECT 1"],
    "temporary, rolled back to a savepoint": ["BEGIN", "SAVEPOINT a", "CREATE TEMP TABLE orders (x int)", "ROLLBACK TO a"],
    "in another schema": ["BEGIN", "CREATE SCHEMA other", "SET LOCAL search_path = other, public", "CREATE TABLE orders (x int)",
                          "SET LOCAL search_path = public"],
    "rolled back, and begun anew": ["BEGIN", "CREATE TEMP TABLE orders (x int)", "ROLLBACK AND CHAIN"],
    "ended in a message": ["BEGIN", "CREATE TEMP TABLE orders (x int)", "ROLLBACK; BEGIN"],
    "rolled back in its message": ["BEGIN; SAVEPOINT a; CREATE TEMP TABLE orders (x int); ROLLBACK TO a"],
}


@pytest.mark.parametrize("before", MADE.values(), ids=MADE.keys())
def test_only_what_a_session_has_made_is_its_own(target, bystander, postgres, before):
    with target.login() as client:
        for sql in before:
            assert wire.errors(client.query(sql)) == []
        assert wire.errors(client.query("DROP TABLE orders")) == [REFUSED]
        client.query("ROLLBACK")
        assert wire.errors(client.query("; ".join([*before, "DROP TABLE orders"]))) == [REFUSED]
    assert_kept(postgres)


@pytest.mark.parametrize("sql", ["CREATE TEMP TABLE orders (x int); DROP TABLE public.orders",
                                 "CREATE TEMP TABLE orders (x int); DROP TABLE orders; DROP TABLE orders",
                                 "CREATE SCHEMA other; SET search_path = other, public; CREATE TABLE orders (x int); "
                                 "SET search_path = public; DROP TABLE orders"])
def test_another_relation_of_that_name_is_not_its_own(target, bystander, postgres, sql):
    with target.login() as client:
        assert wire.errors(client.query(sql)) == [REFUSED]
        client.query("ROLLBACK")
        assert wire.errors(client.query("BEGIN")) == []
        messages = [client.query(each) for each in sql.split("; ")]
        assert wire.errors(messages[-1]) == [REFUSED]
    assert_kept(postgres)


ELSEWHERE = {
    "set": "SET search_path = elsewhere; {}",
    "set local": "BEGIN; SET LOCAL search_path TO elsewhere, public; {}",
    "set schema": "SET SCHEMA 'elsewhere'; {}",
    "function": "SELECT set_config('search_path', 'elsewhere', false); {}",
    "in a block": "DO $$ BEGIN SET search_path = elsewhere; {}; END $$",
    "behind a block": "DO $$ BEGIN PERFORM set_config('search_path', 'elsewhere', false); END $$; {}",
}


@pytest.mark.parametrize("sql", ["DROP TABLE lines", "ALTER TABLE lines ALTER COLUMN order_id TYPE int"])
@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_behind_another_search_path_a_name_is_another_table(target, bystander, postgres, text, sql):
    """Facts were read before the message: lines is small, and elsewhere.lines is not."""
    postgres.execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.lines AS SELECT id::int, id AS order_id FROM orders; ANALYZE elsewhere.lines; "
                     "ALTER SCHEMA elsewhere OWNER TO app; ALTER TABLE elsewhere.lines OWNER TO app")
    try:
        with target.login() as client:
            error = refusal(client.query(text.format(sql)))
            assert error["C"] == REFUSED and "Lacked fact: " in error["D"], error
            client.query("ROLLBACK")
            assert wire.errors(client.query("RESET search_path")) == []
            # the path that is in force anyway, and a name with its schema, change nothing
            assert wire.errors(client.query("SET search_path = public; ALTER TABLE lines ALTER COLUMN order_id TYPE int")) == []
            assert wire.errors(client.query("SET search_path = elsewhere; CREATE TABLE fresh (id int PRIMARY KEY); ALTER TABLE fresh ALTER id TYPE bigint; ALTER TABLE public.lines ALTER COLUMN order_id TYPE bigint")) == []
        assert postgres.execute("SELECT count(*) FROM elsewhere.lines") == [(20000,)]
    finally:
        postgres.execute("DROP SCHEMA elsewhere CASCADE")


def test_cascade_from_a_small_table_reaches_big_ones(target, bystander, postgres):
    postgres.execute("CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1); ALTER TABLE small OWNER TO app; "
                     "ALTER TABLE orders ADD CONSTRAINT at_small FOREIGN KEY (customer) REFERENCES small NOT VALID")
    try:
        with target.login() as client:
            assert wire.errors(client.query("TRUNCATE small CASCADE")) == [REFUSED]
            assert wire.errors(client.query("DROP TABLE small CASCADE")) == [REFUSED]
    finally:
        postgres.execute("DROP TABLE small CASCADE")


# -- rows, and what shares a transaction ------------------------------------------------------------------------------------------------


def test_change_of_rows_with_a_where_is_not_parsed(make_gateway):
    gateway = make_gateway()
    with gateway.login() as client:
        for sql in ("UPDATE orders SET note = (SELECT 'x' WHERE true) WHERE id = 1", "DELETE FROM orders WHERE (id) = 2",
                    "WITH gone AS (DELETE FROM orders WHERE id = 3 RETURNING *) SELECT * FROM gone"):
            assert wire.errors(client.query(sql)) == []
        assert wire.errors(client.sync(P("UPDATE orders SET note = $1 WHERE id = $2"))) == []
        assert gateway.metrics().sum("tidegate_statements_parsed_total") == 0
        assert wire.errors(client.query("UPDATE orders SET note = 'x' WHERE 1 = 1")) == [REFUSED]
        assert gateway.metrics().sum("tidegate_statements_parsed_total") == 1


def test_change_of_every_row_is_decided_at_each_execution(target, bystander, postgres):
    postgres.execute("CREATE TABLE growing (a int); ALTER TABLE growing OWNER TO app; INSERT INTO growing VALUES (1)")
    try:
        with target.login() as client:
            assert wire.errors(client.sync(P("UPDATE growing SET a = a + 1", "up"), B("up"), E())) == []
            postgres.execute("INSERT INTO growing SELECT generate_series(1, 20000)")
            error = refusal(client.sync(B("up"), E()))
            assert error["C"] == REFUSED and "growing" in error["M"] and "WHERE" in error["H"]
        assert postgres.execute("SELECT count(*) FROM growing WHERE a = 2") == [(2,)]
    finally:
        postgres.execute("DROP TABLE growing")


def test_the_batch_that_the_hint_gives_runs(target, bystander, postgres):
    with target.login() as client:
        for sql, left in (("UPDATE orders SET note = 'all'", "SELECT count(*) FROM orders WHERE note <> 'all'"),
                          ("DELETE FROM orders", "SELECT count(*) FROM orders")):
            batch = refusal(client.query(sql))["H"].removeprefix("Instead: ").split("\n")[0]
            assert wire.errors(client.query(batch)) == []
            assert postgres.execute(left) == [(10000,)]


def test_second_table_of_a_transaction_is_told(target, bystander):
    with target.login() as client:
        for sql, told in (("BEGIN", False), ("ALTER TABLE orders ADD COLUMN a int", False), ("ALTER TABLE public.orders ADD COLUMN b int", False),
                          ("SAVEPOINT s", False), ("ALTER TABLE lines ADD COLUMN a int", True), ("ROLLBACK TO s", False)):
            messages = client.query(sql)
            assert wire.errors(messages) == []
            assert ("this transaction holds ACCESS EXCLUSIVE on public.orders" in notices(messages)) == told, sql
        client.query("ROLLBACK")
        assert "this transaction holds" not in notices(client.query("ALTER TABLE lines ADD COLUMN a int"))


def test_rows_changed_behind_a_schema_change_are_told(target, bystander):
    change, rows = "ALTER TABLE orders ADD COLUMN a int", "UPDATE orders SET a = 1 WHERE id = 1"
    with target.login() as client:
        messages = client.query(f"BEGIN; {change}; {rows}; ROLLBACK")
        assert wire.errors(messages) == [] and "in a transaction that holds ACCESS EXCLUSIVE" in notices(messages)
        messages = client.query(f"BEGIN; {change}; COMMIT; {rows}")
        assert wire.errors(messages) == [] and "in a transaction that holds" not in notices(messages)


def test_new_value_of_an_enum_waits_for_the_commit(target, bystander, postgres):
    postgres.execute("CREATE TYPE mood AS ENUM ('good'); ALTER TYPE mood OWNER TO app")
    add, use = "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'bad' AFTER 'good'", "CREATE TABLE moods (m mood PRIMARY KEY DEFAULT 'bad'::mood)"
    try:
        with target.login() as client:
            error = refusal(client.query(f"{add.replace('IF NOT EXISTS ', '')}; {use}"))
            assert error["C"] == "55P04" and "COMMIT" in error["H"]
            assert wire.errors(client.query(f"{add}; {use}")) == ["55P04"]   # PostgreSQL's own: it might have been there
            assert wire.errors(client.query(add)) == []
            assert wire.errors(client.query(f"{add}; {use}")) == []
    finally:
        postgres.execute("DROP TABLE IF EXISTS moods; DROP TYPE mood")


@pytest.mark.parametrize("sql, told", [
    ("SET LOCAL lock_timeout = '2s'", "SET LOCAL lock_timeout outside a transaction has no effect"),
    ("SET standard_conforming_strings = off", "gives strings with a backslash another meaning"),
    ("GRANT SELECT ON orders TO PUBLIC", "SELECT on orders for every role there is and will be"),
    ("REVOKE ALL ON orders FROM PUBLIC", "PUBLIC loses rights on orders at once"),
    ("CREATE TABLE pg_temp.t (a int); CREATE TABLE kept (id int PRIMARY KEY); DROP TABLE kept", "primary key id of kept is integer"),
])
def test_what_is_only_told_runs(target, bystander, sql, told):
    with target.login() as client:
        messages = client.query(sql)
        assert wire.errors(messages) == [] and told in notices(messages)


# -- rewrites, warnings, overrides --------------------------------------------------------------------------------------------------------


def notices(messages: list[wire.Message]) -> str:
    return "\n".join(" ".join(message.fields().values()) for message in messages if message.type == "N")


def test_index_is_built_concurrently(target, bystander, postgres):
    with target.login() as client:
        messages = client.query("CREATE INDEX by_customer ON orders (customer)")
        assert wire.errors(messages) == [] and [m.tag for m in messages if m.type == "C"] == ["CREATE INDEX"]
        assert "CONCURRENTLY" in notices(messages).upper()
    assert postgres.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_customer'::regclass") == [(True,)]
    with target.login() as client:
        assert wire.errors(client.query("REINDEX INDEX by_customer")) == []
        messages = client.query("DROP INDEX by_customer")
        assert wire.errors(messages) == [] and [m.tag for m in messages if m.type == "C"] == ["DROP INDEX"]
    assert postgres.execute("SELECT to_regclass('by_customer')") == [(None,)]


def test_index_is_built_concurrently_by_the_extended_protocol(target, bystander, postgres):
    with target.login() as client:
        messages = client.sync(P("CREATE INDEX by_customer ON orders (customer)"), B(), wire.describe("P"), E())
        assert wire.types(messages) == "12nCZ"
    assert postgres.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_customer'::regclass") == [(True,)]


def test_index_build_does_not_block_writers(target, bystander, postgres):
    """Somebody writes throughout; a plain CREATE INDEX would make him wait for the whole build."""
    with target.login() as builder, target.login() as writer:
        postgres.execute("INSERT INTO orders SELECT n, 1, repeat('y', 100) FROM generate_series(30000, 200000) n")
        builder.send(wire.query("CREATE INDEX by_note ON orders (note, id)"))
        worst, count = 0.0, 0
        while builder.is_quiet(0):
            started = time.perf_counter()
            writer.query("UPDATE orders SET customer = customer + 1 WHERE id = 5")
            worst, count = max(worst, time.perf_counter() - started), count + 1
        assert wire.errors(builder.read_until("Z", 60)) == []
        assert worst < 0.3, (worst, count)


def test_indexes_of_one_table_are_built_at_the_same_time(target, bystander, postgres):
    clients = [target.login() for _ in range(5)]
    for n, client in enumerate(clients):
        client.send(wire.query(f"CREATE INDEX at_once_{n} ON orders (customer, id)"))
    answers = [client.read_until("Z", 90) for client in clients]
    for client in clients:
        client.close()
    assert [wire.errors(messages) for messages in answers] == [[]] * 5, answers
    assert postgres.execute("SELECT count(*) FROM pg_index WHERE indrelid = 'orders'::regclass AND indisvalid") == [(6,)]


def test_failed_concurrent_build_leaves_no_invalid_index(target, bystander, postgres):
    with target.login() as client:
        messages = client.query("CREATE UNIQUE INDEX one_each ON orders (customer)")
        assert wire.errors(messages) == ["23505"]
    assert postgres.execute("SELECT to_regclass('one_each')") == [(None,)]


def test_index_in_a_transaction_cannot_be_rewritten(target, bystander):
    with target.login() as client:
        client.query("BEGIN")
        error = refusal(client.query("CREATE INDEX by_customer ON orders (customer)"))
        assert error["C"] in (REFUSED, "25001") and "CONCURRENTLY" in error["H"]


def test_override_counts_only_for_the_roles_that_the_policy_names(make_gateway, postgres):
    gateway = make_gateway({"policies": {"allow_override_roles": ["postgres"]}})
    sql = '/* tidegate:allow=drop-column reason="nobody reads it" */ ' + DROP
    with gateway.login("app") as client:
        assert wire.errors(client.query(sql)) == [REFUSED]
    assert_kept(postgres)
    with gateway.login("postgres") as client:
        assert wire.errors(client.query(sql)) == []
    wait_until(lambda: "nobody reads it" in gateway.output(), what="the audit log tells the reason")


def test_override_of_another_rule_does_not_count(make_gateway, postgres):
    gateway = make_gateway({"policies": {"allow_override_roles": ["postgres"]}})
    with gateway.login("postgres") as client:
        for comment in ("tidegate:allow=drop-table reason=\"x\"", "tidegate:allow=*", "allow=drop-column"):
            assert wire.errors(client.query(f"/* {comment} */ {DROP}")) == [REFUSED]
        assert wire.errors(client.query(f"SELECT '/* tidegate:allow=drop-column reason=\"x\" */'; {DROP}")) == [REFUSED]


def test_rule_may_be_allowed_warned_or_blocked_by_the_policy(make_gateway, postgres):
    for action, errors in (("allow", []), ("warn", []), ("block", [REFUSED])):
        gateway = make_gateway({"policies": {"rules": {"set-not-null-scan": action}}})
        with gateway.login() as client:
            messages = client.query("ALTER TABLE orders ALTER COLUMN note SET NOT NULL")
            assert wire.errors(messages) == errors
            assert ("orders" in notices(messages)) == (action == "warn")
        postgres.execute("ALTER TABLE orders ALTER COLUMN note DROP NOT NULL")


def test_policy_by_role_application_table_and_size(make_gateway, postgres):
    gateway = make_gateway({"policies": {"overrides": [
        {"roles": ["postgres"], "rules": {"drop-column": "allow"}},
        {"applications": ["migrator"], "mode": "observe"},
        {"tables": ["public.lines"], "rules": {"drop-table": "block"}}]}})
    with gateway.login("app") as client:
        assert wire.errors(client.query(DROP)) == [REFUSED]
    with gateway.login("app", parameters={"application_name": "migrator"}) as client:
        assert wire.errors(client.query("ALTER TABLE orders DROP COLUMN note")) == []
    with gateway.login("postgres") as client:
        assert wire.errors(client.query("ALTER TABLE orders DROP COLUMN customer")) == []


def test_audit_log_tells_who_did_what(make_gateway):
    gateway = make_gateway()
    with gateway.login(parameters={"application_name": "the migrator"}) as client:
        client.query("/*migration='0042',commit='abc'*/ " + DROP)
    def records() -> list:
        return [json.loads(line) for line in gateway.output().splitlines() if line.startswith("{") and "drop-column" in line]

    lines = wait_until(records, what="the audit log has it")
    assert "the migrator" in json.dumps(lines[0]) and "0042" in json.dumps(lines[0]) and "app" in json.dumps(lines[0])


@pytest.mark.parametrize("limits", [{"parse_bytes": 1024}, {"query_buffer": "8KiB"}], ids=["parser", "buffer"])
def test_refusal_of_what_was_not_read_is_audited(make_gateway, limits):
    gateway = make_gateway({"limits": limits})
    with gateway.login(parameters={"application_name": "the migrator"}) as client:
        assert wire.errors(client.query("ALTER TABLE orders ADD COLUMN extra int /*" + "x" * 10_000 + "*/")) == ["54000"]

    def records() -> list:
        return [json.loads(line) for line in gateway.output().splitlines() if line.startswith("{") and "the migrator" in line]

    lines = wait_until(records, what="the audit log has it")
    assert [(line["action"], line["sqlstate"]) for line in lines] == [("refused", "54000")]


def test_statement_that_cannot_be_parsed_is_refused_if_it_may_be_ddl(target, bystander):
    with target.login() as client:
        assert wire.errors(client.query("ALTER TABLE orders FROBNICATE"))[0] in (REFUSED, "42601", "TG002", "0A000")
        assert wire.errors(client.query("SELECT 1 FROM FROM")) == ["42601"]
