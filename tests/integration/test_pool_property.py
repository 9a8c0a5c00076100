"""Transaction pooling by chance: whatever clients do, each is told what it would be told with a session of its own.

Each client has a twin that is connected to PostgreSQL itself (support/twins.py). $PROPERTY_STEPS and $PROPERTY_SEED say
how long and which, $PROPERTY_MODE the mode of the policies (both unless told otherwise); a failure prints them and a
short list of events that fails as well. `scripts/property` runs long.
"""

import os
import random
import re
import time

import pytest

from support import wire
from support.gateway import Gateway
from support.postgres import Postgres
from support.target import Target
from support.twins import Difference, Event, Run, shrink

pytestmark = [pytest.mark.gateway_only, pytest.mark.skipif("PROPERTY_STEPS" not in os.environ, reason="run by scripts/property")]

STEPS = int(os.environ.get("PROPERTY_STEPS") or 1500)
SEED = int(os.environ.get("PROPERTY_SEED") or random.SystemRandom().randrange(1_000_000))
MODES = [os.environ["PROPERTY_MODE"]] if os.environ.get("PROPERTY_MODE") else ["off", "enforce"]
CLIENTS = 8
SIZE = 3

# values of each setting; the first is what RESET gives
SETTINGS = {
    "search_path": ["'$user', public", "s1", "s2", "s2, s1", "s1, pg_temp"],
    "DateStyle": ["'ISO, MDY'", "'German, DMY'", "'SQL, YMD'"],
    "TimeZone": ["'UTC'", "'Asia/Tokyo'", "'+03'"],
    "IntervalStyle": ["postgres", "iso_8601"],
    "work_mem": ["'4MB'", "'5MB'", "100"],
    "extra_float_digits": ["1", "0", "3"],
    "bytea_output": ["hex", "escape"],
    "application_name": ["''", "'first'", "'it''s \"second\"'"],
    "client_encoding": ["'UTF8'", "'LATIN1'", "'SQL_ASCII'"],
    "statement_timeout": ["0", "'1min'", "'61s'"],
    "lock_timeout": ["0", "'30s'"],
    # serializable transactions that write would fail by what a client that has just left did or did not
    "default_transaction_isolation": ["'read committed'", "'repeatable read'"],
    "default_transaction_read_only": ["off", "on"],
    "standard_conforming_strings": ["on", "off"],
    "enable_seqscan": ["on", "off"],
    "role": ["none", "prop_reader", "prop_writer"],
    "app.tenant": ["''", "'a'", "'b; SELECT'", "'ÿ'"],
    "app.zone": ["'the database''s'", "'c'", "''"],
    "app.level": ["''", "'1'", "'2'"],
}
# a customised setting without a value in the database exists for who has set it only
WITHOUT_DEFAULT = {"app.level"}
NAMES = ["", "", "a", "b", "A", "long" * 20, "tidegate_1"]
PREPARED = ["SELECT 1", "SELECT name FROM which", "SELECT $1::int + 1", "SELECT $1", "SELECT current_setting('work_mem')", "SELECT count(*) FROM which",
            "SELECT generate_series(1, 4)", "SELECT 1/0", "SELECT nothing_there", "syntax error", "", "SELECT current_user", "SELECT float8 '0.1' * 3",
            "SELECT timestamptz '2024-03-01 12:00+00'", "SELECT name, $1::text FROM which WHERE name <> $2", "SELECT 1; SELECT 2", "TABLE t",
            "SELECT set_config('app.tenant', $1, false)", "BEGIN", "COMMIT", "ROLLBACK"]

# docs/pooling.md: what can't be moved
KEEPS = """
SELECT EXISTS (SELECT FROM pg_listening_channels()) OR EXISTS (SELECT FROM pg_cursors WHERE is_holdable)
    OR EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
    OR EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_my_temp_schema())
    OR EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql)
"""

PROBE = """
SELECT (SELECT string_agg(n || '=' || coalesce(current_setting(n, true), ''), E'\\n' ORDER BY n) FROM unnest(ARRAY[{settings}]) n),
  current_user, session_user, (SELECT string_agg(s, ',') FROM unnest(current_schemas(false)) s WHERE s NOT LIKE 'pg_temp%'),
  (SELECT string_agg(c, ',' ORDER BY c) FROM pg_listening_channels() c),
  (SELECT string_agg(name || ':' || statement || is_holdable::text, ',' ORDER BY name) FROM pg_cursors WHERE name <> ''),
  (SELECT string_agg(concat(classid, '/', objid, '/', objsubid, '/', mode), ',' ORDER BY objid, mode) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
  (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  (SELECT string_agg(name || ':' || statement || ':' || parameter_types::text || from_sql::text, ',' ORDER BY name) FROM pg_prepared_statements WHERE name <> 'probe')
""".format(settings=", ".join(f"'{name}'" for name in SETTINGS))

SCHEMA = """
CREATE SCHEMA s1; CREATE SCHEMA s2;
CREATE TABLE public.which (name text); INSERT INTO public.which VALUES ('public');
CREATE TABLE s1.which (name text); INSERT INTO s1.which VALUES ('s1');
CREATE TABLE s2.which (name text); INSERT INTO s2.which VALUES ('s2');
CREATE TABLE public.log (who text, what text);
{sequences}
CREATE VIEW s1.log AS TABLE public.log; CREATE VIEW s2.log AS TABLE public.log;
GRANT USAGE, CREATE ON SCHEMA public, s1, s2 TO app, prop_reader, prop_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA public, s1, s2 TO app, prop_reader, prop_writer;
GRANT INSERT ON public.log, s1.log, s2.log TO app, prop_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app, prop_writer;
""".format(sequences=" ".join(f"CREATE SEQUENCE public.values{client};" for client in range(CLIENTS)))


class Chance:
    """Makes events. Knows nothing of the answers, so that a list of events is one whatever became of it."""

    def __init__(self, seed: int, *, slow: bool = True):
        self.random = random.Random(seed)
        self.life = [0] * CLIENTS
        self.there = [False] * CLIENTS
        self.cancels = 0
        self.slow = slow

    def events(self, count: int) -> list[Event]:
        result: list[Event] = []
        while len(result) < count:
            result += self.event()
        return result + [Event(client, "probe") for client in range(CLIENTS)]

    def event(self) -> list[Event]:
        pick = self.random
        client = pick.randrange(CLIENTS)
        if not self.there[client]:
            self.there[client] = True
            self.life[client] += 1
            return [Event(client, "open", parameters=pick.choice([(), (), (), (("options", "-c work_mem=6MB"),)]))]
        kind = pick.random()
        if kind < 0.07:
            return [Event(client, "probe")]
        if kind < 0.085:
            self.there[client] = False
            messages = self.messages(client) if pick.random() < 0.6 else ()
            length = len(b"".join(messages))
            return [Event(client, "leave", messages, (pick.randrange(length),) if length and pick.random() < 0.5 else (), how=pick.choice(["X", "close", "reset"]))]
        if kind < 0.09:
            return [Event(client, "cancel_idle")]
        if kind < 0.093 and self.slow:
            self.cancels += 1
            text = f"SELECT pg_sleep(20) /* marker{self.cancels} */"
            batch = (wire.parse(text), wire.bind(), wire.execute(), wire.sync(), wire.close("S"), wire.sync())   # nothing long is left to be run again
            return [Event(client, "cancel", pick.choice([(wire.query(text),), batch]))]
        if kind < 0.2:   # back to nothing, or nobody could ever use another server
            return [Event(client, "send", (wire.query("ROLLBACK"),)), *self.tidy(client)]
        messages = self.messages(client)
        length = len(b"".join(messages))
        cuts = tuple(sorted(pick.randrange(length) for _ in range(pick.randrange(4)))) if pick.random() < 0.3 else ()
        return [Event(client, "send", messages, cuts)]

    def tidy(self, client: int) -> list[Event]:
        text = self.random.choice(["DISCARD ALL", "UNLISTEN *; SELECT pg_advisory_unlock_all(); CLOSE ALL; DEALLOCATE ALL; DISCARD TEMP", "SELECT 1"])
        return [Event(client, "send", (wire.query(text),)), Event(client, "probe")]

    def messages(self, client: int) -> tuple[bytes, ...]:
        """A few simple queries and batches, one behind the other."""
        parts: list[bytes] = []
        for _ in range(self.random.choice([1, 1, 1, 1, 2, 3])):
            parts += self.random.choice([self.simple, self.simple, self.batch, self.batch, self.batch, self.copy])(client)
        return tuple(parts)

    def simple(self, client: int) -> list[bytes]:
        return [wire.query("; ".join(self.sql(client) for _ in range(self.random.choice([1, 1, 1, 1, 2, 3]))))]

    def batch(self, client: int) -> list[bytes]:
        pick = self.random
        parts = []
        for _ in range(pick.choice([1, 1, 2, 4])):
            name, portal = pick.choice(NAMES), pick.choice(["", "", "p"])
            text = pick.choice(PREPARED) if pick.random() < 0.7 else self.sql(client)
            if "EXECUTE" in text:   # under a name that nothing else describes (docs/limitations.md)
                parts += [wire.close("S", "execute"), wire.parse(text, "execute"), wire.bind("execute", portal), wire.describe("P", portal), wire.execute(portal)]
                continue
            if "\\" in text:   # once its reading has changed it is refused on another server (docs/limitations.md)
                text = "SELECT 7"
            if text.startswith("FETCH"):   # under a name that nothing else describes: without its cursor that crashes PostgreSQL 15
                parts += [wire.close("S", "fetch"), wire.parse(text, "fetch"), wire.bind("fetch", portal), wire.execute(portal)]
                continue
            if re.match(r"BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE", text) and name in ("a", "b", "A"):
                name = ""   # out of the reach of EXECUTE, of which PostgreSQL 15 would end the session
            values = tuple(pick.choice([b"1", b"s1", b"", None]) for _ in range(text.count("$1") + text.count("$2") if pick.random() < 0.9 else pick.randrange(3)))
            parts += pick.choice([
                lambda: [wire.parse(text, name)],
                lambda: [wire.parse(text, name), wire.bind(name, portal, values), wire.execute(portal)],
                lambda: [wire.parse(text, name), wire.describe("S", name), wire.bind(name, portal, values), wire.describe("P", portal), wire.execute(portal, pick.randrange(3))],
                lambda: [wire.close("S", name), wire.parse(text, name), wire.bind(name, portal, values), wire.execute(portal)],
                lambda: [wire.bind(name, portal), wire.execute(portal)],
                lambda: [wire.bind(name, portal, (b"7",)), wire.describe("P", portal), wire.execute(portal)],
                lambda: [wire.bind(name, portal, (b"7", b"x")), wire.execute(portal)],
                lambda: [wire.describe("S", name)],
                lambda: [wire.close("S", name)],
                lambda: [wire.execute("never")],   # of a portal that is left in a failed transaction it crashes PostgreSQL 15
                lambda: [wire.close("P", portal)],
                lambda: [wire.flush()],
            ])()
        return [*parts, wire.sync()]

    def copy(self, client: int) -> list[bytes]:
        pick = self.random
        data = [wire.copy_data(f"{self.who(client)}\tcopied\n".encode()) for _ in range(pick.randrange(3))]
        if pick.random() < 0.2:
            data.append(wire.copy_data(b"too\tmany\tcolumns\n"))
        end = wire.copy_done() if pick.random() < 0.8 else wire.copy_fail("no more")
        if pick.random() < 0.3:
            return [wire.query(pick.choice(["COPY which TO STDOUT", "COPY (SELECT name FROM which) TO STDOUT (FORMAT csv)", "COPY nothing TO STDOUT"]))]
        if pick.random() < 0.5:
            return [wire.query("COPY public.log FROM STDIN"), *data, end]
        # under a name that nothing else binds: it would wait for data
        return [wire.close("S", "copy"), wire.parse("COPY public.log FROM STDIN", "copy"), wire.bind("copy"), wire.execute(), *data, end, wire.sync()]

    def who(self, client: int) -> str:
        return f"{client}.{self.life[client]}"

    def sql(self, client: int) -> str:
        kinds = {self.reading: 5, self.writing: 3, self.wrong: 1, self.transaction: 6, self.setting: 8, self.prepared: 3, self.temporary: 2,
                 self.channel: 1, self.lock: 1, self.cursor: 1, self.sequence: 0.5}
        return self.random.choices(list(kinds), list(kinds.values()))[0](client)

    def reading(self, _client: int) -> str:
        name = self.random.choice(list(SETTINGS))
        return self.random.choice(["SELECT 1", "SELECT name FROM which", "SELECT generate_series(1, 3)", f"SELECT coalesce(current_setting('{name}', true), '')",
                                   "SELECT date '2024-03-01', interval '1 day 2 hours', float8 '0.1' * 3, bytea '\\x00ff'", "SELECT current_user, session_user",
                                   "SELECT timestamptz '2024-03-01 12:00+00'", "SELECT txid_current_if_assigned() IS NULL", "SHOW transaction_isolation",
                                   "SHOW transaction_read_only", "SELECT U&'d\\0061t', E'\\n'", ""])

    def writing(self, client: int) -> str:
        who = self.who(client)
        return self.random.choice([f"INSERT INTO log VALUES ('{who}', 'written') RETURNING what", f"SELECT count(*) FROM public.log WHERE who = '{who}'"])

    def wrong(self, _client: int) -> str:
        return self.random.choice(["SELECT 1/0", "SELECT nothing_there", "syntax error", "SELECT * FROM no_table", "SET work_mem = 'much'", "SET no.such = 1; SELECT 1/0",
                                   "SET ROLE nobody_there"])

    def transaction(self, _client: int) -> str:
        return self.random.choice(["BEGIN", "BEGIN", "COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "COMMIT AND CHAIN",
                                   "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "SET TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                                   "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED", "START TRANSACTION READ WRITE"])

    def setting(self, client: int) -> str:
        pick = self.random
        name = pick.choice(list(SETTINGS))
        value = pick.choice(SETTINGS[name])
        string = value if value.startswith("'") and ", public" not in value else "'" + value.replace("'", '"') + "'"
        quoted = ".".join(f'"{part}"' for part in name.split(".")) if "." in name else name
        choices = [f"SET {quoted} = {value}", f"SET {name} TO {value}", f"SET SESSION {name} = {value}", f"SET LOCAL {name} = {value}",
                   f"SELECT set_config('{name}', {string}, false)", f"SELECT set_config('{name}', {string}, true)",
                   f"DO $$ BEGIN PERFORM set_config('{name}', {string}, false); END $$"]
        if name == "role":
            choices = [f"SET ROLE {value}", f"SET LOCAL ROLE {value}", "RESET ROLE", f"SELECT set_config('role', '{value}', false)"]
        elif name == "TimeZone":
            choices.append(f"SET TIME ZONE {value}")
        if name not in WITHOUT_DEFAULT:
            choices += [f"RESET {name}", f"SET {name} TO DEFAULT"]
        if pick.random() < 0.05:
            return "RESET ALL"
        return pick.choice(choices)

    def prepared(self, _client: int) -> str:
        pick = self.random
        name = pick.choice(["a", "b", "q"])
        text = pick.choice(["SELECT 1", "SELECT name FROM which", "SELECT $1::int + 1", "SELECT set_config('app.tenant', $1, false)"])
        return pick.choice([f"PREPARE {name} AS {text}", f"EXECUTE {name}", f"EXECUTE {name}(5)", f"EXECUTE {name}", f"EXECUTE {name}(5)", f"DEALLOCATE {name}",
                            "DEALLOCATE ALL", "DISCARD PLANS", "DISCARD ALL", "SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY name",
                            f'EXECUTE "{name.upper()}"', f'DEALLOCATE "{name.upper()}"'])

    def temporary(self, _client: int) -> str:
        return self.random.choice(["CREATE TEMP TABLE t (a int)", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "CREATE TEMPORARY TABLE t (a int) ON COMMIT DELETE ROWS",
                                   "INSERT INTO t VALUES (1)", "TABLE t", "DROP TABLE t", "DROP TABLE IF EXISTS t", "SELECT 1 AS a INTO TEMP u", "DROP TABLE u",
                                   "CREATE TABLE pg_temp.which (name text)", "DROP TABLE pg_temp.which", "DISCARD TEMP", "CREATE TEMP VIEW v AS SELECT 1"])

    def channel(self, _client: int) -> str:
        return self.random.choice(["LISTEN c", "LISTEN d", "UNLISTEN c", "UNLISTEN *", "NOTIFY c, 'x'", "NOTIFY d", "SELECT pg_notify('c', 'y')"])

    def lock(self, client: int) -> str:
        key = f"{client * 10_000_000 + self.life[client]}, {self.random.randrange(2)}"
        return self.random.choice([f"SELECT pg_advisory_lock({key})", f"SELECT pg_try_advisory_lock_shared({key})", f"SELECT pg_advisory_unlock({key})",
                                   "SELECT pg_advisory_unlock_all()", f"SELECT pg_advisory_xact_lock({key})"])

    def sequence(self, client: int) -> str:
        name = f"public.values{client}"
        return self.random.choice([f"SELECT nextval('{name}')", f"SELECT nextval('{name}'); SELECT currval('{name}'), lastval()"])

    def cursor(self, _client: int) -> str:
        return self.random.choice(["DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)", "DECLARE c CURSOR FOR SELECT name FROM which", "FETCH 2 FROM c",
                                   "MOVE 1 IN c", "CLOSE c", "CLOSE ALL"])


@pytest.fixture(scope="module")
def server(request):
    own = Postgres(binaries=request.config.getoption("--postgres"))
    own.execute("CREATE ROLE prop_reader; CREATE ROLE prop_writer; GRANT prop_reader, prop_writer TO app", "postgres")
    for database in ("through", "twin"):
        with own.connect(dbname="postgres") as connection:
            connection.execute(f"CREATE DATABASE {database}")
            connection.execute(f"ALTER DATABASE {database} SET app.tenant = ''")
            connection.execute(f"ALTER DATABASE {database} SET app.zone = 'the database''s'")
        own.execute(SCHEMA, database)
    yield own
    own.close()


def kind_of(reason: str) -> tuple:
    """Of failures that are likely to have one cause."""
    kinds = "nothing more", "Closed", "who has a server", "parameters", "state of the session"
    told = re.search(r"the twin was told \[(.*)\n *the client *\[(.*)", reason)
    return (next((kind for kind in kinds if kind in reason), ""), *([first_told(side) for side in told.groups()] if told else []))


def first_told(messages: str) -> str:
    """The type of the first, and the SQLSTATE of an error."""
    return re.match(r"(\('E', \(\('C', '\w+'|\('\w)?", messages)[0]


@pytest.mark.parametrize("mode", MODES)
def test_each_client_is_told_what_a_session_of_its_own_would_tell(server, mode):
    seed = SEED
    print(f"PROPERTY_STEPS={STEPS} PROPERTY_SEED={seed} mode {mode}")
    events = Chance(seed).events(STEPS)
    for database in ("through", "twin"):   # what leaving clients of another mode's run have written may differ
        server.execute("TRUNCATE public.log", database)
    with server.connect(dbname="postgres") as observer:
        def play(some: list[Event]):
            run = Run(gateway, Target(server), user="app", databases=("through", "twin"), size=SIZE, probe=PROBE, keeps=KEEPS, observer=observer)
            try:
                run.play(some)
            finally:
                run.close()

        def fails(some: list[Event]) -> bool:
            gateway.assert_alive()
            try:
                play(some)
                return False
            except Difference as difference:
                if reasons and kind_of(reasons[0]) != kind_of(str(difference)):
                    return False
                reasons.append(str(difference))
                return True

        reasons: list[str] = []
        # nothing is refused, and a client waits as long as others keep the servers
        policies = {"mode": mode, "on_unparsable": "allow", "rules": {"drop-table": "allow", "lock-timeout-disabled": "allow"}}
        gateway = Gateway(server, {"policies": policies, "timeouts": {"query_wait": "1h"}, "databases": {"*": {"pool": {"mode": "transaction", "size": SIZE}}}})
        try:
            began = time.monotonic()
            if fails(events):
                gateway.may_end = True   # one failure is enough
                print(reasons[0], gateway.output()[-2000:], "\n".join(line for line in server.tail(3000).splitlines() if "FATAL" in line or "PANIC" in line), sep="\n")
                if os.environ.get("PROPERTY_SHRINK", "1") != "0":
                    short = shrink(events[:int(reasons[0].split(":")[0].removeprefix("event ")) + 1], fails, seconds=float(os.environ.get("PROPERTY_SHRINK") or 120))
                    reasons.append("shortened to\n  " + "\n  ".join(map(str, short)))
                    fails(short)
                pytest.fail(f"PROPERTY_STEPS={STEPS} PROPERTY_SEED={seed} mode {mode}\n{reasons[0]}\n" + "\n".join(reasons[-2:]), pytrace=False)
            print(f"{len(events)} events in {time.monotonic() - began:.1f} s")
        finally:
            gateway.close()
