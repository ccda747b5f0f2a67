"""The requesting side: open an association, use its services, end it.

Blocking. Whatever goes wrong is a `NetError`, and closes the association: after one, open another.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias, TypeVar

from router.dicom.association import Association
from router.dicom.commands import (
    MEDIUM,
    CEchoRq,
    CEchoRsp,
    CFindRq,
    CFindRsp,
    Command,
    CStoreRq,
    CStoreRsp,
    NActionRq,
    NActionRsp,
    NEventReportRq,
    NEventReportRsp,
)
from router.dicom.events import (
    AssociationAccepted,
    CommandReceived,
    DataReceived,
    Event,
    Released,
    ReleaseRequested,
)
from router.dicom.negotiation import NegotiatedContext
from router.dicom.pdus import AAssociateAc, AAssociateRq
from router.dicom.uids import VERIFICATION
from router.net.connecting import connect
from router.net.connection import Connection, Patience
from router.net.data_source import DataSource, FileSlice, Pace
from router.net.endings import meaning_of
from router.net.errors import ConnectionLost, NetError, ProtocolViolation

__all__ = [
    "DataSource",
    "FileSlice",
    "OutgoingAssociation",
    "Serve",
    "Timeouts",
    "open_association",
]

Serve: TypeAlias = Callable[[int, Command, bytes], Command]
"""Answers a request of the peer on an association of ours: context, command and its data set."""

LONGEST_IDENTIFIER = 16 << 20
"""Bytes of a data set that is not an object: a report on some 100,000 instances."""

_Response = TypeVar("_Response", CEchoRsp, CStoreRsp, CFindRsp, NActionRsp, NEventReportRsp)
_HIGHEST_MESSAGE_ID = 0xFFFF
_PENDING = frozenset({0xFF00, 0xFF01})
_RESPONSE = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a peer, in seconds: for TCP and TLS, for answers to association and
    release requests, for responses, and for it to take the next bytes."""

    connect: float = 10.0
    acse: float = 30.0
    dimse: float = 60.0
    network: float = 60.0


def open_association(
    host: str,
    port: int,
    request: AAssociateRq,
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    timeouts: Timeouts | None = None,
    serve: Serve | None = None,
) -> "OutgoingAssociation":
    """Connect and associate; one of the NetErrors when that cannot be had.

    With `tls`, the peer's certificate must carry `server_name`, by default `host` (unless the
    context does not check names). That a peer accepts no context at all is not an error here.
    `serve` answers what the peer asks of us (N-EVENT-REPORT); without it that is a violation.
    """
    timeouts = timeouts or Timeouts()
    wire, peer = connect(host, port, tls=tls, server_name=server_name, timeout=timeouts.connect)
    # The release, too, is waited for by the clock of `next_event`.
    association = Association.requestor(request, now=time.monotonic())
    patience = Patience(idle=timeouts.dimse, network=timeouts.network)
    connection = Connection(wire, association, peer=peer, patience=patience)
    opened = OutgoingAssociation(connection, timeouts, serve)
    try:
        opened.await_answer()
    except BaseException:
        connection.close()
        raise
    return opened


class OutgoingAssociation:
    """An association we requested. Used by one thread at a time; a context manager that releases,
    or aborts after an exception."""

    def __init__(
        self, connection: Connection, timeouts: Timeouts, serve: Serve | None = None
    ) -> None:
        self._connection = connection
        self._association = connection.association
        self._timeouts = timeouts
        self._serve = serve
        self._failure: NetError | None = None
        self._closed = False
        self.messages_sent = 0

    def __enter__(self) -> "OutgoingAssociation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    @property
    def contexts(self) -> Mapping[int, NegotiatedContext]:
        """The accepted presentation contexts by identifier."""
        return self._association.contexts

    @property
    def acceptance(self) -> AAssociateAc:
        """The peer's whole answer, refused contexts included."""
        answer = self._association.acceptance
        assert answer is not None  # open_association waited for it
        return answer

    def context_for(
        self, sop_class_uid: str, transfer_syntax_uid: str | None = None
    ) -> NegotiatedContext | None:
        """An accepted context for this class, in this transfer syntax if one is given."""
        for context in self.contexts.values():
            if context.abstract_syntax != sop_class_uid:
                continue
            if transfer_syntax_uid in (None, context.transfer_syntax):
                return context
        return None

    def await_answer(self) -> None:
        """Wait for the answer to the association request; AssociationRejected and the like."""
        event = self._connection.next_event(limit=self._timeouts.acse, awaited="acse")
        if not isinstance(event, AssociationAccepted):
            raise self._ended_by(event)

    def echo(self) -> int:
        """Verify (C-ECHO) and return the status; ProtocolViolation without a context for it."""
        context = self.context_for(VERIFICATION)
        if context is None:
            raise ProtocolViolation("the peer accepted no context for verification")
        request = CEchoRq(message_id=self._next_id(), affected_sop_class_uid=VERIFICATION)
        self._send(context.context_id, request)
        return self._response(CEchoRsp, request.message_id)[0].status

    def store(
        self,
        context_id: int,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        data: DataSource,
        priority: int = MEDIUM,
        move_originator_ae_title: str | None = None,
        move_originator_message_id: int | None = None,
        meanwhile: Callable[[], None] | None = None,
        pace: Pace | None = None,
    ) -> CStoreRsp:
        """Send one object (C-STORE) and return the peer's response, whatever its status.

        `data` is the encoded data set in the context's transfer syntax. `meanwhile` is called when
        all of it is on its way and the response still to come; `pace` sets how fast it goes.
        When the peer ends the association meanwhile the object's fate is unknown; sending it again
        does no harm.
        """
        request = CStoreRq(
            message_id=self._next_id(),
            affected_sop_class_uid=sop_class_uid,
            affected_sop_instance_uid=sop_instance_uid,
            priority=priority,
            move_originator_ae_title=move_originator_ae_title,
            move_originator_message_id=move_originator_message_id,
        )
        self._send(context_id, request, data, pace)
        if meanwhile is not None:
            meanwhile()
        return self._response(CStoreRsp, request.message_id)[0]

    def action(
        self,
        context_id: int,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        action_type_id: int,
        data: bytes,
    ) -> NActionRsp:
        """Ask for an action (N-ACTION, PS3.7 10.1.4) and return the response, whatever it is.

        The peer may report on it before it responds: `serve` then has the report first.
        """
        request = NActionRq(
            message_id=self._next_id(),
            requested_sop_class_uid=sop_class_uid,
            requested_sop_instance_uid=sop_instance_uid,
            action_type_id=action_type_id,
        )
        self._send(context_id, request, data)
        return self._response(NActionRsp, request.message_id)[0]

    def report(
        self,
        context_id: int,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        data: bytes,
    ) -> NEventReportRsp:
        """Report an event (N-EVENT-REPORT, PS3.7 10.1.1) and return the response."""
        request = NEventReportRq(
            message_id=self._next_id(),
            affected_sop_class_uid=sop_class_uid,
            affected_sop_instance_uid=sop_instance_uid,
            event_type_id=event_type_id,
        )
        self._send(context_id, request, data)
        return self._response(NEventReportRsp, request.message_id)[0]

    def find(
        self, context_id: int, *, sop_class_uid: str, identifier: bytes
    ) -> Iterator[tuple[CFindRsp, bytes]]:
        """Query (C-FIND, PS3.7 9.1.2): each response with its identifier, the final one last."""
        request = CFindRq(message_id=self._next_id(), affected_sop_class_uid=sop_class_uid)
        self._send(context_id, request, identifier)
        while True:
            response, found = self._response(CFindRsp, request.message_id)
            yield response, found
            if response.status not in _PENDING:
                return

    def listen(self, seconds: float) -> bool:
        """Serve what the peer asks for so many seconds; False when the association has ended."""
        until = time.monotonic() + seconds
        while not self._closed and (left := until - time.monotonic()) > 0:
            event = self._connection.next_event_within(left)
            if event is None:
                return True
            if not self._served(event):
                self._ended_by(event)
        return not self._closed

    def alive(self) -> bool:
        """Whether the association still stands, without waiting for anything.

        A peer that released or aborted in the meantime is heard, and the connection closed.
        """
        if not self._closed and (event := self._connection.poll_event()) is not None:
            self._ended_by(event)  # nothing is outstanding: whatever it is, it ends here
        return not self._closed

    def release(self) -> None:
        """End in agreement. Nothing is raised: every message had its response before."""
        if self._closed:
            return
        self._association.release()
        event: Event | None = None
        while not isinstance(event, Released):
            event = self._connection.next_event(limit=self._timeouts.acse, awaited="acse")
            if isinstance(event, ReleaseRequested):  # both at once (PS3.8 9.2.3, collision)
                self._association.release_response()
            elif isinstance(event, CommandReceived):
                self._overhear(event)
            elif not isinstance(event, Released):
                break
        self._close()

    def abort(self) -> None:
        """End at once."""
        self._close()

    # The course of an exchange.

    def _next_id(self) -> int:
        self.messages_sent += 1
        return (self.messages_sent - 1) % _HIGHEST_MESSAGE_ID + 1

    def _send(
        self,
        context_id: int,
        command: Command,
        data: DataSource | None = None,
        pace: Pace | None = None,
    ) -> None:
        if self._closed:
            raise self._failure or ConnectionLost("association is closed")
        try:
            self._connection.send_command(context_id, command, data, pace)
        except NetError as error:  # our own data could not be read
            self._failure = error
            self._close()
            raise

    def _response(self, kind: type[_Response], message_id: int) -> tuple[_Response, bytes]:
        """The response and its data set; what the peer asks before it responds is served."""
        while True:
            event = self._next_event()
            if not self._served(event):
                break
        if not isinstance(event, CommandReceived):
            raise self._ended_by(event)
        command = event.command
        if not isinstance(command, kind):
            raise self._broken(f"{type(command).__name__} instead of {kind.__name__}")
        if command.message_id_being_responded_to != message_id:
            raise self._broken(f"{kind.__name__} to a message that was not sent")
        if event.has_data and isinstance(command, CEchoRsp | CStoreRsp):
            raise self._broken(f"{kind.__name__} with a data set")
        return command, self._data_set(event)

    def _next_event(self) -> Event:
        return self._connection.next_event(limit=self._timeouts.dimse, awaited="dimse")

    def _served(self, event: Event) -> bool:
        """Whether the event was a request of the peer, which is answered then."""
        if self._serve is None or not isinstance(event, CommandReceived):
            return False
        if event.command.COMMAND_FIELD & _RESPONSE:
            return False
        response = self._serve(event.context_id, event.command, self._data_set(event))
        self._send(event.context_id, response)
        return True

    def _overhear(self, event: CommandReceived) -> None:
        """A request that crossed our release: it is heard, but cannot be answered any more."""
        if self._serve is None or event.command.COMMAND_FIELD & _RESPONSE:
            return
        try:
            self._serve(event.context_id, event.command, self._data_set(event))
        except NetError:
            return  # the association ended inside it, and `release` hears of that next

    def _data_set(self, event: CommandReceived) -> bytes:
        """The data set that follows a command, which is no object and fits into memory."""
        gathered = bytearray()
        more = event.has_data
        while more:
            following = self._next_event()
            if not isinstance(following, DataReceived):
                raise self._ended_by(following)
            gathered += following.data
            more = not following.last
            if len(gathered) > LONGEST_IDENTIFIER:
                raise self._broken("a data set too long for a report or an identifier")
        return bytes(gathered)

    # Its end.

    def _broken(self, message: str) -> ProtocolViolation:
        error = ProtocolViolation(message)
        self._failure = error
        self._close()
        return error

    def _ended_by(self, event: Event) -> NetError:
        """Close, and return what an event other than the expected one means."""
        if isinstance(event, ReleaseRequested):
            self._association.release_response()
        error = self._failure = meaning_of(event, self._connection.failure)
        self._close()
        return error

    def _close(self) -> None:
        self._closed = True
        self._connection.close()
