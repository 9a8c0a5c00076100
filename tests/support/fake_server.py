"""A PostgreSQL that misbehaves on purpose.

Each connection whose startup names the user `scripted_user` is handed to a script: a function that gets a `Wire` (the server's end)
and the startup parameters, and reads and sends what it likes. Every other connection, the gateway's own among them, is
carried to a real PostgreSQL untouched, if there is one.
"""

import select
import socket
import struct
import threading
from collections.abc import Callable

from . import wire
from .wire import Closed, Wire

Script = Callable[[Wire, dict[str, str]], None]


class FakeServer:
    """Listens on a free port of 127.0.0.1 until close(). `script` may be replaced at any time."""

    def __init__(self, script: Script, *, upstream=None, scripted_user: str = "app"):
        self.script = script
        self.host = "127.0.0.1"
        self._upstream = upstream
        self._scripted_user = scripted_user
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self.cancels: list[tuple[int, bytes]] = []
        self.failures: list[BaseException] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Stops listening and cuts every connection. A script that failed by itself raises here."""
        self._listener.close()
        for connection in list(self._open):
            _shut(connection)
        if self.failures:
            raise self.failures[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.close()
        except BaseException:
            if kind is None:
                raise

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket):
        self._open.add(connection)
        try:
            end = Wire(connection)
            code, rest = end.read_startup()
            while code in (wire.SSL_REQUEST, wire.GSSENC_REQUEST):
                end.send(b"N")
                code, rest = end.read_startup()
            if code == wire.CANCEL_REQUEST:
                self.cancels.append((struct.unpack_from("!i", rest)[0], rest[4:]))
                return
            parts = [part.decode() for part in rest.split(b"\0")]
            parameters = dict(zip(parts[0::2], parts[1::2]))
            if parameters.get("user") == self._scripted_user:
                self.script(end, parameters)
            elif self._upstream:
                self._relay(end, wire.startup_packet(code, rest))
        except (Closed, TimeoutError, OSError):
            pass   # the gateway went away, which is for the test to judge
        except BaseException as reason:
            self.failures.append(reason)
        finally:
            self._open.discard(connection)
            connection.close()

    def _relay(self, end: Wire, first: bytes):
        with socket.create_connection((self._upstream.host, self._upstream.port)) as server:
            server.sendall(first + end.buffer)
            pairs = {end.socket: server, server: end.socket}
            while True:
                for ready in select.select(list(pairs), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    pairs[ready].sendall(data)


def _shut(connection: socket.socket):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


# -- pieces of scripts -----------------------------------------------------------------------------------------------

PARAMETERS = {
    "server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
    "standard_conforming_strings": "on", "integer_datetimes": "on", "TimeZone": "UTC", "is_superuser": "off",
    "application_name": "", "IntervalStyle": "postgres", "session_authorization": "app", "in_hot_standby": "off",
    "default_transaction_read_only": "off",
}


def greet(end: Wire, *, pid: int = 4711, key: bytes = b"\x12\x34\x56\x78", parameters: dict[str, str] | None = None):
    """A login that asks for nothing, to its ReadyForQuery."""
    values = PARAMETERS if parameters is None else parameters
    end.send(wire.authentication(0), *(wire.parameter_status(*pair) for pair in values.items()),
             wire.backend_key_data(pid, key), wire.ready())


def answer(end: Wire, value: str = "1"):
    """Reads one simple query or pipeline up to its Sync, and answers it with one row."""
    request = end.read_until("QSX")
    if request[-1].type == "X":
        raise Closed("terminated")
    described = "".join({"P": "1", "B": "2"}.get(message.type, "") for message in request)
    end.send(*(wire.message(kind) for kind in described), wire.row_description("value"), wire.data_row(value.encode()),
             wire.command_complete("SELECT 1"), wire.ready())


def obedient(end: Wire, _parameters: dict[str, str]):
    """A script that behaves: every query gets one row."""
    greet(end)
    while True:
        answer(end)


def silent(end: Wire, _parameters: dict[str, str]):
    """A script that says nothing until the other side closes."""
    end.read_rest(timeout=3600)
