"""Socket options that decide whether DICOM over TCP is fast, and whether a dead peer is noticed.

Many peers write a PDU's header and its body apart and leave Nagle's algorithm on: each message then
waits for our delayed acknowledgement, 40 ms. They cannot be changed, so we acknowledge at once: the
option lasts until the kernel falls back to delaying, and is set again round every wait.
"""

import socket
import struct
from typing import Final

# A peer that vanished (power, cable, firewall) is noticed after 60 + 4 * 15 = 120 s of silence.
KEEPALIVE_IDLE: Final = 60
KEEPALIVE_INTERVAL: Final = 15
KEEPALIVE_PROBES: Final = 4

_TIMEVAL: Final = struct.Struct("@ll")
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)


def prepare(sock: socket.socket) -> None:
    """Set what holds for a connection's whole life: no Nagle, and keep-alive probes."""
    sock.setblocking(True)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    acknowledge_at_once(sock)


def acknowledge_at_once(sock: socket.socket) -> None:
    """Send pending and coming acknowledgements without delay, where the platform can."""
    if _QUICKACK is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def wait_in_reads(sock: socket.socket, seconds: float | None) -> None:
    """A read that finds nothing waits so long, then raises BlockingIOError; None: for ever."""
    whole, part = divmod(seconds or 0.0, 1.0)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(int(whole), int(part * 1e6))
    )
