"""Storage commitment on a listener: requests of modalities and reports of destinations.

A request is written down before it is answered Success. Where the answer is known soon and the
modality stays, it has its report on the same association (`staying`), as also when it opens one to
hear; otherwise `reporting` calls it.
"""

from collections.abc import Callable

from router import metrics
from router.commitment.answering import (
    INVALID_ARGUMENT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    SUCCESS,
    answer_report,
)
from router.commitment.data_sets import NotUnderstood, Transaction, read_transaction
from router.commitment.hearing import Terms
from router.commitment.staying import Staying
from router.config import Site, Source
from router.dicom.commands import (
    Command,
    NActionRq,
    NActionRsp,
    NEventReportRq,
    NEventReportRsp,
)
from router.dicom.events import Event
from router.dicom.negotiation import NegotiatedContext
from router.dicom.uids import STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, is_valid_uid
from router.ledger import Ledger, LedgerError, orders
from router.ledger.orders import NewOrder, Order
from router.logs import get_logger
from router.net.connection import Connection
from router.net.services import Visitor

NO_SUCH_ACTION = 0x0123
REQUEST_COMMITMENT = 1

log = get_logger("commitment")


class CommitmentScp:
    """The service of the Storage Commitment Push Model; used by many threads at once."""

    def __init__(self, *, ledger: Ledger, site: Callable[[], Site], terms: Terms) -> None:
        self._ledger = ledger
        self._site = site
        self._terms = terms
        self._staying = Staying(ledger, site)

    def opened(
        self, connection: Connection, context: NegotiatedContext, visitor: Visitor
    ) -> Event | None:
        """See `router.net.services.Service`: a modality may come for reports that wait for it."""
        return self._staying.report(connection, context, visitor)

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
            case NEventReportRq():
                syntax = context.transfer_syntax
                answer = answer_report(self._ledger, command, data, syntax, self._terms)
                connection.send_command(context.context_id, answer)
            case NActionRq():
                return self._ordered(connection, context, visitor, command, data)
            case NEventReportRsp() if self._staying.answered(connection, command):
                return self._staying.report(connection, context, visitor)
            case _:
                log.warning("unexpected message", message=type(command).__name__)
                connection.association.abort()
        return None

    def _ordered(
        self,
        connection: Connection,
        context: NegotiatedContext,
        visitor: Visitor,
        command: NActionRq,
        data: bytes,
    ) -> Event | None:
        taken = self._take(visitor, command, data, context.transfer_syntax)
        status, comment = (SUCCESS, None) if isinstance(taken, Order) else taken
        response = NActionRsp(
            message_id_being_responded_to=command.message_id,
            affected_sop_class_uid=command.requested_sop_class_uid,
            affected_sop_instance_uid=command.requested_sop_instance_uid,
            action_type_id=command.action_type_id,
            status=status,
            error_comment=comment,
        )
        connection.send_command(context.context_id, response)
        if isinstance(taken, Order):
            metrics.COMMITMENT_ORDERS.labels("taken").inc()
            return self._staying.report(connection, context, visitor)
        metrics.COMMITMENT_ORDERS.labels("refused").inc()
        log.warning("request to commit refused", status=f"{status:04X}", reason=comment)
        return None

    def _take(
        self, visitor: Visitor, command: NActionRq, data: bytes, transfer_syntax_uid: str
    ) -> Order | tuple[int, str]:
        """The order, durable; or the status and words to refuse it with."""
        if command.requested_sop_instance_uid != STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE:
            return NO_SUCH_INSTANCE, "not the well-known SOP instance"
        if command.action_type_id != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, "the action type is 1"
        try:
            asked = read_transaction(data, transfer_syntax_uid)
        except NotUnderstood as error:
            return INVALID_ARGUMENT, str(error)[:64]
        if not asked.references:
            return INVALID_ARGUMENT, "no referenced SOP instances"
        try:
            with self._ledger.write() as connection:
                order = orders.take(connection, self._new_order(visitor, asked))
        except LedgerError as error:
            log.warning("ledger away; the modality is to ask again", reason=str(error))
            return PROCESSING_FAILURE, "ask again later"
        if order is None:
            return INVALID_ARGUMENT, "the Transaction UID was used for other objects"
        return order

    def _new_order(self, visitor: Visitor, asked: Transaction) -> NewOrder:
        site = self._site()
        source = _source(site, visitor)
        own = source.commitment if source is not None else None
        has_own = own is not None and own.policy is not None
        within = own.within if own is not None and own.within is not None else None
        return NewOrder(
            transaction_uid=asked.uid,
            calling_ae_title=visitor.calling_ae_title,
            called_ae_title=visitor.called_ae_title,
            source=None if source is None else source.name,
            policy=own.policy if own and own.policy else site.commitment.policy,
            reference=own.reference if own and has_own else site.commitment.reference,
            items={
                uid: name if is_valid_uid(name) else "" for uid, name in asked.references.items()
            },
            within_ms=int((within or site.commitment.within) * 1000),
        )


def _source(site: Site, visitor: Visitor) -> Source | None:
    return next((one for one in site.sources if one.name == visitor.source), None)
