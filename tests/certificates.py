"""A certification authority for the tests, and what it signs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.programs import needed


@dataclass(frozen=True)
class Certificates:
    """A CA, and what it signed: a server on 127.0.0.1, a client CN=ct01,O=Hospital. With the
    server's key, too: a certificate that has expired, and one of a server elsewhere."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    other_ca: Path
    expired: Path
    elsewhere: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them in a folder, valid for two days."""
    _authority(folder, "ca")
    _authority(folder, "other")
    _requested(folder, "server", "/CN=localhost")
    _signed(folder, "server", "DNS:localhost,IP:127.0.0.1")
    _signed(folder, "server", "DNS:localhost,IP:127.0.0.1", to="expired", days=0)
    _signed(folder, "server", "DNS:elsewhere.example", to="elsewhere")
    _requested(folder, "client", "/O=Hospital/CN=ct01")
    _signed(folder, "client", "DNS:ct01")
    return Certificates(
        ca=folder / "ca.pem",
        server=folder / "server.pem",
        server_key=folder / "server.key",
        client=folder / "client.pem",
        client_key=folder / "client.key",
        other_ca=folder / "other.pem",
        expired=folder / "expired.pem",
        elsewhere=folder / "elsewhere.pem",
    )


def protect(key: Path, to: Path, pass_phrase: str) -> None:
    """Write a copy of the key that opens with this pass phrase alone."""
    _openssl("rsa", "-in", key, "-out", to, "-aes256", "-passout", f"pass:{pass_phrase}")


# RSA: by default DCMTK 3.6 agrees on no TLS 1.2 cipher suite with an elliptic curve's certificate.
_KEY = ("-newkey", "rsa:2048", "-nodes")


def _authority(folder: Path, name: str) -> None:
    _openssl(
        *("req", "-x509", *_KEY, "-subj", f"/CN={name}", "-days", "2"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
    )


def _requested(folder: Path, name: str, subject: str) -> None:
    files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
    _openssl("req", "-new", *_KEY, "-subj", subject, *files)


def _signed(folder: Path, request: str, names: str, *, to: str = "", days: int = 2) -> None:
    to = to or request
    extensions = folder / f"{to}.ext"
    extensions.write_text(f"subjectAltName={names}\n")
    _openssl(
        *("x509", "-req", "-in", folder / f"{request}.csr", "-days", str(days)),
        *("-extfile", extensions),
        *("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial"),
        *("-out", folder / f"{to}.pem"),
    )


def _openssl(*words: str | Path) -> None:
    subprocess.run([needed("openssl"), *map(str, words)], check=True, capture_output=True)
