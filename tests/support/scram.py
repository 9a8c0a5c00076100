"""SCRAM-SHA-256 (RFC 5802, RFC 7677) as a client and as a server, each step open to be spoilt by a test."""

import base64
import hashlib
import hmac
import os


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b))


def _attributes(message: bytes) -> dict[str, str]:
    return {part[0]: part[2:] for part in message.decode().split(",")}


class Client:
    """The client's side. Set the fields before a step to send something wrong."""

    mechanism = "SCRAM-SHA-256"

    def __init__(self, password: str, *, gs2_header: str = "n,,", user: str = ""):
        self.password = password.encode()
        self.gs2_header = gs2_header
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.user = user

    def first(self) -> bytes:
        self.bare = f"n={self.user},r={self.nonce}"
        return (self.gs2_header + self.bare).encode()

    def final(self, server_first: bytes, *, nonce: str | None = None, proof: bytes | None = None, binding: str | None = None) -> bytes:
        fields = _attributes(server_first)
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = _hmac(salted, b"Client Key")
        channel = base64.b64encode((binding if binding is not None else self.gs2_header).encode()).decode()
        without_proof = f"c={channel},r={nonce or fields['r']}"
        message = ",".join((self.bare, server_first.decode(), without_proof)).encode()
        if proof is None:
            proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), message))
        self.signature = _hmac(_hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final: bytes) -> bool:
        """Whether the server knows the password too."""
        return _attributes(server_final).get("v") == base64.b64encode(self.signature).decode()


class Server:
    """The server's side, for a fake PostgreSQL. It does not check the proof: what it sends is the point."""

    def __init__(self, password: str, *, iterations: int | str = 4096, extra_nonce: str | None = None):
        self.password = password.encode()
        self.iterations = iterations
        self.salt = os.urandom(16)
        self.extra_nonce = extra_nonce if extra_nonce is not None else base64.b64encode(os.urandom(18)).decode()

    def first(self, client_first: bytes) -> bytes:
        self.client_bare = client_first.decode().split(",", 2)[2]
        nonce = _attributes(self.client_bare.encode())["r"] + self.extra_nonce
        self.server_first = f"r={nonce},s={base64.b64encode(self.salt).decode()},i={self.iterations}"
        return self.server_first.encode()

    def final(self, client_final: bytes) -> bytes:
        without_proof = client_final.decode().rsplit(",p=", 1)[0]
        message = ",".join((self.client_bare, self.server_first, without_proof)).encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, int(self.iterations))
        return b"v=" + base64.b64encode(_hmac(_hmac(salted, b"Server Key"), message))


def secret(password: str, iterations: int = 4096) -> str:
    """A secret as PostgreSQL stores it in pg_authid.rolpassword."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    encode = lambda value: base64.b64encode(value).decode()
    return f"SCRAM-SHA-256${iterations}:{encode(salt)}${encode(stored)}:{encode(_hmac(salted, b'Server Key'))}"
