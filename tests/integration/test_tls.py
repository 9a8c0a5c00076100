"""TLS with clients: the ways to ask for it, and the ways to cheat with it. PostgreSQL 15 is the model where --direct says so."""

import contextlib
import os
import shutil
import ssl
import subprocess

import psycopg
import pytest

from support import process, wire
from support.certificates import Certificates
from support.gateway import Gateway, merged
from support.target import Bystander, Target

SSL_REQUEST = wire.startup_packet(wire.SSL_REQUEST)
GSSENC_REQUEST = wire.startup_packet(wire.GSSENC_REQUEST)


@pytest.fixture(scope="module")
def tls_gateway(request, postgres, certificates):
    if request.config.getoption("--direct"):
        yield Target(postgres)
        return
    gateway = make_tls_gateway(postgres, certificates)
    yield gateway
    gateway.close()


def make_tls_gateway(postgres, certificates, settings: dict | None = None, **tls):
    certificate, key = certificates.server()
    port = process.free_port()
    listen = {"address": "127.0.0.1", "port": port,
              "tls": {"mode": "prefer", "certificate": str(certificate), "key": str(key), "ca": str(certificates.ca)} | tls}
    return Gateway(postgres, merged({"listen": [listen]}, settings or {}))


@pytest.fixture
def tls(tls_gateway):
    """A gateway that takes TLS and plain connections, with somebody else connected to it."""
    tls_gateway.assert_alive()
    other = Bystander(tls_gateway)
    yield tls_gateway
    other.assert_unharmed()


@pytest.fixture
def make_tls(postgres, certificates):
    """Gateways with TLS settings of the test's own."""
    gateways = []

    def make(settings: dict | None = None, **tls):
        gateways.append(make_tls_gateway(postgres, certificates, settings, **tls))
        return gateways[-1]

    yield make
    for gateway in gateways:
        gateway.close()


def assert_serves(client: wire.Wire):
    assert wire.types(client.query("SELECT repeat('x', 100000)")) == "TDCZ"
    assert wire.types(client.sync(wire.parse("SELECT 1"), wire.bind(), wire.execute())) == "12DCZ"


# -- asking for it -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_queries_run_under_tls(tls, version):
    with tls.wire().start_tls(wire.client_context(minimum=version, maximum=version)).login() as client:
        assert_serves(client)


def test_old_tls_versions_are_refused(tls):
    context = wire.client_context(minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError, wire.Closed)):
        tls.wire().start_tls(context)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_every_mode_of_libpq_connects(tls, certificates, mode):
    with psycopg.connect(tls.uri(host="localhost", hostaddr="127.0.0.1", sslmode=mode, sslrootcert=str(certificates.ca))) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.pgconn.ssl_in_use == (mode not in ("disable", "allow"))


@pytest.mark.gateway_only   # Debian's PostgreSQL has GSSAPI
def test_gssencrequest_is_declined_and_a_plain_startup_follows(tls):
    with tls.wire() as client:
        client.send(GSSENC_REQUEST)
        assert client.read_bytes(1) == b"N"
        assert_serves(client.login())


@pytest.mark.gateway_only   # Debian's PostgreSQL has GSSAPI
def test_sslrequest_after_gssencrequest_starts_tls(tls):
    with tls.wire() as client:
        client.send(GSSENC_REQUEST)
        assert client.read_bytes(1) == b"N"
        assert_serves(client.start_tls().login())


@pytest.mark.gateway_only
def test_gateway_without_tls_says_n_and_goes_on(target, bystander):
    with target.wire() as client:
        client.send(SSL_REQUEST)
        assert client.read_bytes(1) == b"N"
        assert_serves(client.login())


# -- cheating ------------------------------------------------------------------------------------------------------------------


def refused(client: wire.Wire) -> list[str]:
    return wire.errors(client.read_rest(5))


@pytest.mark.gateway_only
def test_second_sslrequest_on_a_plain_connection_is_refused(target, bystander):
    with target.wire() as client:
        client.send(SSL_REQUEST)
        assert client.read_bytes(1) == b"N"
        client.send(SSL_REQUEST)
        assert refused(client) in ([], ["0A000"], ["08P01"])


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST], ids=["ssl", "gssenc"])
def test_second_request_within_tls_is_refused(tls, request_):
    with tls.wire().start_tls() as client:
        client.send(request_)
        assert refused(client) in ([], ["0A000"], ["08P01"])


@pytest.mark.gateway_only   # Debian's PostgreSQL has GSSAPI
def test_second_gssencrequest_is_refused(tls):
    with tls.wire() as client:
        client.send(GSSENC_REQUEST)
        assert client.read_bytes(1) == b"N"
        client.send(GSSENC_REQUEST)
        assert refused(client) in ([], ["0A000"], ["08P01"])


def read_everything(client: wire.Wire, timeout: float = 5) -> bytes:
    """What the peer sends until it closes, as it comes over the wire."""
    answer = b""
    try:
        while True:
            answer += client.read_bytes(1, timeout)
    except wire.Closed:
        return answer


def test_plain_text_sent_along_with_the_sslrequest_is_not_used(tls):
    """Bytes from before the handshake must never be taken for bytes from within it."""
    with tls.wire() as client:
        client.send(SSL_REQUEST + wire.startup() + wire.query("SELECT 1"))
        try:
            answer = client.read_bytes(1)
            if answer == b"E":   # refused in plain text, at once
                read_everything(client)
                return
            assert answer == b"S"
            RawTls(client, wire.client_context()).shake_hands()
        except wire.Closed:
            return
        # an error within TLS at most: a session's greeting is far longer
        assert len(read_everything(client)) < 1500


@pytest.mark.gateway_only
def test_plain_text_sent_along_with_the_sslrequest_is_not_used_without_tls_either(target, bystander):
    """A client that was told N sends its startup afterwards; one that did not wait cannot have meant it."""
    with target.wire() as client:
        client.send(SSL_REQUEST + wire.startup())
        assert refused(client) == ["08P01"]


class RawTls:
    """TLS whose records the test holds in its hands."""

    def __init__(self, client: wire.Wire, context: ssl.SSLContext):
        self.client, self.incoming, self.outgoing = client, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def hello(self) -> bytes:
        """The first record of the handshake."""
        with pytest.raises(ssl.SSLWantReadError):
            self.ssl.do_handshake()
        return self.outgoing.read()

    def shake_hands(self):
        """The handshake, or what is left of it."""
        while True:
            try:
                self.ssl.do_handshake()
                self.client.send(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.client.send(self.outgoing.read())
                self.incoming.write(self.client.read_bytes(1))

    def records(self, data: bytes) -> bytes:
        self.ssl.write(data)
        return self.outgoing.read()

    def read(self, timeout: float = 5) -> bytes:
        """Decrypted bytes, at least one."""
        while True:
            try:
                return self.ssl.read(65536)
            except ssl.SSLWantReadError:
                self.incoming.write(self.client.read_bytes(1, timeout))


def test_early_data_after_the_clienthello_does_not_become_a_session(tls):
    with tls.wire() as client:
        client.send(SSL_REQUEST)
        assert client.read_bytes(1) == b"S"
        client.send(RawTls(client, wire.client_context()).hello() + wire.startup())
        assert b"server_version" not in read_everything(client)


def test_handshake_and_startup_byte_by_byte(tls):
    with tls.wire() as client:
        client.send_slowly(SSL_REQUEST, 0.001)
        assert client.read_bytes(1) == b"S"
        raw = RawTls(client, wire.client_context())
        client.send_slowly(raw.hello(), 0.001)
        raw.shake_hands()
        client.send_slowly(raw.records(wire.startup()), 0.001)
        text = b""
        while b"Z\0\0\0\5I" not in text:
            text += raw.read()


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x05hello", b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\xff\xff" + b"x" * 300, b"no TLS at all"],
                         ids=["broken hello", "alert", "application data", "plain"])
def test_broken_handshake_is_closed(tls, data):
    with tls.wire() as client:
        client.send(SSL_REQUEST)
        assert client.read_bytes(1) == b"S"
        client.send(data)
        with contextlib.suppress(OSError):   # it may be closed by now
            client.half_close()
        read_everything(client)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"], ids=["nothing", "half a record"])
def test_client_that_goes_in_the_handshake_leaves_nothing(tls, sent):
    with tls.wire() as client:
        client.send(SSL_REQUEST)
        assert client.read_bytes(1) == b"S"
        client.send(sent)


@pytest.mark.gateway_only
def test_handshake_that_never_ends_is_cut_at_the_login_limit(make_tls):
    gateway = make_tls({"timeouts": {"login": "1s"}})
    with gateway.wire() as client:
        client.send(SSL_REQUEST)
        assert client.read_bytes(1) == b"S"
        with pytest.raises(wire.Closed):
            client.read_bytes(1, 5)


def test_session_that_ends_without_close_notify_leaves_nothing(tls):
    client = tls.wire().start_tls().login()
    client.send(wire.query("BEGIN"))
    os.close(client.socket.detach())   # the descriptor goes without a word of TLS


def test_broken_record_in_mid_session_ends_only_that_session(tls):
    client = tls.wire()
    client.send(SSL_REQUEST)
    assert client.read_bytes(1) == b"S"
    raw = RawTls(client, wire.client_context())
    client.send(raw.hello())
    raw.shake_hands()
    client.send(raw.records(wire.startup()))
    record = bytearray(raw.records(wire.query("SELECT 1")))
    record[-1] ^= 0xFF
    client.send(bytes(record))
    read_everything(client)
    client.close()


def test_renegotiation_is_refused(tls):
    """openssl's client starts a renegotiation for a line with a single R."""
    client = subprocess.run(["openssl", "s_client", "-connect", f"{tls.host}:{tls.port}", "-starttls", "postgres", "-tls1_2"],
                            input="R\n", capture_output=True, text=True, timeout=20)
    assert "RENEGOTIATING" in client.stdout + client.stderr
    assert "no renegotiation" in client.stderr or client.returncode != 0


# -- direct TLS (PostgreSQL 17) --------------------------------------------------------------------------------------------------


@pytest.mark.gateway_only
def test_direct_tls_with_alpn_is_served(tls):
    with tls.wire().wrap_tls(wire.client_context(alpn="postgresql")) as client:
        assert client.socket.selected_alpn_protocol() == "postgresql"
        assert_serves(client.login())


@pytest.mark.gateway_only
@pytest.mark.parametrize("alpn", [None, "http/1.1", "h2"])
def test_direct_tls_without_the_right_alpn_is_refused(tls, alpn):
    with tls.wire() as client:
        with pytest.raises((ssl.SSLError, wire.Closed, ConnectionResetError, wire.LoginRefused)):
            client.wrap_tls(wire.client_context(alpn=alpn)).login()


@pytest.mark.gateway_only
def test_negotiated_tls_with_a_foreign_alpn_is_refused_or_ignored(tls):
    with tls.wire() as client:
        try:
            client.start_tls(wire.client_context(alpn="h2")).login()
        except (ssl.SSLError, wire.Closed, ConnectionResetError):
            return
        assert_serves(client)


@pytest.mark.gateway_only
def test_sslrequest_within_direct_tls_is_refused(tls):
    with tls.wire().wrap_tls(wire.client_context(alpn="postgresql")) as client:
        client.send(SSL_REQUEST)
        assert refused(client) in ([], ["0A000"], ["08P01"])


# -- modes of a listener -----------------------------------------------------------------------------------------------------------


@pytest.mark.gateway_only
@pytest.mark.parametrize("mode, plain, encrypted", [
    ("disable", True, False), ("allow", True, True), ("prefer", True, True), ("require", False, True)])
def test_listener_mode(make_tls, mode, plain, encrypted):
    gateway = make_tls(mode=mode)
    for sslmode, accepted in (("disable", plain), ("require", encrypted)):
        if accepted:
            psycopg.connect(gateway.uri(sslmode=sslmode)).close()
        else:
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(gateway.uri(sslmode=sslmode))


@pytest.mark.gateway_only
def test_required_tls_refuses_plain_clients_with_a_reason(make_tls):
    gateway = make_tls(mode="require")
    with pytest.raises(wire.LoginRefused) as refusal:
        gateway.login()
    assert refusal.value.sqlstate == "28000"


@pytest.mark.gateway_only
@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_verifying_listener_wants_a_certificate_of_its_authority(make_tls, certificates, mode, tmp_path):
    gateway = make_tls(mode=mode)
    stranger = Certificates(tmp_path / "other", "another authority").issue("app")
    right = certificates.issue("app")
    certificate, key = map(str, right)
    with psycopg.connect(gateway.uri(sslmode="require", sslcert=certificate, sslkey=key)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    for wrong in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionResetError, wire.Closed, wire.LoginRefused)):
            gateway.wire().start_tls(wire.client_context(certificate=wrong)).login()
    if mode == "verify-full":
        with pytest.raises(wire.LoginRefused):
            gateway.wire().start_tls(wire.client_context(certificate=certificates.issue("somebody"))).login()


@pytest.mark.gateway_only
def test_new_certificates_are_used_after_a_reload_and_old_sessions_live(make_tls, certificates, tmp_path):
    paths = [tmp_path / "server.crt", tmp_path / "server.key"]
    for source, path in zip(certificates.server(), paths):
        shutil.copy(source, path)
    gateway = make_tls(certificate=str(paths[0]), key=str(paths[1]))
    old = gateway.wire().start_tls(wire.client_context(ca=certificates.ca)).login()
    other = Certificates(tmp_path / "other", "another authority")
    for source, path in zip(other.server(), paths):
        shutil.copy(source, path)
    gateway.reload()
    with gateway.wire().start_tls(wire.client_context(ca=other.ca)).login() as client:
        assert_serves(client)
    assert_serves(old)
    old.close()
    paths[0].write_text("not a certificate")
    gateway.reload()
    with gateway.wire().start_tls(wire.client_context(ca=other.ca)).login() as client:
        assert_serves(client)


# -- TLS to the server ----------------------------------------------------------------------------------------------------------------


SERVER_IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.gateway_only
@pytest.mark.parametrize("mode, encrypted", [("disable", "f"), ("allow", "f"), ("prefer", "t"), ("require", "t"), ("verify-ca", "t"), ("verify-full", "t")])
def test_server_tls_mode(make_gateway, certificates, mode, encrypted):
    gateway = make_gateway({"databases": {"*": {"host": "localhost", "server_tls": {"mode": mode, "ca": str(certificates.ca)}}}})
    with gateway.login() as client:
        assert client.value(SERVER_IS_ENCRYPTED) == encrypted
        assert_serves(client)


@pytest.mark.gateway_only
def test_server_with_a_strange_certificate_is_refused(make_gateway, certificates, tmp_path):
    stranger = Certificates(tmp_path / "other", "another authority")
    gateway = make_gateway({"databases": {"*": {"server_tls": {"mode": "verify-ca", "ca": str(stranger.ca)}}}})
    with pytest.raises(wire.LoginRefused) as refusal:
        gateway.login()
    assert refusal.value.sqlstate.startswith("08")


@pytest.mark.gateway_only
def test_both_sides_encrypted(make_tls):
    gateway = make_tls({"databases": {"*": {"server_tls": {"mode": "require"}}}})
    with gateway.wire().start_tls().login() as client:
        assert client.value(SERVER_IS_ENCRYPTED) == "t"
        assert_serves(client)


def test_big_answers_and_big_questions_under_tls(tls):
    with tls.wire().start_tls().login() as client:
        assert len(client.value("SELECT repeat('x', 20000000)")) == 20_000_000
        assert client.value("SELECT length('" + "y" * 10_000_000 + "')") == "10000000"
