"""A byte stream to a peer that can be waited on: TCP, or TLS over it.

On a plain connection the read itself waits, for as long as the socket is told to: each further call
of the system lets go of the interpreter's lock, which other associations take. Whatever else has to
wait does so in `poll`. One thread uses a wire; only `interrupt` is for others.
"""

import itertools
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from router.net.sockets import acknowledge_at_once, prepare, wait_in_reads
from router.net.turns import Turn

Buffer: TypeAlias = bytes | bytearray | memoryview

_IOV_MAX: Final = min(1024, max(16, os.sysconf("SC_IOV_MAX")))
_SHORTEST_WAIT: Final = 0.001  # seconds; the system waits in its own ticks
_SHORT: Final = 64 << 10  # bytes; of more than that, copying takes longer than changes of thread
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR


class Wire:
    """A TCP connection. Raises TimeoutError for a wait that was too long, OSError for the rest.

    Its thread has the `turn` from when it has read something short until it waits or closes.
    """

    def __init__(self, sock: socket.socket, turn: Turn | None = None) -> None:
        prepare(sock)
        self.turn = turn or Turn()
        self._socket = sock
        self._poll = select.poll()
        self._guard = threading.Lock()
        self._waits: float | None = None  # how long a read does, in seconds

    def receive_into(self, view: memoryview, timeout: float | None) -> int:
        """Read what there is, waiting up to `timeout` seconds for the first byte; 0: the end."""
        acknowledge_at_once(self._socket)
        self.turn.give()
        try:
            if timeout is not None and timeout < _SHORTEST_WAIT:
                return self._socket.recv_into(view, 0, socket.MSG_DONTWAIT)
            if timeout != self._waits:
                wait_in_reads(self._socket, timeout)
                self._waits = timeout
            count = self._socket.recv_into(view)
        except BlockingIOError:
            raise TimeoutError from None
        self._take_turn(count)
        return count

    def send(
        self,
        pieces: Sequence[Buffer],
        timeout: float | None,
        on_input: Callable[[], bool] | None = None,
    ) -> bool:
        """Write all pieces, none of them empty; `timeout` seconds may pass without progress.

        `on_input` is called when the peer takes nothing but has something to say, until it returns
        False: then writing stops half-way and False is returned.
        """
        rest = list(pieces)
        while rest:
            try:
                now = rest if len(rest) <= _IOV_MAX else rest[:_IOV_MAX]
                sent = self._socket.sendmsg(now, (), socket.MSG_DONTWAIT)
            except BlockingIOError:
                if not self._wait_to_send(timeout, on_input):
                    return False
                continue
            rest = _unsent(rest, sent)
        return True

    def has_input(self) -> bool:
        """Whether the peer has sent or closed something that nobody has read yet."""
        self._poll.register(self._socket, select.POLLIN)
        return bool(self._poll.poll(0))

    def interrupt(self) -> None:
        """From any thread: whoever waits for input sees the end of the stream."""
        with self._guard:
            try:
                # The plain socket's own method: the TLS object belongs to its thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RD)
            except OSError:
                return  # gone already

    def close(self) -> None:
        """Give the socket back. Safe to repeat."""
        self.turn.give()
        with self._guard:
            self._socket.close()

    def _take_turn(self, count: int) -> None:
        """For what so many bytes are about."""
        if count < _SHORT:
            self.turn.take()

    def _wait(self, events: int, timeout: float | None) -> int:
        """Wait for one of `events`; return which came (errors count as any)."""
        self._poll.register(self._socket, events)
        found = self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000)
        if not found:
            raise TimeoutError
        return found[0][1]

    def _wait_to_send(self, timeout: float | None, on_input: Callable[[], bool] | None) -> bool:
        wanted = select.POLLOUT if on_input is None else select.POLLOUT | select.POLLIN
        with self.turn.aside():
            events = self._wait(wanted, timeout)
        return on_input is None or not events & _READABLE or on_input()


class TlsWire(Wire):
    """A TLS session over a TCP connection; `handshake` comes first."""

    def __init__(self, sock: ssl.SSLSocket, turn: Turn | None = None) -> None:
        super().__init__(sock, turn)
        sock.setblocking(False)  # a read may have to write
        self._session = sock
        self._broken: OSError | None = None

    def handshake(self, timeout: float | None) -> None:
        """Make the session; ssl.SSLError or OSError when there is none to be had."""
        while True:
            try:
                self._session.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
                self._wait(_wanted(wanted), timeout)
                continue
            return

    def receive_into(self, view: memoryview, timeout: float | None) -> int:
        """As on a plain wire. A stream cut off without TLS's own farewell ends like any other:
        DICOM's messages say themselves whether they are complete."""
        if self._broken is not None:
            raise self._broken
        self.turn.give()
        count = self._receive_first(view, timeout)
        if count:
            count += self._receive_more(view[count:])
        acknowledge_at_once(self._session)
        self._take_turn(count)
        return count

    def _receive_first(self, view: memoryview, timeout: float | None) -> int:
        while True:
            try:
                return self._session.recv_into(view)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
                acknowledge_at_once(self._session)
                self._wait(_wanted(wanted), timeout)
            except ssl.SSLEOFError:
                return 0

    def _receive_more(self, view: memoryview) -> int:
        """Read what is there, record by record (16 KiB at most): each by itself would be an event
        and a write for whoever wants the bytes."""
        count = 0
        while view:
            try:
                more = self._session.recv_into(view)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
                break
            except OSError as error:  # for the next read; what came before it comes first
                self._broken = error
                break
            if not more:
                break
            count += more
            view = view[more:]
        return count

    def send(
        self,
        pieces: Sequence[Buffer],
        timeout: float | None,
        on_input: Callable[[], bool] | None = None,
    ) -> bool:
        """As on a plain wire; pieces are joined, since each write makes a record of its own."""
        rest = memoryview(b"".join(pieces))
        while rest:
            try:
                sent = self._session.send(rest)
            except ssl.SSLWantWriteError:
                if not self._wait_to_send(timeout, on_input):
                    return False
                continue
            except ssl.SSLWantReadError:
                with self.turn.aside():
                    self._wait(select.POLLIN, timeout)
                continue
            rest = rest[sent:]
        return True

    def has_input(self) -> bool:
        return self._broken is not None or self._session.pending() > 0 or super().has_input()

    def peer_certificate(self) -> dict[str, object]:
        """The peer's verified certificate as the ssl module shows it; empty when there is none."""
        return dict(self._session.getpeercert() or {})


def _wanted(wanted: ssl.SSLError) -> int:
    return select.POLLIN if isinstance(wanted, ssl.SSLWantReadError) else select.POLLOUT


def _unsent(pieces: list[Buffer], sent: int) -> list[Buffer]:
    """What is left of `pieces` after their first `sent` bytes."""
    for index, piece in enumerate(pieces):
        if sent < len(piece):
            first = memoryview(piece)[sent:] if sent else piece
            return list(itertools.chain((first,), pieces[index + 1 :]))
        sent -= len(piece)
    return []
