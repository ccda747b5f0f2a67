"""TLS contexts for both directions, after PS3.15 B.12 (BCP 195): TLS 1.2 at least, forward secrecy,
authenticated encryption. Certificates are read once, when the context is made."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from router.net.errors import TlsFailed

if TYPE_CHECKING:
    # Whoever connects without a site need not load the models of its settings.
    from router.config import ListenerTls
    from router.config_destinations import DestinationTls
    from router.config_tls import ClientTls

ClientCertificate = Literal["require", "request", "none"]
MinimumVersion = Literal["1.2", "1.3"]

# TLS 1.2 suites of RFC 9325 4.2; those of TLS 1.3 are all fine and not ruled by this.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


def server_context(
    *,
    cert: Path,
    key: Path | None = None,
    key_password: str | None = None,
    ca: Path | None = None,
    client: ClientCertificate = "none",
    min_version: MinimumVersion = "1.2",
) -> ssl.SSLContext:
    """Return a listener's context. `client` says whether senders must, may or need not show a
    certificate, which `ca` signed. TlsFailed when a file is not what it should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, min_version)
    _load_own(context, cert, key, key_password)
    if client != "none":
        if ca is None:
            raise TlsFailed("client certificates need a CA to be verified", reason="tls_settings")
        _load_ca(context, ca)
        context.verify_mode = _VERIFY[client]
    return context


def client_context(
    *,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    key_password: str | None = None,
    check_hostname: bool = True,
    min_version: MinimumVersion = "1.2",
) -> ssl.SSLContext:
    """Return a requestor's context: the peer's certificate is always verified, with `ca` or else
    the system's; `check_hostname` also compares its name. TlsFailed when a file is not right."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, min_version)
    context.check_hostname = check_hostname
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_ca(context, ca)
    if cert is not None:
        _load_own(context, cert, key, key_password)
    return context


def listener_context(tls: "ListenerTls") -> ssl.SSLContext:
    """A server's context as a listener's settings say; TlsFailed like `server_context`."""
    return server_context(
        cert=tls.cert,
        key=tls.key,
        key_password=tls.key_password,
        ca=tls.ca,
        client=tls.client,
        min_version=tls.min_version,
    )


def broker_context(tls: "ClientTls") -> ssl.SSLContext:
    """A client's context as the settings for `amqps://` say; TlsFailed like `client_context`."""
    return client_context(ca=tls.ca, cert=tls.cert, key=tls.key, key_password=tls.key_password)


def destination_context(tls: "DestinationTls") -> ssl.SSLContext:
    """A client's context as a destination's settings say; TlsFailed like `client_context`."""
    return client_context(
        ca=tls.ca,
        cert=tls.cert,
        key=tls.key,
        key_password=tls.key_password,
        check_hostname=tls.check_hostname,
        min_version=tls.min_version,
    )


def subject_of(certificate: dict[str, object]) -> str | None:
    """Return a certificate's subject as RFC 4514 writes it, `CN=ct01,O=Hospital`; None without one.

    `certificate` is what `ssl.SSLSocket.getpeercert` returns.
    """
    subject = certificate.get("subject")
    if not isinstance(subject, tuple) or not subject:
        return None
    names = (
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in relative)
        for relative in reversed(subject)
    )
    return ",".join(names)


def _harden(context: ssl.SSLContext, min_version: MinimumVersion) -> None:
    context.minimum_version = _VERSIONS[min_version]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE


def _load_own(
    context: ssl.SSLContext, cert: Path, key: Path | None, key_password: str | None
) -> None:
    try:
        # An empty pass phrase, not None: OpenSSL would ask for one on the terminal.
        context.load_cert_chain(cert, key, password=key_password or "")
    except OSError as error:
        raise _unusable("certificate and key", (cert, key or cert), error) from error


def _load_ca(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise _unusable("CA certificates", (ca,), error) from error


def _unusable(what: str, files: Iterable[Path], error: OSError) -> TlsFailed:
    names = " and ".join(sorted({str(file) for file in files}))
    return TlsFailed(f"{what} in {names} cannot be used: {_why(error)}", reason="tls_settings")


def _why(error: OSError) -> str:
    said = error.strerror or ""
    if not isinstance(error, ssl.SSLError):
        return said
    if "KEY_VALUES_MISMATCH" in (error.reason or ""):
        return "the key is not that of the certificate"
    if "PEM" in said or (error.reason or "") in _NOT_PEM:
        return "not PEM, not what belongs there, or the pass phrase is wrong"
    return error.reason or said


def _escaped(value: str) -> str:
    text = "".join(f"\\{letter}" if letter in '\\,+"<>;=' else letter for letter in value)
    if text.startswith(("#", " ")):
        text = "\\" + text
    if text.endswith(" "):
        text = text[:-1] + "\\ "
    return text


_NOT_PEM = ("NO_START_LINE", "NO_CERTIFICATE_OR_CRL_FOUND", "BAD_DECRYPT", "BAD_PASSWORD_READ")
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY = {"require": ssl.CERT_REQUIRED, "request": ssl.CERT_OPTIONAL}
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "domainComponent": "DC",
    "userId": "UID",
}
