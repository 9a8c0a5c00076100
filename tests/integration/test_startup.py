"""Startup packets: versions, parameters, names, and what may be said before authentication."""

import struct

import pytest

from support import wire

pytestmark = pytest.mark.usefixtures("bystander")


def refusal(client: wire.Wire) -> str:
    """The SQLSTATE that the connection ends with."""
    messages = client.read_rest(5)
    assert wire.types(messages) == "E", messages
    assert messages[0].fields()["S"] == "FATAL"
    return messages[0].sqlstate


# -- 6: versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1 << 16, 2 << 16, 4 << 16, 0xFFFFFFFF, (1234 << 16) | 9999])
def test_other_major_versions_are_refused(target, version):
    if target.direct and version == 2 << 16 and target.postgres.version() < 140000:
        pytest.skip("PostgreSQL 12 and 13 still speak version 2")
    with target.wire() as client:
        client.send(wire.startup(version=version))
        # versions before 3 had errors of another form: an E and a text
        answer = b""
        with pytest.raises(wire.Closed):
            while True:
                answer += client.read_bytes(1, 5)
        assert answer[:1] in (b"", b"E") and len(answer) < 500
        assert not answer or b"protocol" in answer


def negotiated(messages) -> tuple[tuple[int, int], list[str]]:
    """Version and options of the one NegotiateProtocolVersion."""
    (body,) = [message.body for message in messages if message.type == "v"]
    version, count = struct.unpack_from("!Ii", body)
    names = [name.decode() for name in body[8:].split(b"\0")[:-1]]
    assert len(names) == count
    return (version >> 16, version & 0xFFFF), names


@pytest.mark.parametrize("minor", [3, 3999, 9999])
def test_unknown_minor_version_is_negotiated_once(target, minor):
    with target.wire() as client:
        client.send(wire.startup(version=(3 << 16) | minor))
        version, names = negotiated(client.read_until("Z"))
        assert version in ((3, 0), (3, 2))
        assert names == []
        assert wire.types(client.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("version", [wire.PROTOCOL_3_0, wire.PROTOCOL_3_2])
def test_unknown_protocol_options_are_named_once(target, version):
    with target.wire() as client:
        client.send(wire.startup(version=version, parameters={"_pq_.one": "1", "application_name": "a", "_pq_.two": "x"}))
        _, names = negotiated(client.read_until("Z"))
        assert names == ["_pq_.one", "_pq_.two"]
        assert client.value("SHOW application_name") == "a"


def test_version_3_1_that_never_was_is_served(target):
    with target.login(version=(3 << 16) | 1) as client:
        assert wire.types(client.query("SELECT 1")) == "TDCZ"


def test_version_3_2_is_spoken_or_negotiated(target):
    with target.login(version=wire.PROTOCOL_3_2) as client:
        assert 4 <= len(client.key) <= 256
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
        assert wire.types(client.sync(wire.parse("SELECT 1"), wire.bind(), wire.execute())) == "12DCZ"


def test_version_3_0_gets_a_key_of_four_bytes(target):
    with target.login() as client:
        assert len(client.key) == 4


# -- 7: names and parameters ------------------------------------------------------------------------------------------------


def test_startup_without_a_user_is_refused(target):
    with target.wire() as client:
        client.send(wire.startup(user=None))
        assert refusal(client) == "28000"


def test_startup_with_an_empty_user_is_refused(target):
    with target.wire() as client:
        client.send(wire.startup(user=""))
        assert refusal(client) in ("28000", "28P01")


def test_database_defaults_to_the_user(target):
    with target.login(database=None) as client:
        assert client.value("SELECT current_database()") == "app"


def test_the_last_of_duplicate_parameters_counts(target):
    pairs = [("user", "nobody_there"), ("user", "app"), ("database", "app"), ("application_name", "first"), ("application_name", "second")]
    with target.wire() as client:
        client.send(wire.startup_packet(wire.PROTOCOL_3_0, wire.startup_parameters(pairs)))
        client.authenticate("app", None)
        assert client.value("SELECT current_user || ' ' || current_setting('application_name')") == "app second"


@pytest.mark.parametrize("rest", [b"user\0app\0", b"user\0app", b"user", b"user\0app\0database\0", b"user\0app\0\0garbage\0"],
                         ids=["no end", "no zero", "a name alone", "a name without its value", "garbage after the end"])
def test_parameters_that_do_not_end_are_refused(target, rest):
    with target.wire() as client:
        client.send(wire.startup_packet(wire.PROTOCOL_3_0, rest))
        assert wire.errors(client.read_rest(5)) in ([], ["08P01"])


@pytest.mark.parametrize("name", ["no such database", "x" * 64, "x" * 2000, 'a"b', "a'b; DROP TABLE x", "a\\b", "../etc", "é" * 40, "\x01"])
def test_strange_database_names_are_refused_by_name(target, name):
    with pytest.raises(wire.LoginRefused) as refused:
        target.login(database=name)
    assert refused.value.sqlstate == "3D000"


@pytest.mark.parametrize("name", ["nobody_there", "x" * 64, "x" * 2000, 'a"b', "a'b; DROP TABLE x", "a,b=c", "é" * 40, "\x01"])
def test_strange_users_are_refused(target, name):
    with pytest.raises(wire.LoginRefused) as refused:
        target.login(user=name)
    assert refused.value.sqlstate in ("28000", "28P01")


def test_quoted_names_work(target, postgres):
    role, database = 'odd "role", \'x\'', 'odd "db" \\'
    quote = lambda name: '"' + name.replace('"', '""') + '"'
    with postgres.connect() as admin:
        admin.execute(f"CREATE ROLE {quote(role)} LOGIN")
        admin.execute(f"CREATE DATABASE {quote(database)}")
    try:
        with target.login(role, database) as client:
            assert client.value("SELECT current_user") == role
            assert client.value("SELECT current_database()") == database
    finally:
        postgres.drop_database(database)
        postgres.execute(f"DROP ROLE {quote(role)}")


def test_names_of_64_bytes_and_more_are_truncated_as_postgresql_does(target, postgres):
    with postgres.connect() as admin:
        admin.execute("CREATE ROLE " + "r" * 63 + " LOGIN")
        admin.execute("CREATE DATABASE " + "d" * 63)
    try:
        with target.login("r" * 63, "d" * 63) as client:
            assert client.value("SELECT current_user") == "r" * 63
        for user, database in (("r" * 64, "d" * 63), ("r" * 63, "d" * 64)):
            try:
                target.login(user, database).close()
            except wire.LoginRefused as refused:
                assert refused.sqlstate in ("28000", "3D000")
    finally:
        postgres.drop_database("d" * 63)
        postgres.execute("DROP ROLE " + "r" * 63)


@pytest.mark.parametrize("parameters, state", [
    ({"no_such_setting": "1"}, "42704"),
    ({"work_mem": "much"}, "22023"),
    ({"client_encoding": "KLINGON"}, "22023"),
    ({"options": "-c no_such_setting=1"}, "42704"),
    ({"options": "--no-such"}, "42601"),
    ({"options": "-c"}, "42601"),
    ({"options": "-B 5"}, "55P02"),
    ({"shared_buffers": "1GB"}, "55P02"),
    ({"application_name": "\x01\x02'\"\\ é" * 50}, None),
    ({"options": '-c search_path="a\\ b",c -c geqo=off'}, None),
    ({"my.own": "value"}, None),
    ({"replication": "nonsense"}, "22023"),
])
def test_parameters_are_judged_by_the_server(target, parameters, state):
    if state:
        with pytest.raises(wire.LoginRefused) as refused:
            target.login(parameters=parameters)
        assert refused.value.sqlstate == state
    else:
        with target.login(parameters=parameters) as client:
            assert wire.types(client.query("SELECT 1")) == "TDCZ"


def test_startup_parameters_take_effect(target):
    with target.login(parameters={"options": "-c geqo=off -cwork_mem=3MB --jit=off", "DateStyle": "German", "my.own": "mine"}) as client:
        values = "SELECT concat_ws(' ', current_setting('geqo'), current_setting('work_mem'), current_setting('jit'), " \
                 "current_setting('DateStyle'), current_setting('my.own'))"
        assert client.value(values) == "off 3MB off German, DMY mine"
        assert client.parameters["DateStyle"] == "German, DMY"


def test_parameter_statuses_are_those_of_the_server(target, postgres):
    with target.login(parameters={"application_name": "x"}) as through, \
            wire.Wire.connect(postgres.host, postgres.port).login(parameters={"application_name": "x"}) as direct:
        assert through.parameters == direct.parameters


@pytest.mark.parametrize("replication", ["database", "true", "on", "1"])
def test_replication_connections_are_accepted(target, replication):
    with target.login("postgres", parameters={"replication": replication}) as client:
        messages = client.query("IDENTIFY_SYSTEM")
        assert wire.types(messages) == "TDCZ"


# -- 8: the client's parameters never reach what decides about it --------------------------------------------------------------


@pytest.fixture
def trap(postgres):
    """A schema that anyone may name in a search_path, with a table and functions called like those of a lookup."""
    with postgres.connect() as admin:
        admin.execute("""
            CREATE SCHEMA trap;
            CREATE TABLE trap.log (what text);
            CREATE TABLE trap.pg_authid (rolname name, rolpassword text, rolcanlogin bool, rolvaliduntil timestamptz);
            INSERT INTO trap.pg_authid VALUES ('scram_user', 'md5' || md5('openscram_user'), true, NULL);
            CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$ INSERT INTO trap.log VALUES ('now'); SELECT pg_catalog.now() $$;
            GRANT USAGE ON SCHEMA trap TO PUBLIC;
            GRANT ALL ON ALL TABLES IN SCHEMA trap TO PUBLIC""")
    yield
    postgres.execute("DROP SCHEMA trap CASCADE")


@pytest.mark.gateway_only
@pytest.mark.parametrize("parameters", [
    {"search_path": "trap, pg_catalog"}, {"options": "-c search_path=trap,pg_catalog"}, {"options": "-csearch_path=trap,pg_catalog -c role=postgres"},
    {"role": "postgres", "search_path": "trap, pg_catalog"}, {"session_authorization": "postgres"}])
def test_startup_parameters_do_not_reach_the_lookup_of_secrets(make_gateway, postgres, trap, parameters):
    query = "SELECT rolname, rolpassword, rolcanlogin AND coalesce(rolvaliduntil > now(), true) FROM pg_authid WHERE rolname = $1"
    gateway = make_gateway({"auth": {"method": "scram-sha-256", "auth_query": {"database": "app", "user": "postgres", "query": query}}})
    with pytest.raises(wire.LoginRefused) as refused:
        gateway.login("scram_user", password="open", parameters=parameters)
    assert refused.value.sqlstate == "28P01"
    assert postgres.execute("SELECT count(*) FROM trap.log") == [(0,)]


@pytest.mark.parametrize("parameters, state", [
    ({"role": "postgres"}, ("42501", "22023")), ({"session_authorization": "postgres"}, ("42501", "22023", "42704", "55P02")),
    ({"options": "-c role=postgres"}, ("42501", "22023")), ({"options": "-c session_authorization=postgres"}, ("42501", "22023", "42704", "55P02"))])
def test_startup_parameters_give_no_rights(target, parameters, state):
    try:
        with target.login(parameters=parameters) as client:
            assert client.value("SELECT current_user || ' ' || session_user") == "app app"
    except wire.LoginRefused as refused:
        assert refused.sqlstate in state
