"""Why an association failed, as its user sees it.

    NetError                abstract; `.reason` is a bounded word for metrics, `str()` a sentence
    ├── ConnectFailed       no TCP connection
    ├── TlsFailed           no TLS session: certificates, versions, or no TLS spoken at all
    ├── AssociationRejected A-ASSOCIATE-RJ: .result .source .code (PS3.8 table 9-21)
    ├── AssociationAborted  A-ABORT from the peer: .source .code (PS3.8 table 9-26)
    ├── AssociationReleased the peer released while we still had work
    ├── ConnectionLost      the connection ended without a word
    ├── TimedOut            the peer was silent: .what
    ├── ProtocolViolation   the peer broke the protocol; we aborted
    └── DataSourceFailed    our own data could not be read while it was being sent; we aborted

Sentences hold no patient data: they speak of addresses, AE titles and numbers of the protocol.
"""

import errno
import socket
import ssl
from typing import Literal

from router.dicom.reasons import RejectResult, abort_slug, reject_slug

Awaited = Literal["connect", "tls", "acse", "dimse", "network", "idle"]


class NetError(Exception):
    """An association could not be had or did not last; one of the subclasses says how."""

    reason: str

    def __init__(self, message: str, *, reason: str) -> None:
        if type(self) is NetError:
            raise TypeError("NetError is abstract")
        super().__init__(message)
        self.reason = reason


class ConnectFailed(NetError):
    """There is no TCP connection: refused, unreachable, or the name is unknown."""


class TlsFailed(NetError):
    """There is no TLS session with this peer."""


class AssociationRejected(NetError):
    """The peer answered with A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    def __init__(self, result: int, source: int, code: int) -> None:
        slug = reject_slug(source, code)
        lasting = "for now" if result == RejectResult.TRANSIENT else "permanently"
        words = slug.replace("_", " ")
        super().__init__(
            f"association rejected {lasting}: {words} (result {result}, source {source},"
            f" reason {code})",
            reason=f"rejected_{slug}",
        )
        self.result = result
        self.source = source
        self.code = code

    @property
    def transient(self) -> bool:
        """Whether the peer says that trying again later may help."""
        return self.result == RejectResult.TRANSIENT


class AssociationAborted(NetError):
    """The peer sent A-ABORT (PS3.8 9.3.8)."""

    def __init__(self, source: int, code: int) -> None:
        slug = abort_slug(source, code)
        words = slug.replace("_", " ")
        super().__init__(
            f"association aborted by the peer: {words} (source {source}, reason {code})",
            reason=f"aborted_{slug}",
        )
        self.source = source
        self.code = code


class AssociationReleased(NetError):
    """The peer released the association while we still had work for it (PS3.8 7.2)."""

    def __init__(self) -> None:
        super().__init__("association released by the peer", reason="released")


class ConnectionLost(NetError):
    """The connection ended without A-ABORT or release."""

    def __init__(self, message: str = "connection closed by the peer") -> None:
        super().__init__(message, reason="connection_lost")


class TimedOut(NetError):
    """The peer was silent, or took no bytes, for too long; `what` says in which exchange."""

    def __init__(self, what: Awaited, seconds: float) -> None:
        super().__init__(f"no {_AWAITED[what]} within {seconds:g} s", reason=f"timeout_{what}")
        self.what = what


class ProtocolViolation(NetError):
    """The peer sent what the protocol does not allow; we answered with A-ABORT."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="protocol_violation")


class DataSourceFailed(NetError):
    """What was to be sent could not be read in full; the association is aborted, being half-way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="data_source")


_AWAITED: dict[Awaited, str] = {
    "connect": "TCP connection",
    "tls": "TLS session",
    "acse": "answer to the association or release request",
    "dimse": "response",
    "network": "progress in sending",
    "idle": "message",
}


def connect_failed(error: OSError) -> ConnectFailed:
    """Return the error of a TCP connection that was not made."""
    if isinstance(error, socket.gaierror):
        return ConnectFailed(f"unknown host: {error.strerror}", reason="connect_unknown_host")
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed("connection refused", reason="connect_refused")
    if error.errno in _UNREACHABLE:
        return ConnectFailed(f"no way to the host: {error.strerror}", reason="connect_unreachable")
    return ConnectFailed(f"no connection: {error.strerror or error}", reason="connect_failed")


_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


def tls_failed(error: OSError) -> TlsFailed:
    """Return the error of a TLS session that was not made or did not last."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(
            f"certificate not accepted: {error.verify_message}", reason="tls_certificate"
        )
    if isinstance(error, ssl.SSLError) and error.reason:
        words = error.reason.lower().replace("_", " ")
        slug = "tls_refused_by_peer" if "alert" in words else "tls_handshake"
        return TlsFailed(f"no TLS session: {words}", reason=slug)
    return TlsFailed("no TLS session: the peer closed the connection", reason="tls_handshake")
