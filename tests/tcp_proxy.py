"""A TCP proxy that stands between a process and a peer of it, and can be cut like a cable."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Self


class TcpProxy:
    """Hands connections on to a port of this machine. While `cut`, no byte passes, in neither
    direction, and nobody is told; `mend` breaks what was open, as the peers would find it."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        """With `tls` clients speak TLS with the proxy, which the port behind it does not."""
        self._to = port
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.connections = 0
        """How many there have been."""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more, and break what is open."""
        self._listener.close()
        self.mend()

    def lead_to(self, port: int) -> None:
        """New connections go there, as a load balancer does before it takes a process away; those
        that are open stay."""
        self._to = port

    def cut(self) -> None:
        """From now on nothing passes."""
        self._flows.clear()

    def mend(self) -> None:
        """New connections pass again; those from before the cut are gone."""
        with self._lock:
            _end(*self._open)
        self._flows.set()

    def up(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on what the client says, until it has said all."""
        self._pass(client, server)

    def down(self, server: socket.socket, client: socket.socket) -> None:
        """Hand on what the server says, until it has said all."""
        self._pass(server, client)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            client = plain
            if self._tls is not None:
                client = self._tls.wrap_socket(plain, server_side=True)
            with client, socket.create_connection(("127.0.0.1", self._to)) as server:
                self._connect(client, server)

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        with self._lock:
            self._open |= {client, server}
            self.connections += 1
        back = threading.Thread(target=self._back, args=(server, client), daemon=True)
        back.start()
        with suppress(OSError):
            self.up(client, server)
        _end(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            self.down(server, client)
        _end(server, client)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(1 << 16):
            self._flows.wait()
            sink.sendall(data)


def _end(*ends: socket.socket) -> None:
    for one in ends:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
