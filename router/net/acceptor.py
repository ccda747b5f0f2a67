"""The accepting side: a listening socket, and a thread for each connection it accepts.

Threads, not a loop: on one association they are a fifth faster than asyncio, and one that idles
costs a sleeping thread. What is said on an association is up to `serve`.
"""

import errno
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from router.dicom.association import Association
from router.dicom.limits import Limits, Timers
from router.net.connection import Connection, Patience
from router.net.errors import TimedOut, TlsFailed, tls_failed
from router.net.listening import listening_failed
from router.net.peer import Peer, peer_of
from router.net.tls import subject_of
from router.net.turns import Turn, Turns
from router.net.wire import TlsWire, Wire

# A hard limit per listener, far above what a site configures: it keeps a flood of connections from
# becoming a flood of threads. The polite limit, with its A-ASSOCIATE-RJ, is for `serve`.
MOST_CONNECTIONS: Final = 2000
# When draining, an association that is quiet for so long has nothing under way (seconds).
QUIET: Final = 3.0

_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_WHEN_OUT_OF_FILES = 0.2

log = structlog.get_logger(__name__)


class Acceptor:
    """Listens on one address from `start` to `stop`.

    `serve` gets each connection, in a thread of its own, and the connection is closed when it
    returns. `timers.artim` also limits the TLS handshake.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        serve: Callable[[Connection], None],
        tls: ssl.SSLContext | None = None,
        timers: Timers | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
        backlog: int = 128,
        reuse_port: bool = False,
        most_connections: int = MOST_CONNECTIONS,
        turns: Turns | None = None,
        name: str = "listener",
    ) -> None:
        """`turns`: what this listener's connections take turns by, and those of others with the
        same; left out, they take none."""
        self.name = name
        self._address = (host, port)
        self._serve = serve
        self._tls = tls
        self._timers = timers or Timers()
        self._limits = limits
        self._patience = patience
        self._backlog = backlog
        self._reuse_port = reuse_port
        self._most = most_connections
        self._turns = turns
        self._open: set[Connection] = set()
        self._threads = 0  # open connections, and those still in their handshake
        self._changed = threading.Condition()
        self._listening: socket.socket | None = None
        self._wake: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, once started; it may have been chosen by the system."""
        assert self._listening is not None, "not started"
        return int(self._listening.getsockname()[1])

    @property
    def open_connections(self) -> int:
        """How many connections have a thread, with or without an association yet."""
        return self._threads

    def start(self) -> None:
        """Listen; OSError when the address cannot be had, in words that name it."""
        try:
            self._listening = _listen(self._address, self._backlog, reuse_port=self._reuse_port)
        except OSError as error:
            raise listening_failed(error, *self._address) from None
        heard, self._wake = socket.socketpair()
        self._thread = threading.Thread(
            target=self._accept_until_woken, args=(heard,), name=f"{self.name}-accept", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Accept no more connections; those that stand go on. Safe to repeat."""
        if self._wake is None or self._thread is None or self._listening is None:
            return
        self._wake.close()
        self._thread.join()
        self._listening.close()
        self._wake = None

    def drain(self, timeout: float) -> int:
        """Stop, and wait up to `timeout` seconds for associations to end. Return how many are left.

        One with nothing under way for `QUIET` seconds is aborted: its peer keeps it for later, and
        has the answer to everything it sent.
        """
        self.stop()
        by = time.monotonic() + timeout
        with self._changed:
            while self._threads and (left := by - time.monotonic()) > 0:
                for connection in self._open:
                    if connection.quiet_for() >= QUIET:
                        connection.end()
                self._changed.wait(min(left, QUIET / 10))
            return self._threads

    def close(self, timeout: float = 5.0) -> None:
        """Stop, abort every association, and wait up to `timeout` seconds for their threads."""
        self.stop()
        by = time.monotonic() + timeout
        with self._changed:
            for connection in self._open:
                connection.end()
            while self._threads and (left := by - time.monotonic()) > 0:
                self._changed.wait(left)

    # The accepting thread.

    def _accept_until_woken(self, wake: socket.socket) -> None:
        listening = self._listening
        assert listening is not None
        waiting = select.poll()
        waiting.register(listening, select.POLLIN)
        waiting.register(wake, select.POLLIN)
        with wake:
            while all(fd != wake.fileno() for fd, _ in waiting.poll()):
                try:
                    sock, _ = listening.accept()
                except BlockingIOError:
                    continue  # gone before it was accepted
                except OSError as error:
                    self._accept_failed(error)
                    continue
                self._admit(sock)

    def _accept_failed(self, error: OSError) -> None:
        # Others than these belong to the one connection that failed (accept(2)).
        if error.errno in _OUT_OF_FILES:
            log.error("connection not accepted", listener=self.name, error=error.strerror)
            time.sleep(_PAUSE_WHEN_OUT_OF_FILES)

    def _admit(self, sock: socket.socket) -> None:
        with self._changed:
            crowded = self._threads >= self._most
            if not crowded:
                self._threads += 1
        if crowded:
            log.warning("connection closed: too many", listener=self.name, limit=self._most)
            sock.close()
            return
        thread = threading.Thread(
            target=self._run, args=(sock,), name=f"{self.name}-association", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            log.error("connection closed: no thread for it", listener=self.name)
            sock.close()
            self._gone(None)

    # A connection's thread.

    def _run(self, sock: socket.socket) -> None:
        connection: Connection | None = None
        try:
            connection = self._connection(sock)
            with self._changed:
                self._open.add(connection)
            self._serve(connection)
        except (TlsFailed, TimedOut) as error:
            log.warning("no TLS session", listener=self.name, reason=error.reason)
        except ConnectionError:
            log.debug("connection closed before it was used", listener=self.name)
        except Exception:  # one association's mistake is not the listener's end
            log.exception("association failed", listener=self.name)
        finally:
            if connection is None:
                sock.close()
            else:
                connection.close()
            self._gone(connection)

    def _connection(self, sock: socket.socket) -> Connection:
        wire, peer = self._wire(sock)
        association = Association.acceptor(
            now=time.monotonic(), timers=self._timers, limits=self._limits
        )
        return Connection(wire, association, peer=peer, patience=self._patience)

    def _wire(self, sock: socket.socket) -> tuple[Wire, Peer]:
        if self._tls is None:
            return Wire(sock, Turn(self._turns)), peer_of(sock)
        session: socket.socket = sock
        try:
            session = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            wire = TlsWire(session, Turn(self._turns))
            wire.handshake(self._timers.artim)
            return wire, peer_of(session, subject_of(wire.peer_certificate()))
        except TimeoutError as error:
            session.close()
            raise TimedOut("tls", self._timers.artim) from error
        except OSError as error:
            session.close()
            raise tls_failed(error) from error

    def _gone(self, connection: Connection | None) -> None:
        with self._changed:
            if connection is not None:
                self._open.discard(connection)
            self._threads -= 1
            self._changed.notify_all()


def _listen(address: tuple[str, int], backlog: int, *, reuse_port: bool) -> socket.socket:
    """A listening socket; `::` takes IPv4 as well."""
    host, port = address
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.create_server(
        (host, port),
        family=family,
        backlog=backlog,
        reuse_port=reuse_port,
        dualstack_ipv6=family == socket.AF_INET6 and host == "::",
    )
    sock.setblocking(False)
    return sock
