"""Certificates for the tests: one authority, a server's certificate for localhost, clients' certificates, and wrong ones.

Made with the openssl program, once per folder. Elliptic keys, since RSA ones take seconds.
"""

import pathlib
import subprocess


def _openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


class Certificates:
    """A certificate authority in a folder. `ca` is its certificate; issue() signs more."""

    def __init__(self, folder: pathlib.Path, name: str = "tidegate test authority"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.crt"
        if not self.ca.exists():
            _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                     "-subj", f"/CN={name}", "-keyout", "ca.key", "-out", "ca.crt", cwd=folder)

    def issue(self, common_name: str, *, hosts: tuple[str, ...] = (), file: str | None = None) -> tuple[pathlib.Path, pathlib.Path]:
        """Certificate and key of `common_name`, valid for `hosts` ("DNS:localhost", "IP:127.0.0.1")."""
        stem = file or common_name
        certificate, key = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        if certificate.exists():
            return certificate, key
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={common_name}",
                 "-keyout", key.name, "-out", f"{stem}.csr", cwd=self.folder)
        extension = self.folder / f"{stem}.ext"
        extension.write_text(f"subjectAltName={','.join(hosts)}\n" if hosts else "basicConstraints=CA:FALSE\n")
        _openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                 "-extfile", extension.name, "-out", certificate.name, cwd=self.folder)
        key.chmod(0o600)
        return certificate, key

    def server(self) -> tuple[pathlib.Path, pathlib.Path]:
        return self.issue("localhost", hosts=("DNS:localhost", "IP:127.0.0.1"), file="server")
