"""A TCP proxy that stands between a worker and a peer of it, and can be cut like a cable."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class TcpProxy:
    """Hands connections on to a port of this machine. While `cut`, no byte passes, in neither
    direction, and nobody is told; `mend` breaks what was open, as the peers would find it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.connections = 0
        """How many there have been."""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
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
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as server:
            with self._lock:
                self._open |= {client, server}
                self.connections += 1
            back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
            back.start()
            self._pass(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
