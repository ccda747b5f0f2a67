"""The requesting side: open an association, use its services, end it.

Blocking. Whatever goes wrong is a `NetError`, and closes the association: after one, open another.
"""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from router.dicom.association import Association
from router.dicom.commands import (
    MEDIUM,
    CEchoRq,
    CEchoRsp,
    Command,
    CStoreRq,
    CStoreRsp,
)
from router.dicom.events import (
    Aborted,
    AssociationAccepted,
    Closed,
    CommandReceived,
    Event,
    Released,
    ReleaseRequested,
)
from router.dicom.events import AssociationRejected as RejectReceived
from router.dicom.negotiation import NegotiatedContext
from router.dicom.pdus import AAssociateAc, AAssociateRq
from router.dicom.uids import VERIFICATION
from router.net.connecting import connect
from router.net.connection import Connection, Patience
from router.net.data_source import DataSource, FileSlice
from router.net.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    ConnectionLost,
    NetError,
    ProtocolViolation,
)

__all__ = ["DataSource", "FileSlice", "OutgoingAssociation", "Timeouts", "open_association"]

_Response = TypeVar("_Response", CEchoRsp, CStoreRsp)
_HIGHEST_MESSAGE_ID = 0xFFFF


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
) -> "OutgoingAssociation":
    """Connect and associate; one of the NetErrors when that cannot be had.

    With `tls`, the peer's certificate must carry `server_name`, by default `host` (unless the
    context does not check names). That a peer accepts no context at all is not an error here.
    """
    timeouts = timeouts or Timeouts()
    wire, peer = connect(host, port, tls=tls, server_name=server_name, timeout=timeouts.connect)
    # The release, too, is waited for by the clock of `next_event`.
    association = Association.requestor(request, now=time.monotonic())
    patience = Patience(idle=timeouts.dimse, network=timeouts.network)
    connection = Connection(wire, association, peer=peer, patience=patience)
    opened = OutgoingAssociation(connection, timeouts)
    try:
        opened.await_answer()
    except BaseException:
        connection.close()
        raise
    return opened


class OutgoingAssociation:
    """An association we requested. Used by one thread at a time; a context manager that releases,
    or aborts after an exception."""

    def __init__(self, connection: Connection, timeouts: Timeouts) -> None:
        self._connection = connection
        self._association = connection.association
        self._timeouts = timeouts
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
        return self._response(CEchoRsp, request.message_id).status

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
    ) -> CStoreRsp:
        """Send one object (C-STORE) and return the peer's response, whatever its status.

        `data` is the encoded data set in the context's transfer syntax. `meanwhile` is called when
        all of it is on its way and the response still to come. When the peer ends the association
        meanwhile the object's fate is unknown; sending it again does no harm.
        """
        request = CStoreRq(
            message_id=self._next_id(),
            affected_sop_class_uid=sop_class_uid,
            affected_sop_instance_uid=sop_instance_uid,
            priority=priority,
            move_originator_ae_title=move_originator_ae_title,
            move_originator_message_id=move_originator_message_id,
        )
        self._send(context_id, request, data)
        if meanwhile is not None:
            meanwhile()
        return self._response(CStoreRsp, request.message_id)

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
            elif not isinstance(event, Released | CommandReceived):
                break
        self._close()

    def abort(self) -> None:
        """End at once."""
        self._close()

    # The course of an exchange.

    def _next_id(self) -> int:
        self.messages_sent += 1
        return (self.messages_sent - 1) % _HIGHEST_MESSAGE_ID + 1

    def _send(self, context_id: int, command: Command, data: DataSource | None = None) -> None:
        if self._closed:
            raise self._failure or ConnectionLost("association is closed")
        try:
            self._connection.send_command(context_id, command, data)
        except NetError as error:  # our own data could not be read
            self._failure = error
            self._close()
            raise

    def _response(self, kind: type[_Response], message_id: int) -> _Response:
        event = self._connection.next_event(limit=self._timeouts.dimse, awaited="dimse")
        if not isinstance(event, CommandReceived):
            raise self._ended_by(event)
        command = event.command
        if not isinstance(command, kind):
            raise self._broken(f"{type(command).__name__} instead of {kind.__name__}")
        if command.message_id_being_responded_to != message_id:
            raise self._broken(f"{kind.__name__} to a message that was not sent")
        if event.has_data:
            raise self._broken(f"{kind.__name__} with a data set")
        return command

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
        error = self._failure = _meaning(event, self._connection.failure)
        self._close()
        return error

    def _close(self) -> None:
        self._closed = True
        self._connection.close()


def _meaning(event: Event, failure: NetError | None) -> NetError:
    match event:
        case RejectReceived():
            return AssociationRejected(event.result, event.source, event.reason)
        case Aborted(by_peer=True):
            return AssociationAborted(event.source, event.reason)
        case Aborted(error=error) if error is not None:
            return ProtocolViolation(str(error))
        case ReleaseRequested():
            return AssociationReleased()
        case Aborted() | Closed():
            return failure or ConnectionLost()
        case _:
            return ProtocolViolation(f"unexpected {type(event).__name__}")
