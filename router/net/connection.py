"""The shell round one association: moves its bytes over a wire and keeps its time.

Blocking, and used by one thread; only `end` is for others. A peer's fault is never raised: it ends
the association, `next_event` tells how, and `failure` says why where the protocol has no word.
"""

import dataclasses
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from router.dicom.association import Association
from router.dicom.commands import Command
from router.dicom.events import (
    Aborted,
    Closed,
    DataReceived,
    Event,
    ReleaseRequested,
)
from router.dicom.limits import SMALLEST_BUFFER
from router.dicom.states import State
from router.net.data_source import BlockReader, DataSource, Pace
from router.net.errors import (
    Awaited,
    ConnectionLost,
    DataSourceFailed,
    NetError,
    ProtocolViolation,
    TimedOut,
    tls_failed,
)
from router.net.peer import Peer
from router.net.wire import Buffer, Wire

# An association that is quiet for so long gives its grown receive buffer back (seconds).
_SHRINK_AFTER: Final = 5.0
# What closing may wait for a peer to take our last words (seconds).
_FAREWELL: Final = 2.0
# Events kept of a peer that talks while it is to listen: a response, a report, hardly more.
_MOST_EARLY: Final = 64
_PACED_LENGTH: Final = 16 * 1024  # bytes written at once where the pace is set: no bursts


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a peer may be silent, in seconds: between messages, and inside one or when it is to
    take what we send."""

    idle: float = 600.0
    network: float = 60.0


class Connection:
    """An association on a wire."""

    def __init__(
        self,
        wire: Wire,
        association: Association,
        *,
        peer: Peer,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.association = association
        self.peer = peer
        self.failure: NetError | None = None
        self._wire = wire
        self._patience = patience or Patience()
        self._clock = clock
        self._early: deque[Event] = deque()
        self._heard = True  # what we write reaches the peer
        self._eof = False
        self._ending = threading.Event()
        self._reader = BlockReader()
        self._last_input = clock()

    def next_event(self, *, limit: float | None = None, awaited: Awaited | None = None) -> Event:
        """Write what is due, wait, and return what happened next.

        `limit` (seconds) is how long the peer may be silent, by default what `Patience` says;
        `awaited` names it in `failure`. After `Aborted` and `Closed` nothing else comes.
        """
        while True:
            event = self.event_at_hand()
            if event is not None:
                return event
            if not self._exchange(limit, awaited):
                return Aborted(source=0, reason=0, by_peer=False)

    def event_at_hand(self) -> Event | None:
        """What the bytes read so far amount to, or None; leaves the receive buffer as it is."""
        return self._early.popleft() if self._early else self.association.next_event()

    def send_command(
        self,
        context_id: int,
        command: Command,
        data: DataSource | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Write a message: a command set and, if given, its data set, as fast as `pace` lets it.

        Stops half-way when the association ends meanwhile, which `next_event` then tells.
        LocalProtocolError when it is not ours to say now; DataSourceFailed when `data` cannot be
        read, after aborting, since half a data set is out.
        """
        self.association.send_command(context_id, command, has_data=data is not None)
        if data is None:
            self.flush()
            return
        try:
            self._send_data(context_id, data, pace)
        except DataSourceFailed as error:
            self.failure = error
            self.association.abort()
            self.flush()
            raise

    def flush(self) -> None:
        """Write what the association has to say."""
        output = self.association.outgoing()
        if output:
            self._write([output])

    def poll_event(self) -> Event | None:
        """What has happened already or can be read now, or None; nothing is waited for."""
        event = self.event_at_hand()
        if event is None and self._wire.has_input():
            try:
                self._receive(0.0)
            except TimeoutError:
                return None  # what came was TLS's own
            event = self.event_at_hand()
        return event

    def next_event_within(self, seconds: float) -> Event | None:
        """What happens next, or None: nothing did for so long, and the association lives on."""
        until = self._clock() + seconds
        while (event := self.event_at_hand()) is None:
            self.flush()
            try:
                self._receive(max(0.0, until - self._clock()))
            except TimeoutError:
                return None
            if self._ending.is_set():
                self._give_up(ConnectionLost("ended on our side"))
                return Aborted(source=0, reason=0, by_peer=False)
        return event

    def quiet_for(self) -> float:
        """How long nothing has come from the peer, in seconds; from any thread."""
        return self._clock() - self._last_input

    def aside(self) -> AbstractContextManager[None]:
        """Around what waits for something else than the peer: other associations go on."""
        return self._wire.turn.aside()

    def end(self) -> None:
        """From any thread: abort instead of waiting for the peer again."""
        self._ending.set()
        self._wire.interrupt()

    def close(self) -> None:
        """Close, after an abort if the association still stands. Safe to repeat."""
        if not self.association.close_expected():
            self.association.abort()
        self._patience = Patience(idle=_FAREWELL, network=_FAREWELL)
        self.flush()
        self._wire.close()
        self._heard = False
        self._end_of_input()

    # Receiving.

    def _exchange(self, limit: float | None, awaited: Awaited | None) -> bool:
        """Write, then read once. False: the peer was silent too long, or we are to end; aborted."""
        self.flush()
        if self._eof:
            return True
        in_message = self.association.awaits_data
        if limit is None:
            limit = self._patience.network if in_message else self._patience.idle
        try:
            self._receive(limit)
        except TimeoutError:
            failure = TimedOut(awaited or ("network" if in_message else "idle"), limit)
            return self._give_up(failure)
        if self._ending.is_set():
            return self._give_up(ConnectionLost("ended on our side"))
        return True

    def _receive(self, limit: float) -> None:
        """Read what comes within `limit` seconds, or TimeoutError; an own deadline may be first."""
        now = self._clock()
        deadline = self.association.deadline(now)
        own = deadline is not None and deadline - now < limit
        wait = deadline - now if own and deadline is not None else limit
        try:
            count = self._read(wait)
        except TimeoutError:
            if not own:
                raise
            self.association.expired(self._clock())
        except OSError as error:
            self._lose(error)
            self._end_of_input()
        else:
            if count:
                self.association.received(count)
                self._last_input = self._clock()
            elif not self._ending.is_set():
                self._end_of_input()

    def _read(self, wait: float) -> int:
        view = self.association.receive_buffer()
        if len(view) > SMALLEST_BUFFER and wait > _SHRINK_AFTER:
            try:
                return self._wire.receive_into(view, _SHRINK_AFTER)
            except TimeoutError:
                wait -= _SHRINK_AFTER
            # Out of the handler, whose traceback holds the view, and with it the memory.
            self.association.shrink()
            view = self.association.receive_buffer()
        return self._wire.receive_into(view, wait)

    # Sending.

    def _send_data(self, context_id: int, data: DataSource, pace: Pace | None) -> None:
        reader = self._reader
        length = reader.begin(data)
        batch: list[Buffer] = [self.association.outgoing()]
        block = memoryview(b"")
        for header, count in self.association.data_headers(context_id, length):
            batch.append(header)
            while count:
                if not block:
                    if reader.overwrites():
                        if not self._write_data(batch, pace):
                            return
                        batch = []
                        reader.reuse()
                    block = reader.next_block()
                batch.append(block[:count])
                taken = min(count, len(block))
                block = block[taken:]
                count -= taken
        self._write_data(batch, pace)

    def _write_data(self, batch: list[Buffer], pace: Pace | None) -> bool:
        if pace is None:
            return self._write(batch, watch=True)
        for piece in batch:
            for start in range(0, len(piece), _PACED_LENGTH):
                part = memoryview(piece)[start : start + _PACED_LENGTH]
                pace(len(part))
                if not self._write([part], watch=True):
                    return False
        return True

    def _write(self, batch: list[Buffer], *, watch: bool = False) -> bool:
        """Write all of `batch`; False when there is nobody to write to any more."""
        if not self._heard:
            return False
        watcher = self._input_allows_more if watch else None
        try:
            return self._wire.send(batch, self._patience.network, watcher)
        except TimeoutError:
            self._heard = False
            self._give_up(TimedOut("network", self._patience.network))
            self._end_of_input()
        except OSError as error:
            # What the peer said before it hung up can still be read: an A-ABORT, perhaps.
            self._heard = False
            self._lose(error)
        return False

    def _input_allows_more(self) -> bool:
        """The peer takes nothing and says something: hear it, and stop if it ends everything."""
        try:
            self._receive(0.0)
        except TimeoutError:
            return True
        while (event := self.association.next_event()) is not None:
            self._early.append(_kept(event))
            if isinstance(event, Aborted | Closed | ReleaseRequested):
                return False
        if len(self._early) > _MOST_EARLY:
            self._give_up(ProtocolViolation("one message after another while it takes none"))
            return False
        return not self._ending.is_set()

    # Ending.

    def _give_up(self, failure: NetError) -> bool:
        """Abort; return True where that is no news, since only the close was awaited."""
        self.failure = self.failure or failure
        closing = self.association.state is State.AWAITING_CLOSE
        self.association.abort()
        self.flush()
        return closing or self.association.close_expected()

    def _lose(self, error: OSError) -> None:
        lost = tls_failed(error) if isinstance(error, ssl.SSLError) else _lost(error)
        self.failure = self.failure or lost

    def _end_of_input(self) -> None:
        self._eof = True
        self.association.receive_eof()


def _kept(event: Event) -> Event:
    """The event with bytes of its own, to outlive the receive buffer."""
    if not isinstance(event, DataReceived):
        return event
    return dataclasses.replace(event, data=memoryview(bytes(event.data)))


def _lost(error: OSError) -> ConnectionLost:
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return ConnectionLost()
    return ConnectionLost(f"connection lost: {error.strerror or 'no reason known'}")
