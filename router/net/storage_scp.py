"""A plain storage SCP on one connection: answers C-ECHO and C-STORE, and hands the bytes on.

For what receives without policy: the command `sink`, tests, the benchmark's null receiver. The
router's own reception has promises to keep, and a loop of its own.
"""

from collections.abc import Callable
from typing import Protocol

from router.dicom.commands import CEchoRq, CEchoRsp, Command, CStoreRq, CStoreRsp
from router.dicom.events import (
    AssociationRequested,
    CommandReceived,
    DataReceived,
    ReleaseRequested,
)
from router.dicom.negotiation import Acceptance, NegotiatedContext, negotiate
from router.dicom.reasons import RejectReason, RejectResult
from router.dicom.uids import storage_sop_classes
from router.net.connection import Connection

# Read with this module, not while the first peer waits for the answer to its request.
storage_sop_classes()

SUCCESS = 0x0000

_TRANSIENT = (RejectReason.TEMPORARY_CONGESTION, RejectReason.LOCAL_LIMIT_EXCEEDED)


class Reception(Protocol):
    """What becomes of one object."""

    def write(self, fragment: memoryview) -> None:
        """Take the next bytes; the view does not outlive the call."""

    def finish(self) -> int | None:
        """All bytes are there: return the status to answer with, or None to abort instead."""

    def discard(self) -> None:
        """The association ended in the middle of the object."""


Receive = Callable[[Connection, NegotiatedContext, CStoreRq], Reception]


def serve_storage(
    connection: Connection,
    receive: Receive,
    *,
    acceptance: Acceptance | None = None,
    refusal: Callable[[Connection], RejectReason | None] = lambda _: None,
) -> None:
    """Serve one association to its end. `refusal` may reject its request."""
    event = connection.next_event()
    if not isinstance(event, AssociationRequested):
        return
    reason = refusal(connection)
    if reason is not None:
        result = RejectResult.TRANSIENT if reason in _TRANSIENT else RejectResult.PERMANENT
        connection.association.reject(result, reason.source, reason.reason)
        connection.next_event()
        return
    connection.association.accept(negotiate(event.request, acceptance or Acceptance()))
    while _serve_message(connection, receive):
        pass


def _serve_message(connection: Connection, receive: Receive) -> bool:
    match connection.next_event():
        case CommandReceived(command=CStoreRq() as command, has_data=True) as event:
            return _store(connection, receive, event.context_id, command)
        case CommandReceived(command=CEchoRq() as command) as event:
            response: Command = CEchoRsp(
                message_id_being_responded_to=command.message_id,
                affected_sop_class_uid=command.affected_sop_class_uid,
                status=SUCCESS,
            )
            connection.send_command(event.context_id, response)
        case CommandReceived():
            connection.association.abort()
        case ReleaseRequested():
            connection.association.release_response()
        case _:
            return False
    return True


def _store(connection: Connection, receive: Receive, context_id: int, command: CStoreRq) -> bool:
    association = connection.association
    reception = receive(connection, association.contexts[context_id], command)
    while True:
        event = association.next_event() or connection.next_event()
        if not isinstance(event, DataReceived):
            reception.discard()
            return False
        if event.data:
            reception.write(event.data)
        if event.last:
            break
    status = reception.finish()
    if status is None:
        association.abort()
        return True
    response = CStoreRsp(
        message_id_being_responded_to=command.message_id,
        affected_sop_class_uid=command.affected_sop_class_uid,
        affected_sop_instance_uid=command.affected_sop_instance_uid,
        status=status,
    )
    connection.send_command(context_id, response)
    return True
