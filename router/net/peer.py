"""Who is at the other end of a connection, as far as the network knows."""

import ipaddress
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An address, and the subject of a certificate that was verified (RFC 4514)."""

    host: str
    port: int
    tls_subject: str | None = None


def peer_of(sock: socket.socket, tls_subject: str | None = None) -> Peer:
    """Return the peer of a connected TCP socket; OSError when it is gone already.

    An IPv4 peer of an IPv6 listener is named as IPv4: rules and settings speak of it that way.
    """
    host, port = sock.getpeername()[:2]
    address = ipaddress.ip_address(str(host).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Peer(host=str(mapped or host), port=port, tls_subject=tls_subject)
