"""Why a port could not be had, in words that name it."""

from __future__ import annotations

import errno
import socket


def listening_failed(error: OSError, host: str, port: int) -> OSError:
    """The error of a socket that could not listen, telling where and why. Its number stays."""
    if isinstance(error, socket.gaierror):
        words = f"{host} is no address of this machine, nor a name of one"
    else:
        words = _WORDS.get(error.errno or 0, f"port {{port}} of {{host}}: {error.strerror}")
        words = words.format(host=host, port=port)
    return OSError(error.errno, words)


_WORDS = {
    errno.EADDRINUSE: "port {port} of {host} is in use: by another program, or another router",
    errno.EADDRNOTAVAIL: "this machine has no address {host}",
    errno.EACCES: "port {port} of {host} is not allowed: ports below 1024 need root, or the "
    "capability CAP_NET_BIND_SERVICE",
}
