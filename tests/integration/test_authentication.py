"""Who may come in: the methods, and what is said in the wrong moment while they run."""

import base64
import hashlib
import json
import statistics
import struct
import time

import psycopg
import pytest

from support import process, scram, wire
from support.gateway import Gateway
from support.process import wait_until
from support.target import Bystander, Target


def users_file(tmp_path, **secrets: str):
    """A user file in PostgreSQL's form: "name" "secret"."""
    file = tmp_path / "users.txt"
    file.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in secrets.items()))
    return file


def md5_secret(user: str, password: str) -> str:
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def stored_secret(postgres, user: str) -> str:
    """The server's own secret: only with the same salt does the client's proof serve there too."""
    return postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", "postgres", (user,))[0][0]


@pytest.fixture(scope="module")
def scram_gateway(request, postgres, tmp_path_factory):
    """scram-sha-256 from a user file; the server asks `scram_user` as well, and is shown the key that the client has proved to have."""
    if request.config.getoption("--direct"):
        yield Target(postgres)
        return
    file = users_file(tmp_path_factory.mktemp("users"), scram_user=stored_secret(postgres, "scram_user"), app=scram.secret("app"),
                      slow=scram.secret("slow", 400_000))
    gateway = Gateway(postgres, {"auth": {"method": "scram-sha-256", "user_file": str(file)}})
    yield gateway
    gateway.close()


@pytest.fixture
def asking(scram_gateway):
    """Something that asks `scram_user` for a password by SCRAM, with a client beside the test."""
    scram_gateway.assert_alive()
    if scram_gateway.direct:
        yield scram_gateway
        return
    before = scram_gateway.client_descriptors()
    yield scram_gateway
    with scram_gateway.login("scram_user", password="scram_user") as client:
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
    wait_until(lambda: scram_gateway.client_descriptors() <= before, what="descriptors are closed")


def begin_sasl(client: wire.Wire, user: str = "scram_user") -> wire.Wire:
    """Startup up to the offer of mechanisms."""
    client.send(wire.startup(user))
    message = client.read()
    assert message.type == "R" and struct.unpack_from("!i", message.body) == (10,), message
    assert b"SCRAM-SHA-256\0" in message.body
    return client


def refused(client: wire.Wire) -> list[str]:
    messages = client.read_rest(10)
    assert set(wire.types(messages)) <= {"E", "R"}, messages
    return wire.errors(messages)


# -- 10: the exchange, spoilt -------------------------------------------------------------------------------------------------


def test_right_password_enters(asking):
    with asking.login("scram_user", password="scram_user") as client:
        assert client.value("SELECT current_user") == "scram_user"


@pytest.mark.parametrize("password", ["wrong", "", "scram_user ", "x" * 1000])
def test_wrong_password_does_not(asking, password):
    with pytest.raises(wire.LoginRefused) as refusal:
        asking.login("scram_user", password=password)
    assert refusal.value.sqlstate == "28P01"


@pytest.mark.parametrize("early", [wire.query("SELECT 1"), wire.parse("SELECT 1") + wire.sync(), wire.sync(), wire.terminate(), wire.copy_data(b"x"),
                                   wire.function_call(177, ())], ids=["query", "parse", "sync", "terminate", "copy", "function"])
@pytest.mark.parametrize("moment", ["before the mechanism", "within the exchange"])
def test_message_before_authentication_is_done_is_refused(asking, early, moment):
    with begin_sasl(asking.wire()) as client:
        if moment == "within the exchange":
            client.send(wire.sasl_initial("SCRAM-SHA-256", scram.Client("scram_user").first()))
            assert client.read().type == "R"
        client.send(early)
        assert set(refused(client)) <= {"08P01", "28000", "28P01"}


def test_query_pipelined_behind_a_wrong_password_is_not_run(asking, postgres):
    postgres.execute("CREATE TABLE IF NOT EXISTS too_early (a int); GRANT ALL ON too_early TO PUBLIC")
    try:
        with begin_sasl(asking.wire()) as client:
            exchange = scram.Client("wrong")
            client.send(wire.sasl_initial(exchange.mechanism, exchange.first()))
            first = client.read().body[4:]
            client.send(wire.sasl_response(exchange.final(first)), wire.query("INSERT INTO too_early VALUES (1)"))
            assert refused(client) in (["28P01"], ["28P01", "08P01"])
        assert postgres.execute("SELECT count(*) FROM too_early") == [(0,)]
    finally:
        postgres.execute("DROP TABLE too_early")


INITIAL = {
    "unknown mechanism": wire.sasl_initial("SCRAM-SHA-1", b"n,,n=,r=abc"),
    "empty mechanism": wire.sasl_initial("", b"n,,n=,r=abc"),
    "plus without TLS": wire.sasl_initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abcabcabcabcabcabc"),
    "no data": wire.sasl_initial("SCRAM-SHA-256", b""),
    "length beyond the message": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc", length=10_000),
    "length shorter than the data": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc", length=3),
    "negative length": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc", length=-7),
    "mechanism without its zero": wire.message("p", b"SCRAM-SHA-256"),
    "empty message": wire.message("p", b""),
    "cleartext password": wire.password_message("scram_user"),
    "bad gs2 flag": wire.sasl_initial("SCRAM-SHA-256", b"x,,n=,r=abcabcabcabcabcabc"),
    "gs2 flag p in the plain mechanism": wire.sasl_initial("SCRAM-SHA-256", b"p=tls-unique,,n=,r=abcabcabcabcabcabc"),
    "authorization identity": wire.sasl_initial("SCRAM-SHA-256", b"n,a=postgres,n=,r=abcabcabcabcabcabc"),
    "no gs2 header": wire.sasl_initial("SCRAM-SHA-256", b"n=,r=abcabcabcabcabcabc"),
    "mandatory extension": wire.sasl_initial("SCRAM-SHA-256", b"n,,m=must,n=,r=abcabcabcabcabcabc"),
    "no nonce": wire.sasl_initial("SCRAM-SHA-256", b"n,,n="),
    "empty nonce": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r="),
    "nonce of unprintable bytes": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=\x01\x02\x03\x04\x05\x06\x07\x7f"),
    "nul in the middle": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc\0def"),
    "nonce of 60 kB": wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=" + b"a" * 60_000),
}


@pytest.mark.parametrize("data", INITIAL.values(), ids=INITIAL.keys())
def test_spoilt_first_message_is_refused(asking, data):
    with begin_sasl(asking.wire()) as client:
        client.send(data)
        client.half_close()   # an exchange that is accepted so far must end for want of a second message
        assert set(refused(client)) <= {"08P01", "28P01", "28000", "0A000"}


@pytest.mark.parametrize("spoil", ["nonce", "truncated proof", "empty proof", "long proof", "not base64", "no proof", "wrong binding", "empty", "extension", "a megabyte"])
def test_spoilt_last_message_is_refused(asking, spoil):
    with begin_sasl(asking.wire()) as client:
        exchange = scram.Client("scram_user")
        client.send(wire.sasl_initial(exchange.mechanism, exchange.first()))
        first = client.read().body[4:]
        right = exchange.final(first)
        without_proof = right.rsplit(b",p=", 1)[0]
        encode = base64.b64encode
        data = {
            "nonce": lambda: exchange.final(first, nonce=exchange.nonce + "another"),
            "truncated proof": lambda: right[:-8],
            "empty proof": lambda: without_proof + b",p=",
            "long proof": lambda: without_proof + b",p=" + encode(b"x" * 4000),
            "not base64": lambda: without_proof + b",p=!!!!" + b"?" * 40,
            "no proof": lambda: without_proof,
            "wrong binding": lambda: exchange.final(first, binding="y,,"),
            "empty": lambda: b"",
            "extension": lambda: without_proof + b",x=1" + right[len(without_proof):],
            "a megabyte": lambda: without_proof + b",x=" + b"a" * (1 << 20) + right[len(without_proof):],
        }[spoil]()
        try:
            client.send(wire.sasl_response(data))
            client.half_close()
        except (OSError, wire.Closed):   # closed before all of it was sent
            return
        assert set(refused(client)) <= {"08P01", "28P01", "28000"}


def test_password_message_that_claims_a_gigabyte_is_refused_at_once(asking):
    with begin_sasl(asking.wire()) as client:
        client.send(wire.message("p", b"SCRAM", length=2**30))
        assert set(refused(client)) <= {"08P01", "28P01", "28000"}


def test_client_that_says_it_could_bind_channels_enters_when_none_is_offered(asking):
    exchange = scram.Client("scram_user", gs2_header="y,,")
    with begin_sasl(asking.wire()) as client:
        client.send(wire.sasl_initial(exchange.mechanism, exchange.first()))
        client.send(wire.sasl_response(exchange.final(client.read().body[4:])))
        assert client.read_until("Z")[-1].type == "Z"


def test_channel_binding_downgrade_is_noticed(asking, certificates, make_tls_scram):
    """Under TLS with SCRAM-SHA-256-PLUS on offer, 'y' means that somebody in the middle took the offer away."""
    gateway = asking if asking.direct else make_tls_scram()
    with gateway.wire().start_tls() as client:
        client.send(wire.startup("scram_user"))
        offered = client.read().body
        exchange = scram.Client("scram_user", gs2_header="y,,")
        client.send(wire.sasl_initial(exchange.mechanism, exchange.first()))
        if b"SCRAM-SHA-256-PLUS" in offered:
            assert set(refused(client)) <= {"08P01", "28000", "28P01"}
        else:
            client.send(wire.sasl_response(exchange.final(client.read().body[4:])))
            assert client.read_until("Z")[-1].type == "Z"


@pytest.fixture
def make_tls_scram(make_gateway, certificates, tmp_path):
    def make():
        certificate, key = certificates.server()
        return make_gateway({
            "listen": [{"address": "127.0.0.1", "port": process.free_port(), "tls": {"mode": "require", "certificate": str(certificate), "key": str(key)}}],
            "auth": {"method": "scram-sha-256", "user_file": str(users_file(tmp_path, scram_user=scram.secret("scram_user")))}})
    return make


def test_endless_wrong_passwords_leave_nothing(asking):
    before = asking.resident()
    for _ in range(60):
        with pytest.raises(wire.LoginRefused):
            asking.login("scram_user", password="wrong")
    assert asking.resident() - before < 16 << 20


@pytest.mark.gateway_only
def test_unknown_user_is_asked_and_refused_like_a_known_one(asking):
    """The same messages, the same number of iterations, about the same time: names cannot be guessed."""
    def attempt(user: str) -> tuple[list, float]:
        with asking.wire() as client:
            started = time.perf_counter()
            begin_sasl(client, user)
            exchange = scram.Client("wrong")
            client.send(wire.sasl_initial(exchange.mechanism, exchange.first()))
            first = client.read().body[4:]
            client.send(wire.sasl_response(exchange.final(first)))
            (error,) = client.read_rest()
            fields = error.fields()
            fields["M"] = fields["M"].replace(user, "USER")
            salt = first.split(b",s=")[1].split(b",")[0]
            return [fields, first.split(b",i=")[1], len(base64.b64decode(salt))], time.perf_counter() - started

    known, unknown = zip(*((attempt("scram_user"), attempt("nobody_here")) for _ in range(15)))
    assert known[0][0] == unknown[0][0]
    ratio = statistics.median(t for _, t in known) / statistics.median(t for _, t in unknown)
    assert 0.4 < ratio < 2.5


@pytest.mark.gateway_only
def test_salt_of_an_unknown_user_is_stable(asking):
    """A salt that changes with each attempt would tell that the user is not there."""
    salts = set()
    for _ in range(3):
        with begin_sasl(asking.wire(), "nobody_here") as client:
            client.send(wire.sasl_initial("SCRAM-SHA-256", scram.Client("x").first()))
            salts.add(client.read().body.split(b",s=")[1])
    assert len(salts) == 1


@pytest.mark.gateway_only
def test_slow_hashing_does_not_hold_up_queries(asking):
    """Proofs with many iterations are checked off the data path: the server's part is cheap, and so are its neighbours."""
    with asking.login("scram_user", password="scram_user") as client:
        attempts = [begin_sasl(asking.wire(), "slow") for _ in range(4)]
        exchanges = [scram.Client("wrong") for _ in attempts]
        for attempt, exchange in zip(attempts, exchanges):
            attempt.send(wire.sasl_initial(exchange.mechanism, exchange.first()))
        finals = [exchange.final(attempt.read().body[4:], proof=b"x" * 32) for attempt, exchange in zip(attempts, exchanges)]
        for attempt, final in zip(attempts, finals):
            attempt.send(wire.sasl_response(final))
        started = time.perf_counter()
        assert wire.types(client.query("SELECT 1")) == "TDCZ"
        assert time.perf_counter() - started < 1
        for attempt in attempts:
            assert refused(attempt) == ["28P01"]
            attempt.close()


# -- methods --------------------------------------------------------------------------------------------------------------------


@pytest.mark.gateway_only
def test_trust_enters_as_whoever_asks(target):
    for user in ("app", "postgres"):
        with target.login(user) as client:
            assert client.value("SELECT current_user") == user


@pytest.mark.gateway_only
def test_md5_from_a_user_file(make_gateway, postgres, tmp_path):
    file = users_file(tmp_path, app=md5_secret("app", "secret"), scram_user=stored_secret(postgres, "scram_user"))
    gateway = make_gateway({"auth": {"method": "md5", "user_file": str(file)}})
    with gateway.login("app", password="secret") as client:
        assert client.value("SELECT current_user") == "app"
    with gateway.login("scram_user", password="scram_user") as client:   # a SCRAM secret is asked for by SCRAM
        assert client.value("SELECT current_user") == "scram_user"
    for user in ("app", "nobody_here"):
        with pytest.raises(wire.LoginRefused) as refusal:
            gateway.login(user, password="wrong")
        assert refusal.value.sqlstate == "28P01"


@pytest.mark.gateway_only
def test_secrets_by_auth_query(make_gateway, postgres):
    gateway = make_gateway({"auth": {"method": "scram-sha-256", "auth_query": {"database": "app", "user": "postgres"}}})
    with gateway.login("scram_user", password="scram_user") as client:   # to the server by the client's own key
        assert client.value("SELECT current_user") == "scram_user"
    for user, password in (("scram_user", "wrong"), ("nobody_here", "x"), ("expired_user", "expired_user"), ("nologin_user", "nologin_user")):
        with pytest.raises(wire.LoginRefused) as refusal:
            gateway.login(user, password=password)
        assert refusal.value.sqlstate in ("28P01", "28000"), user


@pytest.mark.gateway_only
def test_changed_password_counts_at_once_with_auth_query(make_gateway, postgres):
    gateway = make_gateway({"auth": {"method": "scram-sha-256", "auth_query": {"database": "app", "user": "postgres"}}})
    postgres.execute("CREATE ROLE changing LOGIN PASSWORD 'old'")
    try:
        gateway.login("changing", password="old").close()
        postgres.execute("ALTER ROLE changing PASSWORD 'new'")
        gateway.login("changing", password="new").close()
        with pytest.raises(wire.LoginRefused):
            gateway.login("changing", password="old")
    finally:
        postgres.execute("DROP ROLE changing")


@pytest.mark.gateway_only
@pytest.mark.parametrize("user, state", [("scram_user", "28P01"), ("md5_user", "28P01"), ("nobody_here", "28000")])
def test_passthrough_lets_the_server_judge(make_gateway, user, state):
    gateway = make_gateway({"auth": {"method": "passthrough"}})
    if user != "nobody_here":
        with gateway.login(user, password=user) as client:
            assert client.value("SELECT current_user") == user
    with pytest.raises(wire.LoginRefused) as refusal:
        gateway.login(user, password="wrong")
    assert refusal.value.sqlstate == state


@pytest.mark.gateway_only
@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_passthrough_under_tls(make_gateway, certificates, user):
    """SCRAM cannot be relayed between two TLS connections: the gateway asks for the password itself."""
    certificate, key = certificates.server()
    gateway = make_gateway({
        "listen": [{"address": "127.0.0.1", "port": process.free_port(), "tls": {"mode": "require", "certificate": str(certificate), "key": str(key)}}],
        "auth": {"method": "passthrough"}, "databases": {"*": {"server_tls": {"mode": "require"}}}})
    with psycopg.connect(gateway.uri(user=user, password=user, sslmode="require")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (user,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(gateway.uri(user=user, password="wrong", sslmode="require"))
    with pytest.raises(psycopg.OperationalError):   # a server that asks for nothing proves nothing
        psycopg.connect(gateway.uri(user="app", password="app", sslmode="require"))


@pytest.mark.gateway_only
def test_client_certificates(make_gateway, certificates):
    certificate, key = certificates.server()
    gateway = make_gateway({
        "listen": [{"address": "127.0.0.1", "port": process.free_port(),
                    "tls": {"mode": "require", "certificate": str(certificate), "key": str(key), "ca": str(certificates.ca)}}],
        "auth": {"method": "cert"}})
    own_certificate, own_key = map(str, certificates.issue("app"))
    with psycopg.connect(gateway.uri(sslmode="require", sslcert=own_certificate, sslkey=own_key)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app",)
    with pytest.raises(psycopg.OperationalError):   # somebody else's name
        psycopg.connect(gateway.uri(user="postgres", sslmode="require", sslcert=own_certificate, sslkey=own_key))
    with pytest.raises(psycopg.OperationalError):   # no certificate
        psycopg.connect(gateway.uri(sslmode="require"))


@pytest.mark.gateway_only
def test_list_of_rules_decides_by_user_and_database(make_gateway, postgres, tmp_path):
    file = users_file(tmp_path, scram_user=stored_secret(postgres, "scram_user"))
    gateway = make_gateway({"auth": {"user_file": str(file), "method": None, "rules": [
        {"users": ["app"], "databases": ["app"], "method": "trust"},
        {"users": ["app"], "method": "reject"},
        {"users": ["scram_user"], "address": ["127.0.0.0/8"], "method": "scram-sha-256"},
        {"users": ["md5_user"], "address": ["10.0.0.0/8"], "method": "trust"}]}})
    gateway.login("app", "app").close()
    gateway.login("scram_user", password="scram_user").close()
    for user, database in (("app", "postgres"), ("md5_user", "app"), ("postgres", "app")):
        with pytest.raises(wire.LoginRefused) as refusal:
            gateway.login(user, database)
        assert refusal.value.sqlstate == "28000"


@pytest.mark.gateway_only
@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_server_asks_the_gateway_for_a_password(make_gateway, user):
    """Credentials used on the server instead of the client's own. A cleartext request is answered under TLS only."""
    settings = {"databases": {"*": {"server_auth": {"user": user, "password": user}, "server_tls": {"mode": "require"}}}}
    with make_gateway(settings).login("app") as client:
        assert client.value("SELECT current_user") == user
    settings["databases"]["*"]["server_tls"]["mode"] = "disable"
    if user == "password_user":
        with pytest.raises(wire.LoginRefused):
            make_gateway(settings).login("app")


@pytest.mark.gateway_only
def test_client_certificate_of_the_gateway_at_the_server(make_gateway, certificates):
    certificate, key = map(str, certificates.issue("cert_user"))
    gateway = make_gateway({"databases": {"*": {"server_tls": {"mode": "require", "certificate": certificate, "key": key}}}})
    with gateway.login("cert_user") as client:
        assert client.value("SELECT current_user") == "cert_user"


@pytest.mark.gateway_only
def test_secrets_are_in_no_log(make_gateway, tmp_path):
    secret = scram.secret("hunter2-hunter2")
    gateway = make_gateway({"auth": {"method": "scram-sha-256", "user_file": str(users_file(tmp_path, app=secret))}, "log": {"level": "trace"}})
    gateway.login("app", password="hunter2-hunter2").close()
    with pytest.raises(wire.LoginRefused):
        gateway.login("app", password="wrong-wrong-wrong")
    output = gateway.output()
    for word in ("hunter2", "wrong-wrong", secret.split("$")[2]):
        assert word not in output, json.dumps(word)


def test_bystander_is_served_throughout(target):
    other = Bystander(target)
    for _ in range(20):
        client = target.wire().send(wire.startup("scram_user"))
        client.close()
    other.assert_unharmed()


def test_servers_are_logged_in_with_the_latest_proof_although_an_older_one_is_known(make_gateway, postgres):
    """A password that is changed and put back, while each thread remembers another login."""
    gateway = make_gateway({"threads": 2, "auth": {"method": "scram-sha-256", "auth_query": {"database": "app", "user": "postgres"}},
                            "databases": {"*": {"pool": {"mode": "transaction", "size": 3}}}})

    def served(password: str, clients: int):
        opened = [wire.Wire.connect(gateway.host, gateway.port).login("scram_user", "app", password=password) for _ in range(clients)]
        for each in opened:
            assert each.value("SELECT 1") == "1"
            each.close()

    def end_servers():
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'scram_user'", "postgres")
        wait_until(lambda: postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'scram_user'", "postgres") == [(0,)], what="no server is left")

    ((old,),) = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_user'", "postgres")
    try:
        served("scram_user", 6)
        postgres.execute("ALTER ROLE scram_user PASSWORD 'other'", "postgres")
        end_servers()
        # it stays, so that the next come to the other thread
        with wire.Wire.connect(gateway.host, gateway.port).login("scram_user", "app", password="other") as stays:
            assert stays.value("SELECT 1") == "1"
            postgres.execute(f"ALTER ROLE scram_user PASSWORD '{old}'", "postgres")
            for _ in range(3):
                end_servers()
                served("scram_user", 1)
    finally:
        postgres.execute(f"ALTER ROLE scram_user PASSWORD '{old}'", "postgres")
