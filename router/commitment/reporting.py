"""Reports to modalities: looked at when due, called when complete, again for days if need be."""

from collections.abc import Iterable
from dataclasses import dataclass

from router import metrics
from router.commitment.calling import Peer, call
from router.commitment.data_sets import TRANSFER_SYNTAXES, encode_report
from router.commitment.judging import LEASE_MS, judge
from router.config import DestinationTimeouts, Site, Source
from router.dicom.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from router.ledger import Ledger, orders
from router.ledger.orders import Order
from router.logs import get_logger
from router.net.errors import NetError, ProtocolViolation

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 3_600_000
ALL_KEPT, FAILURES_EXIST = 1, 2
NO_ADDRESS = "no_address"

log = get_logger("commitment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a modality is told: pairs of SOP instance and class UID, those that failed with the
    reason."""

    transaction_uid: str
    kept: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, int], ...]

    @property
    def event_type_id(self) -> int:
        """Which of the two events it is (PS3.4 J.3.3)."""
        return FAILURES_EXIST if self.failed else ALL_KEPT

    def encoded(self, transfer_syntax_uid: str) -> bytes:
        """Its data set."""
        return encode_report(self.transaction_uid, self.kept, self.failed, transfer_syntax_uid)


def report_of(ledger: Ledger, order: Order) -> Report:
    """The report on an order that is complete."""
    with ledger.read() as connection:
        items = orders.results(connection, order.id)
    return Report(
        transaction_uid=order.transaction_uid,
        kept=tuple((uid, name) for uid, (name, result) in items.items() if not result),
        failed=tuple((uid, name, result) for uid, (name, result) in items.items() if result),
    )


def proving(site: Site) -> frozenset[str]:
    """The destinations that are asked to commit."""
    return frozenset(one.name for one in site.destinations if one.proof is not None)


def peer_of_source(sources: Iterable[Source], order: Order) -> Peer | None:
    """Where a modality takes reports; None if the site does not say."""
    for source in sources:
        if source.name == order.source:
            settings = source.commitment
            if settings.host is None:
                return None
            return Peer(
                host=settings.host,
                port=settings.port,
                called_ae_title=settings.ae_title or source.ae_title or order.calling_ae_title,
                calling_ae_title=order.called_ae_title,
                tls=settings.tls,
                timeouts=DestinationTimeouts(),
            )
    return None


def attend(ledger: Ledger, site: Site, order_id: int) -> None:
    """Look at an order and report it if it is complete; nothing if another does. LedgerError."""
    with ledger.write() as connection:
        claimed = orders.claim(connection, order_id, lease_ms=LEASE_MS)
    if claimed is None:
        return
    order, now = claimed
    if order.state == "open" and not judge(ledger, order, now, proving(site)):
        return
    peer = peer_of_source(site.sources, order)
    if peer is None:
        later(ledger, site, order, now, NO_ADDRESS, "the site has no address for it")
        return
    try:
        _deliver(peer, report_of(ledger, order))
    except NetError as error:
        later(ledger, site, order, now, error.reason, str(error))
    else:
        reported(ledger, order)


def _deliver(peer: Peer, report: Report) -> None:
    push = STORAGE_COMMITMENT_PUSH_MODEL
    with call(peer, push, TRANSFER_SYNTAXES, scp_role=True) as association:
        # Some peers answer the role with 0 and take reports all the same.
        context = association.context_for(push)
        if context is None:
            raise ProtocolViolation("the peer takes no reports of storage commitment")
        response = association.report(
            context.context_id,
            sop_class_uid=push,
            sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            event_type_id=report.event_type_id,
            data=report.encoded(context.transfer_syntax),
        )
    if response.status != 0:
        raise ProtocolViolation(f"report refused with status {response.status:04X}")


def reported(ledger: Ledger, order: Order) -> None:
    """The modality has its report."""
    with ledger.write() as connection:
        orders.end(connection, order.id, "reported")
    metrics.COMMITMENT_ORDERS.labels("reported").inc()
    log.info("reported to a modality", transaction_uid=order.transaction_uid)


def give_up(ledger: Ledger, order: Order, reason: str) -> None:
    """The modality will not have its report."""
    with ledger.write() as connection:
        orders.end(connection, order.id, "given_up", reason)
    metrics.COMMITMENT_ORDERS.labels("given_up").inc()
    log.error(
        "report to a modality given up",
        transaction_uid=order.transaction_uid,
        source=order.source,
        reason=reason,
    )


def later(ledger: Ledger, site: Site, order: Order, now: int, reason: str, words: str) -> None:
    """The report did not arrive: try again, until nobody can want it any more. Where there is no
    address, and sooner where there is one, the modality may open an association itself."""
    log.warning(
        "report to a modality not delivered",
        transaction_uid=order.transaction_uid,
        source=order.source,
        attempts=order.attempts + 1,
        reason=words,
    )
    metrics.COMMITMENT_ORDERS.labels(reason).inc()
    if now >= order.answer_by + int(site.commitment.report_for * 1000):
        give_up(ledger, order, reason)
        return
    wait_ms = min(FIRST_WAIT_MS * 2 ** min(order.attempts, 12), LONGEST_WAIT_MS)
    with ledger.write() as connection:
        orders.report_later(connection, order.id, wait_ms=wait_ms, reason=reason)
