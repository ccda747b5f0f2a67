"""C-STORE as an SCP: one request, its data set streamed into the spool, one precise status.

Statuses are those of PS3.4 table B.2-1 and PS3.7 annex C. Success is said only of a durable
object. Whatever the status, the data set is read to its end: the association lives on.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

from router import metrics
from router.dicom.commands import CStoreRq, CStoreRsp
from router.dicom.events import DataReceived
from router.dicom.negotiation import NegotiatedContext
from router.dicom.uids import is_valid_uid
from router.ingress.answers import (
    CLASS_CONFLICT,
    DUPLICATE,
    INVALID_INSTANCE,
    NO_DATA_SET,
    NO_ROOM,
    NOT_WRITTEN,
    STORE_AWAY,
    SUCCESS,
    Answer,
)
from router.ingress.reception import Provenance, Reception
from router.ingress.space import ASK_AGAIN_BYTES, SpaceGuard
from router.ledger import ReceivedObject
from router.logs import get_logger
from router.net.connection import Connection
from router.store import Spool

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})

QUICKLY_WRITTEN = 64 << 10
"""Bytes. Of a shorter object, not flushed, the system only takes a copy."""

log = get_logger("ingress")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSink:
    """Where received objects go, and what decides whether they may.

    `durable` says whether Success waits for the flush; `submit` takes note of what is stored.
    `refuses`, where duplicates are not wanted, says whether a SOP instance UID is one. `secure`,
    where Success is said only of what the store elsewhere has, says whether it has it; what it has
    not is gone.
    """

    spool: Spool
    space: SpaceGuard
    durable: bool
    submit: Callable[[ReceivedObject], None]
    refuses: Callable[[str], bool] | None = None
    secure: Callable[[ReceivedObject], bool] | None = None


class Storing:
    """The C-STORE requests of one association."""

    def __init__(self, connection: Connection, sink: ObjectSink, provenance: Provenance) -> None:
        self._connection = connection
        self._sink = sink
        self._provenance = provenance
        listener = provenance.listener
        self._bytes = metrics.BYTES_RECEIVED.labels(listener)
        self._stored = metrics.OBJECTS_RECEIVED.labels(listener, SUCCESS.slug)

    @property
    def association_id(self) -> str:
        """Our id of the association, as traces show it."""
        return self._provenance.association_id

    def receive(self, context_id: int, command: CStoreRq, *, has_data: bool) -> bool:
        """Take one object in and answer. False if the association ended on the way."""
        result = self._take(context_id, command, has_data=has_data)
        if result is None:
            return False
        answer = SUCCESS if isinstance(result, ReceivedObject) else result
        try:
            self._respond(context_id, command, answer)
        finally:
            if isinstance(result, ReceivedObject):
                self._sink.submit(result)
                self._stored.inc()
                self._bytes.inc(result.size)
        return True

    def _take(
        self, context_id: int, command: CStoreRq, *, has_data: bool
    ) -> ReceivedObject | Answer | None:
        """The stored object, or why not, or None if the association ended first."""
        if not has_data:
            return NO_DATA_SET
        context = self._connection.association.contexts[context_id]
        refusal = self._refusal(command, context)
        if refusal is not None:
            return refusal if self._skip_data() else None
        try:
            reception = Reception(
                self._sink.spool,
                self._provenance,
                sop_class_uid=command.affected_sop_class_uid,
                sop_instance_uid=command.affected_sop_instance_uid,
                transfer_syntax_uid=context.transfer_syntax,
            )
        except OSError as error:
            return _disk_trouble(error) if self._skip_data() else None
        return self._stream(reception)

    def _refusal(self, command: CStoreRq, context: NegotiatedContext) -> Answer | None:
        """Why this object is not wanted, judged before its data set is read."""
        if command.affected_sop_class_uid != context.abstract_syntax:
            return CLASS_CONFLICT
        if not is_valid_uid(command.affected_sop_instance_uid):
            return INVALID_INSTANCE
        if not self._sink.space.has_room():
            return NO_ROOM
        if self._sink.refuses is not None:
            with self._connection.aside():
                if self._sink.refuses(command.affected_sop_instance_uid):
                    return DUPLICATE
        return None

    def _stream(self, reception: Reception) -> ReceivedObject | Answer | None:
        """Read the data set into the spool; whatever goes wrong leaves no file behind."""
        connection = self._connection
        fragments: list[memoryview] = []
        checked_space_at = ASK_AGAIN_BYTES
        answer: Answer | None = None
        kept = False
        try:
            while True:
                event = connection.event_at_hand()
                if event is None:
                    # The views die with the next read: what came so far goes out in one write.
                    answer = answer or self._write(reception, fragments)
                    fragments.clear()
                    if reception.size >= checked_space_at:
                        checked_space_at += ASK_AGAIN_BYTES
                        if not self._sink.space.has_room_for_more():
                            answer = answer or NO_ROOM
                    event = connection.next_event()
                if not isinstance(event, DataReceived):
                    return None
                fragments.append(event.data)
                if event.last:
                    answer = answer or self._write(reception, fragments, last=True)
                    fragments.clear()
                    break
            if answer is not None:
                return answer
            received = self._finish(reception)
            kept = received is not None
            return received or STORE_AWAY
        except OSError as error:
            return _disk_trouble(error)
        finally:
            if not kept:
                reception.discard()

    def _finish(self, reception: Reception) -> ReceivedObject | None:
        """Make it as durable as is promised; None: the store elsewhere does not take it."""
        durable, secure = self._sink.durable, self._sink.secure
        if not durable and secure is None and reception.size < QUICKLY_WRITTEN:
            return reception.finish(sync=False)
        with self._connection.aside():
            received = reception.finish(sync=durable)
            return received if secure is None or secure(received) else None

    def _write(
        self, reception: Reception, fragments: list[memoryview], *, last: bool = False
    ) -> Answer | None:
        """Write, or say why the object is refused; the rest of it is then only read away."""
        if not fragments:
            return None
        mismatch = reception.check_head(fragments, last=last)
        if mismatch is not None:
            return mismatch
        try:
            reception.write(fragments, last=last)
        except OSError as error:
            return _disk_trouble(error)
        return None

    def _skip_data(self) -> bool:
        """Read a data set that is not wanted to its end; False if the association ended."""
        while True:
            event = self._connection.next_event()
            if not isinstance(event, DataReceived):
                return False
            if event.last:
                return True

    def _respond(self, context_id: int, command: CStoreRq, answer: Answer) -> None:
        if answer is not SUCCESS:
            metrics.OBJECTS_RECEIVED.labels(self._provenance.listener, answer.slug).inc()
            log.warning(
                "object refused",
                reason=answer.slug,
                status=f"{answer.status:04X}",
                association_id=self.association_id,
                sop_instance_uid=command.affected_sop_instance_uid,
            )
        response = CStoreRsp(
            message_id_being_responded_to=command.message_id,
            affected_sop_class_uid=command.affected_sop_class_uid,
            affected_sop_instance_uid=command.affected_sop_instance_uid,
            status=answer.status,
            error_comment=answer.comment,
        )
        self._connection.send_command(context_id, response)


def _disk_trouble(error: OSError) -> Answer:
    log.error("object could not be written", errno=errno.errorcode.get(error.errno or 0, "?"))
    return NO_ROOM if error.errno in _NO_ROOM else NOT_WRITTEN
