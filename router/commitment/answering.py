"""What a destination's N-EVENT-REPORT is answered (PS3.4 J.3.3, PS3.7 annex C)."""

from router.commitment.data_sets import NotUnderstood, read_transaction
from router.commitment.hearing import Terms, hear
from router.dicom.commands import NEventReportRq, NEventReportRsp
from router.dicom.uids import STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
from router.ledger import Ledger, LedgerError
from router.logs import get_logger

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT = 0x0113
INVALID_ARGUMENT = 0x0115

_EVENTS = (1, 2)  # all committed; failures exist

log = get_logger("commitment")


def answer_report(
    ledger: Ledger, request: NEventReportRq, data: bytes, transfer_syntax_uid: str, terms: Terms
) -> NEventReportRsp:
    """Apply a report and say what came of it; anything but Success changed nothing."""
    status, comment = _status(ledger, request, data, transfer_syntax_uid, terms)
    if status != SUCCESS:
        log.warning("report not taken", status=f"{status:04X}", reason=comment)
    return NEventReportRsp(
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        event_type_id=request.event_type_id,
        status=status,
        error_comment=comment,
    )


def _status(
    ledger: Ledger, request: NEventReportRq, data: bytes, transfer_syntax_uid: str, terms: Terms
) -> tuple[int, str | None]:
    if request.affected_sop_instance_uid != STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE:
        return NO_SUCH_INSTANCE, "not the well-known SOP instance"
    if request.event_type_id not in _EVENTS:
        return NO_SUCH_EVENT, "event types are 1 and 2"
    try:
        report = read_transaction(data, transfer_syntax_uid)
    except NotUnderstood as error:
        return INVALID_ARGUMENT, str(error)[:64]
    try:
        heard = hear(ledger, report, terms)
    except LedgerError as error:
        log.warning("ledger away; the peer is to report again", reason=str(error))
        return PROCESSING_FAILURE, "report again later"
    return (SUCCESS, None) if heard.known else (INVALID_ARGUMENT, "unknown transaction")
