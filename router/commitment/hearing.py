"""Reports of destinations, whichever way they come: applied once, whatever is said how often.

The ledger decides what a report is about. The list of failures counts whatever the event type
says; instances that were not asked for are ignored; what a report leaves out stays requested.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from router import metrics
from router.commitment.data_sets import Transaction
from router.commitment.reasons import Action, Refusal, of_reason
from router.config import DestinationCommitment
from router.ledger import Ledger, commitments, proofs
from router.ledger.clock import read_clock
from router.ledger.commitments import Asked
from router.logs import get_logger

Terms = Callable[[str], DestinationCommitment]
"""A destination's settings of commitment, the defaults for one that has none (any more)."""

log = get_logger("commitment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a report changed: how many were committed and refused, how many instances of it were
    not asked for. `known` is False for a transaction that is none of ours."""

    known: bool
    committed: int = 0
    refused: int = 0
    strange: int = 0


def hear(ledger: Ledger, report: Transaction, terms: Terms) -> Heard:
    """Apply a report. LedgerError: nothing was changed, the peer is to report again."""
    with ledger.write() as connection:
        heard, told = _apply(connection, report, terms)
    metrics.COMMITMENT_REPORTS.labels(_outcome(heard)).inc()
    for destination, outcome, count in told:
        metrics.COMMITMENTS.labels(destination, outcome).inc(count)
    log.info(
        "report of a destination" if heard.known else "report on an unknown transaction",
        transaction_uid=report.uid,
        committed=heard.committed,
        refused=heard.refused,
        not_asked_for=heard.strange,
    )
    return heard


def _outcome(heard: Heard) -> str:
    if not heard.known:
        return "unknown_transaction"
    return "applied" if heard.committed or heard.refused else "nothing_new"


def _apply(
    connection: Connection, report: Transaction, terms: Terms
) -> tuple[Heard, list[tuple[str, str, int]]]:
    request = commitments.by_transaction(connection, report.uid)
    if request is None:
        return Heard(known=False), []
    waiting = commitments.unanswered(connection, request.id)
    kept = [one for one in waiting if one.sop_instance_uid in report.references]
    named = {one.sop_instance_uid for one in kept}
    left = report.references.keys() - named
    kept += commitments.asked_before(connection, request, left) if left else []
    failed = [one for one in waiting if one.sop_instance_uid in report.failures]
    proofs.commit(connection, kept)
    proven(connection, request.destination, kept)
    told = [(request.destination, "committed", len(kept))] if kept else []
    settings = terms(request.destination)
    for refusal, alike in by_refusal(failed, report.failures, settings.reasons).items():
        refuse(connection, alike, refusal, settings)
        told.append((request.destination, refusal.reason, len(alike)))
    if len(kept) + len(failed) >= len(waiting):
        commitments.close(connection, request.id, "answered")
    known = {one.sop_instance_uid for one in (*kept, *failed)}
    strange = len((report.references.keys() | report.failures.keys()) - known)
    return (
        Heard(known=True, committed=len(kept), refused=len(failed), strange=strange),
        told,
    )


def proven(connection: Connection, destination: str, kept: list[Asked]) -> None:
    """Measure how long the proof took."""
    now = read_clock(connection)
    seconds = metrics.COMMITMENT_SECONDS.labels(destination)
    for one in kept:
        seconds.observe((now - one.delivered_at) / 1000)


def by_refusal(
    failed: list[Asked], codes: Mapping[str, int], overrides: Mapping[int, str]
) -> dict[Refusal, list[Asked]]:
    """The objects by what their failure reason means."""
    found: defaultdict[Refusal, list[Asked]] = defaultdict(list)
    for one in failed:
        found[of_reason(codes[one.sop_instance_uid], overrides)].append(one)
    return found


def refuse(
    connection: Connection,
    refused: list[Asked],
    refusal: Refusal,
    settings: DestinationCommitment,
) -> None:
    """Act on a refusal; an object that was refused too often is held instead."""
    often = [one for one in refused if one.refusals + 1 >= settings.refusals]
    rest = [one for one in refused if one.refusals + 1 < settings.refusals]
    wait_ms = int(settings.wait * 1000)
    if often and refusal.action is not Action.HOLD:
        words = f"{refusal.words}; refused {settings.refusals} times"
        proofs.hold(connection, often, reason=refusal.reason, detail=words)
    match refusal.action:
        case Action.SEND_AGAIN:
            proofs.send_again(connection, rest, reason=refusal.reason, detail=refusal.words)
        case Action.WAIT:
            proofs.ask_again(connection, rest, wait_ms=wait_ms, reason=refusal.reason)
        case Action.ASK_AGAIN:
            proofs.ask_again(connection, rest, wait_ms=0, reason=refusal.reason)
        case Action.HOLD:
            proofs.hold(connection, refused, reason=refusal.reason, detail=refusal.words)
