"""PostgreSQL's protocol, byte by byte: for what a well-behaved driver cannot be made to send.

`Wire` is one connection from either end. The functions below it make messages; each takes the pieces as they go over
the wire, so a test can make them wrong.
"""

import dataclasses
import hashlib
import select
import socket
import ssl
import struct
import time

from . import scram

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = (3 << 16) | 2
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
TIMEOUT = 15.0


class Closed(Exception):
    """The peer closed the connection, cleanly or with a reset."""


@dataclasses.dataclass(frozen=True)
class Message:
    type: str
    body: bytes

    def fields(self) -> dict[str, str]:
        """The fields of an ErrorResponse or NoticeResponse by their letter."""
        assert self.type in "EN", self
        parts = self.body.rstrip(b"\0").split(b"\0")
        return {part[:1].decode("latin-1"): part[1:].decode(errors="replace") for part in parts if part}

    @property
    def sqlstate(self) -> str:
        return self.fields().get("C", "")

    @property
    def status(self) -> str:
        """The transaction status of a ReadyForQuery."""
        assert self.type == "Z", self
        return self.body.decode()

    @property
    def tag(self) -> str:
        assert self.type == "C", self
        return self.body.rstrip(b"\0").decode()

    @property
    def columns(self) -> list[str | None]:
        """The values of a DataRow."""
        assert self.type == "D", self
        (count,), at, values = struct.unpack_from("!h", self.body), 2, []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", self.body, at)
            at += 4
            values.append(None if length < 0 else self.body[at:at + length].decode(errors="replace"))
            at += max(length, 0)
        return values


def types(messages: list[Message]) -> str:
    """The types of some messages as one string, notices left out: "TDCZ"."""
    return "".join(message.type for message in messages if message.type != "N")


def errors(messages: list[Message]) -> list[str]:
    return [message.sqlstate for message in messages if message.type == "E"]


def rows(messages: list[Message]) -> list[list[str | None]]:
    return [message.columns for message in messages if message.type == "D"]


class Wire:
    """One connection. Reads time out after TIMEOUT seconds unless told otherwise, so a hang fails a test."""

    def __init__(self, connected: socket.socket):
        self.socket = connected
        self.buffer = bytearray()
        self.parameters: dict[str, str] = {}
        self.pid = 0
        self.key = b""

    # -- connecting ------------------------------------------------------------------------------------------------

    @classmethod
    def connect(cls, host: str, port: int, *, receive_buffer: int | None = None) -> "Wire":
        """Connects by TCP, or to the unix socket in folder `host` if that begins with a slash."""
        unix = host.startswith("/")
        connection = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(TIMEOUT)
        connection.connect(f"{host}/.s.PGSQL.{port}" if unix else (host, port))
        if not unix:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(connection)

    def start_tls(self, context: ssl.SSLContext | None = None, name: str = "localhost") -> "Wire":
        """SSLRequest, its answer S, and the handshake."""
        self.send(startup_packet(SSL_REQUEST))
        answer = self.read_bytes(1)
        assert answer == b"S", answer
        return self.wrap_tls(context, name)

    def wrap_tls(self, context: ssl.SSLContext | None = None, name: str = "localhost") -> "Wire":
        """The handshake alone: after an S, or at once for direct TLS (with ALPN in the context)."""
        assert not self.buffer
        self.socket = (context or client_context()).wrap_socket(self.socket, server_hostname=name)
        return self

    def login(self, user: str = "app", database: str = "app", *, password: str | None = None, version: int = PROTOCOL_3_0,
              parameters: dict[str, str] | None = None) -> "Wire":
        """Startup and authentication until the first ReadyForQuery. An ErrorResponse raises LoginRefused."""
        self.send(startup(user, database, version=version, parameters=parameters))
        return self.authenticate(user, password)

    def authenticate(self, user: str, password: str | None) -> "Wire":
        exchange = None
        while True:
            message = self.read()
            if message.type == "R":
                (kind,) = struct.unpack_from("!i", message.body)
                if kind == 0:
                    continue
                assert password is not None, f"asked for a password (authentication request {kind})"
                if kind == 3:
                    self.send(password_message(password))
                elif kind == 5:
                    self.send(password_message(md5_password(user, password, message.body[4:8])))
                elif kind == 10:
                    exchange = scram.Client(password)
                    self.send(sasl_initial(exchange.mechanism, exchange.first()))
                elif kind == 11:
                    self.send(sasl_response(exchange.final(message.body[4:])))
                elif kind == 12:
                    assert exchange.verify(message.body[4:]), "the server does not know the password"
                else:
                    raise AssertionError(f"unknown authentication request {kind}")
            elif message.type == "E":
                raise LoginRefused(message)
            elif message.type == "Z":
                return self

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, *pieces: bytes) -> "Wire":
        try:
            self.socket.sendall(b"".join(pieces))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as reason:
            raise Closed(str(reason)) from reason
        return self

    def send_slowly(self, data: bytes, pause: float) -> "Wire":
        """One byte at a time, `pause` seconds apart."""
        for index in range(len(data)):
            self.send(data[index:index + 1])
            time.sleep(pause)
        return self

    def reset(self):
        """Closes with a RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        """Says that nothing more will be sent; still reads."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    def read_bytes(self, count: int, timeout: float = TIMEOUT) -> bytes:
        """Exactly `count` bytes. Raises Closed or TimeoutError."""
        end = time.monotonic() + timeout
        while len(self.buffer) < count:
            self._receive(end)
        result = bytes(self.buffer[:count])
        del self.buffer[:count]
        return result

    def read(self, timeout: float = TIMEOUT) -> Message:
        """The next message. ParameterStatus and BackendKeyData are remembered as well."""
        kind, length = struct.unpack("!ci", self.read_bytes(5, timeout))
        message = Message(kind.decode("latin-1"), self.read_bytes(length - 4, timeout))
        if message.type == "S" and message.body.count(b"\0") == 2:
            name, value, _ = message.body.split(b"\0")
            self.parameters[name.decode(errors="replace")] = value.decode(errors="replace")
        elif message.type == "K":
            self.pid, self.key = struct.unpack_from("!i", message.body)[0], message.body[4:]
        return message

    def read_until(self, last: str = "Z", timeout: float = TIMEOUT) -> list[Message]:
        """Messages up to and with the first whose type is among `last`."""
        end, messages = time.monotonic() + timeout, []
        while not messages or messages[-1].type not in last:
            messages.append(self.read(end - time.monotonic()))
        return messages

    def read_rest(self, timeout: float = TIMEOUT) -> list[Message]:
        """Messages until the peer closes. Raises TimeoutError if it does not."""
        end, messages = time.monotonic() + timeout, []
        try:
            while True:
                messages.append(self.read(end - time.monotonic()))
        except Closed:
            return messages

    def is_quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing arrives for that long, not even a close."""
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def read_startup(self) -> tuple[int, bytes]:
        """For the server's end: the code and the rest of an untyped packet."""
        length, code = struct.unpack("!ii", self.read_bytes(8))
        return code, self.read_bytes(length - 8)

    def _receive(self, end: float):
        self.socket.settimeout(max(end - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(262144)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as reason:
            raise Closed(str(reason)) from reason
        finally:
            self.socket.settimeout(TIMEOUT)
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    # -- conversations ---------------------------------------------------------------------------------------------

    def query(self, sql: str | bytes, timeout: float = TIMEOUT) -> list[Message]:
        """A simple query and everything up to its ReadyForQuery."""
        return self.send(query(sql)).read_until("Z", timeout)

    def value(self, sql: str) -> str | None:
        """The first column of the first row."""
        messages = self.query(sql)
        assert not errors(messages), [message.fields() for message in messages if message.type == "E"]
        return rows(messages)[0][0]

    def sync(self, *messages: bytes, timeout: float = TIMEOUT) -> list[Message]:
        """Extended messages, a Sync, and everything up to the ReadyForQuery."""
        return self.send(*messages, sync()).read_until("Z", timeout)


class LoginRefused(Exception):
    def __init__(self, message: Message):
        super().__init__(message.fields())
        self.message = message
        self.sqlstate = message.sqlstate


def client_context(*, alpn: str | None = None, ca=None, certificate=None, minimum: ssl.TLSVersion | None = None,
                   maximum: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """TLS as a client. Without `ca` the server's certificate is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols([alpn])
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context


# -- untyped packets -----------------------------------------------------------------------------------------------


def startup_packet(code: int, rest: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack("!iI", len(rest) + 8 if length is None else length, code) + rest


def startup_parameters(pairs: list[tuple[str | bytes, str | bytes]]) -> bytes:
    return b"".join(text(part) for pair in pairs for part in pair) + b"\0"


def startup(user: str | None = "app", database: str | None = "app", *, version: int = PROTOCOL_3_0,
            parameters: dict[str, str] | None = None) -> bytes:
    pairs = [(name, value) for name, value in (("user", user), ("database", database)) if value is not None]
    return startup_packet(version, startup_parameters(pairs + list((parameters or {}).items())))


def cancel_request(pid: int, key: bytes) -> bytes:
    return startup_packet(CANCEL_REQUEST, struct.pack("!i", pid) + key)


def cancel(host: str, port: int, pid: int, key: bytes):
    """Sends a CancelRequest on a connection of its own and waits until the peer has closed it."""
    with Wire.connect(host, port) as wire:
        wire.send(cancel_request(pid, key))
        assert wire.read_rest() == []


# -- messages ------------------------------------------------------------------------------------------------------


def text(value: str | bytes) -> bytes:
    """A string as the protocol has it."""
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def message(kind: str | bytes, body: bytes = b"", *, length: int | None = None) -> bytes:
    """A typed message. `length` claims another one than the body has."""
    kind = kind.encode("latin-1") if isinstance(kind, str) else kind
    return kind + struct.pack("!I", (len(body) + 4 if length is None else length) & 0xFFFFFFFF) + body


def query(sql: str | bytes) -> bytes:
    return message("Q", text(sql))


def parse(sql: str | bytes, name: str = "", parameter_types: tuple[int, ...] = (), *, count: int | None = None) -> bytes:
    number = len(parameter_types) if count is None else count
    return message("P", text(name) + text(sql) + struct.pack("!h", number) + b"".join(struct.pack("!I", oid) for oid in parameter_types))


def bind(statement: str = "", portal: str = "", values: tuple[bytes | None, ...] = (), *, formats: tuple[int, ...] = (),
         results: tuple[int, ...] = (), count: int | None = None) -> bytes:
    body = text(portal) + text(statement) + struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    body += struct.pack("!h", len(values) if count is None else count)
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def describe(kind: str = "S", name: str = "") -> bytes:
    return message("D", kind.encode() + text(name))


def execute(portal: str = "", limit: int = 0) -> bytes:
    return message("E", text(portal) + struct.pack("!i", limit))


def close(kind: str = "S", name: str = "") -> bytes:
    return message("C", kind.encode() + text(name))


def sync() -> bytes:
    return message("S")


def flush() -> bytes:
    return message("H")


def terminate() -> bytes:
    return message("X")


def copy_data(data: bytes) -> bytes:
    return message("d", data)


def copy_done() -> bytes:
    return message("c")


def copy_fail(reason: str) -> bytes:
    return message("f", text(reason))


def function_call(oid: int, arguments: tuple[bytes | None, ...], *, binary: bool = True) -> bytes:
    form = 1 if binary else 0
    body = struct.pack("!Ihhh", oid, 1, form, len(arguments))
    for argument in arguments:
        body += struct.pack("!i", -1) if argument is None else struct.pack("!i", len(argument)) + argument
    return message("F", body + struct.pack("!h", form))


def password_message(password: str | bytes) -> bytes:
    return message("p", text(password))


def md5_password(user: str, password: str, salt: bytes) -> str:
    inner = hashlib.md5((password + user).encode()).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt).hexdigest()


def sasl_initial(mechanism: str, data: bytes | None, *, length: int | None = None) -> bytes:
    body = text(mechanism) + struct.pack("!i", -1 if data is None else len(data) if length is None else length)
    return message("p", body + (data or b""))


def sasl_response(data: bytes) -> bytes:
    return message("p", data)


# -- messages of a server --------------------------------------------------------------------------------------------


def authentication(kind: int, data: bytes = b"") -> bytes:
    return message("R", struct.pack("!i", kind) + data)


def parameter_status(name: str, value: str) -> bytes:
    return message("S", text(name) + text(value))


def backend_key_data(pid: int, key: bytes) -> bytes:
    return message("K", struct.pack("!i", pid) + key)


def ready(status: str = "I") -> bytes:
    return message("Z", status.encode())


def command_complete(tag: str) -> bytes:
    return message("C", text(tag))


def error(sqlstate: str | None, text_: str | None = "made up", *, severity: str | None = "ERROR", kind: str = "E") -> bytes:
    """An ErrorResponse (or a NoticeResponse); None leaves a field out."""
    fields = (("S", severity), ("V", severity), ("C", sqlstate), ("M", text_))
    return message(kind, b"".join(letter.encode() + text(value) for letter, value in fields if value is not None) + b"\0")


def row_description(*names: str) -> bytes:
    columns = b"".join(text(name) + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0) for name in names)
    return message("T", struct.pack("!h", len(names)) + columns)


def data_row(*values: bytes | None) -> bytes:
    body = struct.pack("!h", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("D", body)
