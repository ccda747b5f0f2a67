"""One DICOM association, from either end, without a socket.

Feed it bytes, take events; hand it messages, take bytes. It never reads a clock: the caller asks
for the deadline and says when it has passed. Whatever the peer sends, it raises nothing: what
breaks the protocol is answered with an A-ABORT and told as `Aborted`.
"""

from collections.abc import Iterator, Mapping

from router.dicom.command_sets import decode_command, encode_command
from router.dicom.commands import Command
from router.dicom.errors import LocalProtocolError, RemoteProtocolError
from router.dicom.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    Closed,
    CommandReceived,
    DataReceived,
    Event,
    Released,
    ReleaseRequested,
)
from router.dicom.limits import LARGEST_SENT_PDU, Limits, Timers
from router.dicom.negotiation import NegotiatedContext, negotiated_contexts
from router.dicom.pdu_stream import Arrival, PduStream
from router.dicom.pdu_writer import COMMAND, LAST, data_header
from router.dicom.pdus import AAbort, AAssociateAc, AAssociateRj, AAssociateRq
from router.dicom.reasons import AbortReason, AbortSource
from router.dicom.receive_buffer import ReceiveBuffer
from router.dicom.states import Cause, State
from router.dicom.upper_layer import UpperLayer

__all__ = [
    "Aborted",
    "Association",
    "AssociationAccepted",
    "AssociationRejected",
    "AssociationRequested",
    "Closed",
    "CommandReceived",
    "DataReceived",
    "Event",
    "ReleaseRequested",
    "Released",
]

_FRAGMENT_OVERHEAD = 6  # of a P-DATA-TF's length: item length, context, control header
_NO_CONTEXTS: Mapping[int, NegotiatedContext] = {}


class Association:
    """Build one with `acceptor` or `requestor`, once the transport connection stands."""

    def __init__(self, request: AAssociateRq | None, now: float, timers: Timers, limits: Limits):
        self._limits = limits
        self._buffer = ReceiveBuffer()
        self._stream = PduStream(self._buffer, limits)
        self._layer = UpperLayer(is_requestor=request is not None, now=now, timers=timers)
        self._eof = False
        self._contexts: Mapping[int, NegotiatedContext] | None = None
        self._command = bytearray()  # a command set not yet whole
        self._incoming = 0  # context of the command or data set that is coming in, 0 for none
        self._data_due = False  # ... and it is a data set
        self._outgoing_data = 0  # context on which we owe a data set, 0 for none
        self._layer.begin(request)

    @classmethod
    def acceptor(
        cls, *, now: float, timers: Timers | None = None, limits: Limits | None = None
    ) -> "Association":
        """Return the accepting end of a connection made at `now` (seconds of any clock)."""
        return cls(None, now, timers or Timers(), limits or Limits())

    @classmethod
    def requestor(
        cls,
        request: AAssociateRq,
        *,
        now: float,
        timers: Timers | None = None,
        limits: Limits | None = None,
    ) -> "Association":
        """Return the requesting end of a connection made at `now`; `outgoing` has the request."""
        return cls(request, now, timers or Timers(), limits or Limits())

    # What was agreed.

    @property
    def state(self) -> State:
        """The state of PS3.8 9.2."""
        return self._layer.state

    @property
    def request(self) -> AAssociateRq | None:
        """The request, once sent or received."""
        return self._layer.request

    @property
    def acceptance(self) -> AAssociateAc | None:
        """The acceptance, once sent or received."""
        return self._layer.accept

    @property
    def awaits_data(self) -> bool:
        """Whether a command came whose data set is not whole yet."""
        return self._data_due

    @property
    def contexts(self) -> Mapping[int, NegotiatedContext]:
        """The accepted presentation contexts by identifier; none before acceptance."""
        if self._contexts is None:
            request, acceptance = self._layer.request, self._layer.accept
            if request is None or acceptance is None:
                return _NO_CONTEXTS
            self._contexts = negotiated_contexts(request, acceptance)
        return self._contexts

    @property
    def peer_max_length(self) -> int:
        """The longest P-DATA-TF the peer takes, 0 for any (and before it has said so)."""
        peer = self._layer.accept if self._layer.is_requestor else self._layer.request
        return peer.user_information.max_length if peer else 0

    @property
    def calling_ae_title(self) -> str:
        """The requestor's title without padding; empty before a request."""
        return self._layer.request.calling_ae_title if self._layer.request else ""

    @property
    def called_ae_title(self) -> str:
        """The acceptor's title without padding; empty before a request."""
        return self._layer.request.called_ae_title if self._layer.request else ""

    # Bytes in.

    def receive_buffer(self) -> memoryview:
        """Return space to receive into, never empty. Invalidates the data of earlier events."""
        return self._buffer.free()

    def received(self, count: int) -> None:
        """Say how many bytes were written at the start of `receive_buffer`."""
        try:
            self._buffer.added(count)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error

    def receive(self, data: bytes | memoryview) -> None:
        """Copy `data` in; a shell saves the copy with `receive_buffer`."""
        rest = memoryview(data)
        while rest:
            space = self._buffer.free()[: len(rest)]
            space[:] = rest[: len(space)]
            self._buffer.added(len(space))
            rest = rest[len(space) :]

    def receive_eof(self) -> None:
        """Say that the peer closed the connection; events of what came before are still told."""
        self._eof = True

    def shrink(self) -> None:
        """Give back the memory of a grown receive buffer; for when nothing has come for a while."""
        self._stream.shrink()

    def next_event(self) -> Event | None:
        """Return what happened next, or None: more bytes are needed. Never raises.

        After `Closed` there is nothing but `Closed`.
        """
        events = self._layer.events
        while not events:
            if self._layer.over:
                return Closed(lost=self._layer.lost)
            try:
                arrival = self._stream.advance()
            except RemoteProtocolError as error:
                self._stream.discard()
                self._layer.fail(error)
                continue
            if arrival is Arrival.FRAGMENT:
                event = self._fragment()
                if event is not None:
                    return event
            elif arrival is Arrival.DATA_PDU:
                self._layer.data_received()
            elif arrival is Arrival.PDU:
                self._layer.received(self._stream.pdu)
            elif self._eof:
                self._layer.connection_closed()
            else:
                return None
        return events.popleft()

    # Messages in (PS3.7 6.3.1, PS3.8 annex E).

    def _fragment(self) -> Event | None:
        if not self._layer.data_received():
            return None
        try:
            if self._stream.is_command:
                return self._command_fragment()
            return self._data_fragment()
        except RemoteProtocolError as error:
            self._layer.fail(error)
            return None

    def _data_fragment(self) -> Event | None:
        stream = self._stream
        if not self._data_due or stream.context_id != self._incoming:
            raise _unexpected_fragment("data set", stream.context_id)
        if stream.ends:
            self._data_due = False
            self._incoming = 0
        elif not stream.data:
            return None
        return DataReceived(context_id=stream.context_id, data=stream.data, last=stream.ends)

    def _command_fragment(self) -> Event | None:
        stream = self._stream
        if self._data_due or stream.context_id != (self._incoming or stream.context_id):
            raise _unexpected_fragment("command set", stream.context_id)
        if stream.context_id not in self.contexts:
            raise _unexpected_fragment("command set", stream.context_id)
        if len(self._command) + len(stream.data) > self._limits.command_set_length:
            raise RemoteProtocolError("command set too long", abort_source=AbortSource.USER)
        self._command += stream.data
        self._incoming = stream.context_id
        if not stream.ends:
            return None
        command, has_data = decode_command(self._command)
        self._command = bytearray()
        self._data_due = has_data
        if not has_data:
            self._incoming = 0
        return CommandReceived(context_id=stream.context_id, command=command, has_data=has_data)

    # Messages out.

    def accept(self, accept: AAssociateAc) -> None:
        """Accept the request (`negotiation.negotiate` makes the PDU)."""
        self._layer.ask(Cause.ACCEPT, accept)

    def reject(self, result: int, source: int, reason: int) -> None:
        """Reject the request (PS3.8 table 9-21; `reasons.RejectReason`)."""
        reject = AAssociateRj(result=result, source=source, reason=reason)
        self._layer.ask(Cause.REJECT, reject)

    def send_command(self, context_id: int, command: Command, has_data: bool) -> None:
        """Queue a command set; with `has_data`, the data set is to follow (`data_headers`)."""
        self._check_context(context_id)
        if self._outgoing_data:
            raise LocalProtocolError("the data set of the command before is not sent")
        encoded = encode_command(command, has_data)
        self._layer.data_sent()
        self._outgoing_data = context_id if has_data else 0
        largest = self._largest_fragment()
        for start in range(0, len(encoded), largest):
            part = encoded[start : start + largest]
            control = COMMAND | LAST if start + largest >= len(encoded) else COMMAND
            self._layer.send(data_header(context_id, len(part), control) + part)

    def data_headers(self, context_id: int, length: int) -> Iterator[tuple[bytes, int]]:
        """Return the P-DATA headers of a data set of `length` bytes, each with the number of
        bytes of the data set that follow it. The shell writes both, after `outgoing`."""
        if not context_id or context_id != self._outgoing_data:
            raise LocalProtocolError(f"no data set is due on context {context_id}")
        self._layer.data_sent()
        self._outgoing_data = 0
        return _headers(context_id, length, self._largest_fragment())

    def release(self) -> None:
        """Ask the peer to release."""
        if self._outgoing_data:
            raise LocalProtocolError("the data set of the command before is not sent")
        self._layer.ask(Cause.RELEASE_REQUEST)

    def release_response(self) -> None:
        """Agree to the peer's release."""
        self._layer.release_response()

    def abort(self, source: int = AbortSource.USER, reason: int = 0) -> None:
        """End the association at once; allowed in every state."""
        self._layer.abort(AAbort(source=source, reason=reason))

    def outgoing(self) -> bytes:
        """Return, and forget, the bytes to be written."""
        return self._layer.outgoing()

    def close_expected(self) -> bool:
        """Return whether the shell is to close the connection, after writing `outgoing`."""
        return self._layer.over

    def _check_context(self, context_id: int) -> None:
        if context_id not in self.contexts:
            raise LocalProtocolError(f"presentation context {context_id} is not accepted")

    def _largest_fragment(self) -> int:
        longest = min(self.peer_max_length or LARGEST_SENT_PDU, LARGEST_SENT_PDU)
        return (longest - _FRAGMENT_OVERHEAD) & ~1  # fragments are of even length

    # Time.

    def deadline(self, now: float) -> float | None:
        """Return when `expired` is to be called, or None. Ask before each wait: a wait that
        began since the last call (for a release, for a close) is counted from `now`."""
        return self._layer.deadline(now)

    def expired(self, now: float) -> None:
        """Act on the deadline if it has passed; `next_event` tells what came of it."""
        self._layer.expired(now)


def _headers(context_id: int, length: int, largest: int) -> Iterator[tuple[bytes, int]]:
    if length > largest:
        header = data_header(context_id, largest, 0)
        while length > largest:
            yield header, largest
            length -= largest
    yield data_header(context_id, length, LAST), length


def _unexpected_fragment(kind: str, context_id: int) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"fragment of a {kind} not expected on context {context_id}",
        abort_reason=AbortReason.UNEXPECTED_PARAMETER,
    )
