"""AMQP over TLS with a context of ours: the broker's certificate and name are always checked.

kombu's own way keeps the first host's name for all hosts of a cluster, and asks for a pass phrase
on the terminal.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any

from amqp.transport import SSLTransport
from kombu.transport import TRANSPORT_ALIASES, pyamqp

from router.config_tls import ClientTls
from router.net.errors import tls_failed
from router.net.tls import broker_context


def tls_options(settings: ClientTls) -> dict[str, ssl.SSLContext]:
    """What Celery's `broker_use_ssl` is to be. TlsFailed when a file is not what it should be."""
    return {"context": broker_context(settings)}


class _Socket(SSLTransport):
    """One connection's socket: py-amqp's, with our context and the name of this host."""

    def _wrap_socket(self, sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        return context.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)

    def _setup_transport(self) -> None:
        try:
            super()._setup_transport()  # type: ignore[misc]  # the stubs know what is public
        except ssl.SSLError as error:
            raise OSError(f"{self.host}:{self.port}: {tls_failed(error)}") from None


class _Connection(pyamqp.Connection):
    def Transport(  # noqa: N802
        self,
        host: str,
        connect_timeout: float | None,
        ssl: bool | dict[str, Any] = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        socket_settings: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> SSLTransport:
        return _Socket(
            host,
            connect_timeout,
            ssl,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
            socket_settings=socket_settings,
            **settings,
        )


class Transport(pyamqp.SSLTransport):
    """What kombu makes of `amqps://`."""

    Connection = _Connection


# By name: that is how kombu finds the transport of a URL, when it turns to another host too.
TRANSPORT_ALIASES["amqps"] = f"{__name__}:{Transport.__name__}"
