"""Asks one destination to commit what was delivered to it, request after request.

A request is in the ledger before its N-ACTION leaves, since the report may come, on another
association, before the response. A peer that cannot be reached costs no request.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from router import metrics
from router.commitment.answering import answer_report
from router.commitment.calling import call, peer_of
from router.commitment.data_sets import TRANSFER_SYNTAXES, encode_request
from router.commitment.hearing import Terms
from router.commitment.querying import query_due
from router.commitment.unanswered import give_up
from router.config import Destination, DestinationCommitment
from router.dicom.commands import Command, NEventReportRq
from router.dicom.negotiation import NegotiatedContext
from router.dicom.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from router.ledger import Ledger, commitments, leases, proofs, unproven
from router.ledger.commitments import Asked
from router.logs import get_logger
from router.net.errors import NetError
from router.net.requestor import OutgoingAssociation

PUSH = STORAGE_COMMITMENT_PUSH_MODEL
LEASE_MS = 180_000
"""Longer than any exchange with a peer may take; renewed with each."""
AWAY_MS = 30_000
"""How long a peer that could not be reached is left alone."""
MARGIN_SECONDS = 30.0
LISTEN_STEP = 0.1
LEAST_LISTEN = 1.0
"""Seconds that a peer has for its reports where we called for nothing else."""
MOST_REQUESTS = 20
"""Requests of one turn: then others have theirs."""

log = get_logger("commitment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a turn needs. `owner` names one run of one worker."""

    ledger: Ledger
    terms: Terms
    owner: str
    stop: Callable[[], bool] = lambda: False


def ask(destination: Destination, asking: Asking) -> bool:
    """One turn, unless another has it: ask for all that is due. Whether more was left.

    LedgerError: the conductor rings again. Failures of the peer are logged and counted.
    """
    settings = destination.proof
    if settings is None:
        return _waive(destination.name, asking.ledger)
    name = _lease_name(destination.name)
    with asking.ledger.write() as connection:
        if not leases.lead(connection, name, asking.owner, LEASE_MS):
            return False
    pause_ms = 0
    try:
        more = _ask_all(destination, settings, asking)
        _hear(destination, settings, asking)
        query_due(destination, settings, asking.ledger)
        return more
    except NetError as error:
        # The lease stays: nobody tries for a while.
        pause_ms = AWAY_MS
        metrics.COMMITMENT_REQUESTS.labels(destination.name, error.reason).inc()
        log.warning("not asked to commit", destination=destination.name, reason=str(error))
        return False
    finally:
        with asking.ledger.write() as connection:
            if pause_ms:
                leases.lead(connection, name, asking.owner, pause_ms)
            else:
                leases.resign(connection, name, asking.owner)


def _lease_name(destination: str) -> str:
    return f"c:{destination}"[:64]


def _waive(destination: str, ledger: Ledger) -> bool:
    """No proof is wanted any more: what waited for it is delivered, and that is all."""
    with ledger.write() as connection:
        asked = commitments.outstanding(connection, destination, limit=500)
        proofs.waive(connection, asked)
    return len(asked) == 500


def _ask_all(destination: Destination, settings: DestinationCommitment, asking: Asking) -> bool:
    """Requests over one association while anything is due; whether something was left."""
    with asking.ledger.read() as connection:
        if not _due(connection, destination.name, settings):
            return False
    reports = _Reports(asking)
    with call(peer_of(destination), PUSH, TRANSFER_SYNTAXES, serve=reports) as association:
        reports.contexts.update(association.contexts)
        context = association.context_for(PUSH)
        for _ in range(MOST_REQUESTS):
            uid = _ask_once(destination, settings, asking, association, context)
            if uid is None:
                return False
            if asking.stop() or not _heard_out(association, settings, asking.ledger, uid):
                break
    return True


def _hear(destination: Destination, settings: DestinationCommitment, asking: Asking) -> None:
    """Open an association for reports that the peer has owed for long, once in that time: it may be
    one that reports on associations of ours alone."""
    if settings.call is None or settings.by != "report":
        return
    call_ms = int(settings.call * 1000)
    with asking.ledger.write() as connection:
        if not unproven.owes_reports(connection, destination.name, for_ms=call_ms):
            return
        if not leases.lead(
            connection, unproven.call_lease(destination.name), asking.owner, call_ms
        ):
            return
    reports = _Reports(asking)
    with call(peer_of(destination), PUSH, TRANSFER_SYNTAXES, serve=reports) as association:
        reports.contexts.update(association.contexts)
        association.listen(max(settings.listen, LEAST_LISTEN))


def _heard_out(
    association: OutgoingAssociation, settings: DestinationCommitment, ledger: Ledger, uid: str
) -> bool:
    """Stay for the report, or until it came another way; False if the association has ended.

    A peer that is about to report must not be asked for more meanwhile: it is allowed, but there
    are archives that take the request for our answer.
    """
    until = time.monotonic() + settings.listen
    while time.monotonic() < until:
        with ledger.read() as connection:
            if not commitments.is_open(connection, uid):
                break  # and a moment more, for who says things twice
        if not association.listen(LISTEN_STEP):
            return False
    return settings.listen == 0 or association.listen(LISTEN_STEP)


def _due(connection: Connection, name: str, settings: DestinationCommitment) -> bool:
    return commitments.is_request_due(
        connection, name, size=settings.size, age_ms=int(settings.age * 1000)
    )


def _ask_once(
    destination: Destination,
    settings: DestinationCommitment,
    asking: Asking,
    association: OutgoingAssociation,
    context: NegotiatedContext | None,
) -> str | None:
    """One request, if one is due: written, sent, its response recorded; its transaction UID."""
    uid = f"2.25.{uuid.uuid4().int}"
    opened = _opened(destination, settings, asking, uid)
    if opened is None:
        return None
    request_id, asked = opened
    if context is None:
        _failed(destination, asking, request_id, "context_refused")
        return uid
    items = {one.sop_instance_uid: one.sop_class_uid for one in asked}
    response = association.action(
        context.context_id,
        sop_class_uid=PUSH,
        sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        action_type_id=1,
        data=encode_request(uid, items.items(), context.transfer_syntax),
    )
    log.info(
        "asked to commit",
        destination=destination.name,
        transaction_uid=uid,
        objects=len(items),
        status=f"{response.status:04X}",
    )
    if response.status != 0:
        _failed(destination, asking, request_id, f"status_{response.status:04x}")
        return uid
    metrics.COMMITMENT_REQUESTS.labels(destination.name, "taken").inc()
    with asking.ledger.write() as connection:
        commitments.taken(connection, request_id, within_ms=int(settings.within * 1000))
    return uid


def _opened(
    destination: Destination, settings: DestinationCommitment, asking: Asking, uid: str
) -> tuple[int, list[Asked]] | None:
    """The request in the ledger, before it leaves; None if nothing is due."""
    limits = peer_of(destination).timeouts
    grace = limits.dimse + limits.network + MARGIN_SECONDS
    with asking.ledger.write() as connection:
        leases.lead(connection, _lease_name(destination.name), asking.owner, LEASE_MS)
        if not _due(connection, destination.name, settings):
            return None
        return commitments.open_request(
            connection,
            destination.name,
            transaction_uid=uid,
            size=settings.size,
            age_ms=int(settings.age * 1000),
            grace_ms=int(grace * 1000),
        )


def _failed(destination: Destination, asking: Asking, request_id: int, outcome: str) -> None:
    """The transaction is dead, its UID is never used again (PS3.4 J.3.2.1.4)."""
    metrics.COMMITMENT_REQUESTS.labels(destination.name, outcome).inc()
    log.warning("request to commit refused", destination=destination.name, reason=outcome)
    with asking.ledger.write() as connection:
        give_up(connection, destination.name, request_id, "failed", asking.terms)


class _Reports:
    """Answers what the peer says on the association that it is asked on."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.contexts: dict[int, NegotiatedContext] = {}

    def __call__(self, context_id: int, command: Command, data: bytes) -> Command:
        if not isinstance(command, NEventReportRq):
            raise UnexpectedRequest(type(command).__name__)
        syntax = self.contexts[context_id].transfer_syntax
        return answer_report(self._asking.ledger, command, data, syntax, self._asking.terms)


class UnexpectedRequest(NetError):
    """The peer asks for what no SCP of storage commitment may ask of us."""

    def __init__(self, what: str) -> None:
        super().__init__(f"unexpected {what}", reason="protocol_violation")
