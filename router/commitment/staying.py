"""Reports on an association that the modality holds open, whether it asked on it or opened it for
that (PS3.4 J.3.3: the same association, or a later one).

While the modality is silent and has orders that are not reported, these are looked at; who has an
address for reports may be called at the same time, and an order is in one hand at a time.
"""

import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from router.commitment.judging import LEASE_MS, judge
from router.commitment.reporting import Report, later, proving, report_of, reported
from router.config import Site
from router.dicom.commands import NEventReportRq, NEventReportRsp
from router.dicom.events import CommandReceived, Event
from router.dicom.negotiation import NegotiatedContext
from router.dicom.uids import STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
from router.ledger import Ledger, LedgerError, orders
from router.ledger.clock import read_clock
from router.ledger.orders import Order
from router.logs import get_logger
from router.net.connection import Connection
from router.net.services import Visitor

SUCCESS = 0x0000
FIRST_STEP, LONGEST_STEP = 0.1, 1.0
"""Seconds of silence before the modality is told something; longer as it stays."""
STAY_SECONDS = 600.0
"""How long an association is watched on which something is owed; then it is idle like any other."""
RESPONSE_SECONDS = 10.0
NOT_HERE = "not_on_association"
_LAST_MESSAGE_ID = 0xFFFF

log = get_logger("commitment")


class Staying:
    """Tells modalities that stay what is owed to them; used by the threads of all associations."""

    def __init__(self, ledger: Ledger, site: Callable[[], Site]) -> None:
        self._ledger = ledger
        self._site = site
        self._unanswered: WeakKeyDictionary[Connection, dict[int, Order]] = WeakKeyDictionary()
        self._mutex = threading.Lock()

    def report(
        self, connection: Connection, context: NegotiatedContext, visitor: Visitor
    ) -> Event | None:
        """Report on this association while the modality is silent; what it says, if anything."""
        if not context.scu_role:
            return None  # it is an archive that came to report to us
        try:
            return self._report(connection, context, visitor)
        except LedgerError as error:
            log.warning("ledger away; reported later", reason=str(error))
            return None

    def _report(
        self, connection: Connection, context: NegotiatedContext, visitor: Visitor
    ) -> Event | None:
        began = time.monotonic()
        step = FIRST_STEP
        while owed := self._owed(visitor):
            if (event := connection.next_event_within(step)) is not None:
                return event
            for order_id, is_free in owed.items():
                event = self._tell(connection, context, order_id) if is_free else None
                if event is not None:
                    return event
            stayed = time.monotonic() - began
            if stayed > STAY_SECONDS:
                break
            step = min(LONGEST_STEP, max(FIRST_STEP, stayed / 10))
        return None

    def _owed(self, visitor: Visitor) -> dict[int, bool]:
        with self._ledger.read() as connection:
            return orders.of_caller(connection, visitor.calling_ae_title, visitor.source)

    def _tell(
        self, connection: Connection, context: NegotiatedContext, order_id: int
    ) -> Event | None:
        """Report one order, if it is complete and nobody else's."""
        with self._ledger.write() as transaction:
            claimed = orders.claim_here(transaction, order_id, lease_ms=LEASE_MS)
        if claimed is None:
            return None
        order, now = claimed
        if order.state == "open" and not judge(self._ledger, order, now, proving(self._site())):
            return None
        message_id = self._note(connection, order)
        _say(connection, context, message_id, report_of(self._ledger, order))
        event = connection.next_event_within(RESPONSE_SECONDS)
        match event:
            case CommandReceived(command=NEventReportRsp() as response):
                self.answered(connection, response)
                return None
            case CommandReceived():
                return event  # it asks for something first, and answers then
        with self._mutex:
            self._unanswered.pop(connection, None)
        later(self._ledger, self._site(), order, now, NOT_HERE, "not answered on its association")
        return event

    def _note(self, connection: Connection, order: Order) -> int:
        """Remember what the message that goes out now is about; its id."""
        with self._mutex:
            waiting = self._unanswered.setdefault(connection, {})
            message_id = max(waiting, default=0) % _LAST_MESSAGE_ID + 1
            waiting[message_id] = order
        return message_id

    def answered(self, connection: Connection, response: NEventReportRsp) -> bool:
        """The modality has heard a report, or does not take it; False if it was told none."""
        with self._mutex:
            waiting = self._unanswered.get(connection, {})
            order = waiting.pop(response.message_id_being_responded_to, None)
        if order is None:
            return False
        if response.status == SUCCESS:
            reported(self._ledger, order)
        else:
            words = f"report refused with status {response.status:04X}"
            with self._ledger.read() as transaction:
                now = read_clock(transaction)
            later(self._ledger, self._site(), order, now, NOT_HERE, words)
        return True


def _say(
    connection: Connection, context: NegotiatedContext, message_id: int, report: Report
) -> None:
    request = NEventReportRq(
        message_id=message_id,
        affected_sop_class_uid=context.abstract_syntax,
        affected_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        event_type_id=report.event_type_id,
    )
    connection.send_command(context.context_id, request, report.encoded(context.transfer_syntax))
