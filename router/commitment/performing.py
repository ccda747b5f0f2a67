"""Performed procedure steps of modalities (MPPS, PS3.4 F.7): noted, so that what they say they made
can be looked for. Nobody is told of them: who schedules the steps has an SCP of its own."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection as LedgerConnection

from router import metrics
from router.commitment.data_sets import (
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    NotUnderstood,
    value_of,
)
from router.commitment.identifiers import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from router.config import Site
from router.config_performed import PerformedSteps
from router.dicom.commands import Command, NCreateRq, NCreateRsp, NSetRq, NSetRsp
from router.dicom.events import Event
from router.dicom.negotiation import NegotiatedContext
from router.dicom.uids import decode_uid, is_valid_uid
from router.ledger import Ledger, LedgerError, performed
from router.ledger.performed import IN_PROGRESS, Made, Step
from router.logs import get_logger
from router.net.connection import Connection
from router.net.services import Visitor
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.encoded.level import Level

MPPS = "1.2.840.10008.3.1.2.3.3"
"""Modality Performed Procedure Step."""

SUCCESS = 0x0000
INVALID_VALUE = 0x0106
PROCESSING_FAILURE = 0x0110
DUPLICATE = 0x0111
NO_SUCH_INSTANCE = 0x0112
MAY_NOT_CHANGE = 0xA710
"""The error id of a step that has ended (PS3.4 F.7.2.2.2)."""

_STATUS = 0x00400252
_SCHEDULED_STEP = 0x00400270
_PERFORMED_SERIES = 0x00400340
_IMAGES, _OTHERS = 0x00081140, 0x00400220
_STATES = {word.upper(): word for word in (IN_PROGRESS, "completed", "discontinued")}

log = get_logger("performed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a message says of a step; None: nothing about it."""

    state: str | None
    study: str | None
    made: tuple[Made, ...] | None


def read_step(data: bytes, transfer_syntax_uid: str) -> Said:
    """What an N-CREATE or N-SET says; NotUnderstood."""
    try:
        root = EncodedDataSet.read(data, transfer_syntax_uid).root
        word = value_of(root, _STATUS).decode("latin-1").strip(" \0")
        studies = [_uid(item, STUDY_INSTANCE_UID) for item in _items(root, _SCHEDULED_STEP)]
        made = None
        if root.find(_PERFORMED_SERIES) is not None:
            made = [one for item in _items(root, _PERFORMED_SERIES) for one in _made(item)]
    except MalformedDataSet as error:
        raise NotUnderstood(f"malformed data set: {error}") from None
    if word and word not in _STATES:
        raise NotUnderstood("no such status of a step")
    study = next((uid for uid in studies if is_valid_uid(uid)), None)
    return Said(state=_STATES.get(word), study=study, made=None if made is None else tuple(made))


def _made(series: Level) -> list[Made]:
    uid = _uid(series, SERIES_INSTANCE_UID)
    return [
        Made(
            sop_instance_uid=instance,
            sop_class_uid=_uid(item, REFERENCED_SOP_CLASS_UID)[:64],
            series_instance_uid=uid if is_valid_uid(uid) else None,
        )
        for tag in (_IMAGES, _OTHERS)
        for item in _items(series, tag)
        if is_valid_uid(instance := _uid(item, REFERENCED_SOP_INSTANCE_UID))
    ]


def _uid(level: Level, tag: int) -> str:
    return decode_uid(value_of(level, tag)).strip()


def _items(level: Level, tag: int) -> list[Level]:
    element = level.find(tag)
    return [] if element is None else list(level.items(element))


class PerformedScp:
    """The service of modality performed procedure steps; used by many threads at once. A step is in
    the ledger before it is answered."""

    def __init__(self, *, ledger: Ledger, site: Callable[[], Site]) -> None:
        self._ledger = ledger
        self._site = site

    def opened(
        self, connection: Connection, context: NegotiatedContext, visitor: Visitor
    ) -> Event | None:
        """See `router.net.services.Service`: there is nothing to be said unasked."""
        return None

    def __call__(
        self,
        connection: Connection,
        context: NegotiatedContext,
        visitor: Visitor,
        command: Command,
        data: bytes,
    ) -> Event | None:
        """See `router.net.services.Service`."""
        match command:
            case NCreateRq():
                uid = command.affected_sop_instance_uid or f"2.25.{uuid.uuid4().int}"
                answer = self._answer(lambda said: self._create(uid, said, visitor), context, data)
                response: Command = NCreateRsp(
                    message_id_being_responded_to=command.message_id,
                    affected_sop_class_uid=command.affected_sop_class_uid,
                    affected_sop_instance_uid=uid,
                    status=answer.status,
                    error_comment=answer.comment,
                )
            case NSetRq():
                uid = command.requested_sop_instance_uid
                answer = self._answer(lambda said: self._set(uid, said), context, data)
                response = NSetRsp(
                    message_id_being_responded_to=command.message_id,
                    affected_sop_class_uid=command.requested_sop_class_uid,
                    affected_sop_instance_uid=uid,
                    status=answer.status,
                    error_comment=answer.comment,
                    error_id=answer.error_id,
                )
            case _:
                log.warning("unexpected message", message=type(command).__name__)
                connection.association.abort()
                return None
        connection.send_command(context.context_id, response)
        return None

    def _answer(
        self, act: Callable[[Said], "_Answer"], context: NegotiatedContext, data: bytes
    ) -> "_Answer":
        try:
            answer = act(read_step(data, context.transfer_syntax))
        except NotUnderstood as error:
            answer = _Answer(INVALID_VALUE, str(error)[:64])
        except LedgerError as error:
            log.warning("ledger away; the modality is to tell again", reason=str(error))
            answer = _Answer(PROCESSING_FAILURE, "tell again later")
        metrics.PERFORMED_STEPS.labels("refused" if answer.status else "taken").inc()
        if answer.status:
            reason = answer.comment
            log.warning("step not taken", status=f"{answer.status:04X}", reason=reason)
        return answer

    def _create(self, uid: str, said: Said, visitor: Visitor) -> "_Answer":
        if not is_valid_uid(uid):
            return _Answer(INVALID_VALUE, "no valid SOP Instance UID")
        with self._ledger.write() as connection:
            if performed.by_uid(connection, uid) is not None:
                return _Answer(DUPLICATE, "the step is known")
            performed.create(
                connection,
                uid,
                calling_ae_title=visitor.calling_ae_title,
                source=visitor.source,
                study=said.study,
            )
            step = performed.by_uid(connection, uid)
            if step is not None:
                self._change(connection, step, said)
        return _Answer(SUCCESS)

    def _set(self, uid: str, said: Said) -> "_Answer":
        with self._ledger.write() as connection:
            step = performed.by_uid(connection, uid)
            if step is None:
                return _Answer(NO_SUCH_INSTANCE, "no such step")
            if step.state != IN_PROGRESS:
                return _Answer(PROCESSING_FAILURE, "the step has ended", MAY_NOT_CHANGE)
            self._change(connection, step, said)
        return _Answer(SUCCESS)

    def _change(self, connection: LedgerConnection, step: Step, said: Said) -> None:
        settings = self._site().performed_steps or PerformedSteps()
        performed.change(
            connection,
            step,
            state=said.state or step.state,
            study=said.study,
            made=said.made,
            within_ms=int(settings.within * 1000),
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    comment: str | None = None
    error_id: int | None = None
