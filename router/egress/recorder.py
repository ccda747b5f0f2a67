"""Records outcomes in batches: those of a lease, or of 200 ms, in one transaction.

A crash repeats at most what was not recorded yet. The drain adds and flushes; a second thread
flushes what has grown old while the drain is busy with a slow object.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from router import metrics
from router.config import Destination
from router.egress.attempts import Attempt
from router.egress.outcomes import Outcome, Result
from router.egress.retry import decide
from router.egress.timing import Timing
from router.ledger import (
    DeliveryOutcome,
    DeliveryState,
    LeasedDelivery,
    Ledger,
    LedgerUnavailable,
    deliveries,
)
from router.ledger.commitments import ToCommit
from router.logs import get_logger
from rules.windows import Windows

OLDEST_SECONDS = 0.2
log = get_logger("egress")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt with its circumstances: the wall clock's milliseconds, seconds it took."""

    delivery: LeasedDelivery
    attempt: Attempt
    started_at_ms: int
    took: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Whose outcomes these are."""

    destination: Destination
    ledger: Ledger
    owner: str
    worker: str
    settle: Callable[[], Outcome | None]


class Recorder:
    """The outcomes of one drain that are not recorded yet."""

    def __init__(self, writing: Writing, timing: Timing) -> None:
        self._writing = writing
        self._patience = timing.patience
        self._clock = timing.clock
        self._chance = timing.chance
        self._mutex = threading.Lock()  # of what is pending
        self._turn = threading.Lock()  # of writing it: held during a transaction
        self._pending: list[Tried] = []
        self._since = 0.0
        self.lost_leases = False
        self.failure: Attempt | None = None  # the destination could not keep what it had taken
        self.delivered = 0

    def add(self, tried: Tried) -> None:
        with self._mutex:
            if not self._pending:
                self._since = self._clock()
            self._pending.append(tried)

    def is_due(self) -> bool:
        """Whether something has waited long enough."""
        with self._mutex:
            return bool(self._pending) and self._clock() - self._since >= OLDEST_SECONDS

    def flush(self) -> None:
        """Record what is pending. LedgerUnavailable: it still is."""
        with self._turn:
            pending = self._settled()
            if not pending:
                return
            with self._writing.ledger.write() as connection:
                recorded = self._record(connection, pending)
            self._recorded(pending, recorded)

    def flush_with(self, then: Callable[[Connection], T]) -> T:
        """Record what is pending and do `then`, in one transaction; patient with the ledger."""
        deadline = self._clock() + self._patience
        with self._turn:
            pending = self._settled()
            while True:
                try:
                    with self._writing.ledger.write() as connection:
                        recorded = self._record(connection, pending)
                        result = then(connection)
                    break
                except LedgerUnavailable:
                    # What is delivered would be sent again: worth waiting for.
                    if not pending or self._clock() >= deadline:
                        raise
                    time.sleep(OLDEST_SECONDS)
            self._recorded(pending, recorded)
        return result

    def _settled(self) -> list[Tried]:
        with self._mutex:
            pending = self._pending.copy()
        if not any(tried.attempt.outcome.result is Result.DELIVERED for tried in pending):
            return pending
        failure = self._writing.settle()
        if failure is None:
            return pending
        failed = self.failure = Attempt(outcome=failure)
        return [
            Tried(
                delivery=tried.delivery,
                attempt=failed,
                started_at_ms=tried.started_at_ms,
                took=tried.took,
            )
            if tried.attempt.outcome.result is Result.DELIVERED
            else tried
            for tried in pending
        ]

    def _record(self, connection: Connection, pending: list[Tried]) -> int:
        if not pending:
            return 0
        rows = [self._row(tried) for tried in pending]
        return deliveries.record_outcomes(connection, self._writing.owner, rows)

    def _row(self, tried: Tried) -> DeliveryOutcome:
        delivery, attempt = tried.delivery, tried.attempt
        decision = decide(
            attempt.outcome,
            attempts=delivery.attempts,
            age=_age_ms(delivery, self._writing.destination) / 1000,
            retry=self._writing.destination.retry,
            chance=self._chance(),
        )
        return DeliveryOutcome(
            delivery_id=delivery.id,
            attempts=decision.attempts,
            state=DeliveryState(decision.state),
            reason=attempt.outcome.reason,
            status=attempt.outcome.status,
            next_attempt_in_ms=None if decision.wait is None else int(decision.wait * 1000),
            association_id=attempt.association_id,
            started_at_ms=tried.started_at_ms,
            took_ms=int(tried.took * 1000),
            worker=self._writing.worker,
            detail=decision.words,
            to_commit=_to_commit(self._writing.destination),
        )

    def _recorded(self, pending: list[Tried], recorded: int) -> None:
        with self._mutex:
            del self._pending[: len(pending)]
            self._since = self._clock()
        if recorded < len(pending):
            self.lost_leases = True
            log.warning(
                "leases lost before their outcome was recorded: objects may be sent twice",
                destination=self._writing.destination.name,
                lost=len(pending) - recorded,
            )
        self._count(pending)

    def _count(self, pending: list[Tried]) -> None:
        name = self._writing.destination.name
        seconds = metrics.DELIVER_SECONDS.labels(name)
        end_to_end = metrics.END_TO_END_SECONDS.labels(name)
        sent = delivered = 0
        for tried in pending:
            outcome = tried.attempt.outcome
            seconds.observe(tried.took)
            if outcome.result is Result.DELIVERED:
                delivered += 1
                sent += tried.delivery.size
                ended = tried.started_at_ms / 1000 + tried.took
                end_to_end.observe(max(0.0, ended - tried.delivery.received_at / 1000))
            else:
                metrics.DELIVERIES.labels(name, outcome.reason).inc()
        if delivered:
            self.delivered += delivered
            metrics.DELIVERIES.labels(name, Result.DELIVERED.value).inc(delivered)
        metrics.BYTES_DELIVERED.labels(name).inc(sent)


def _to_commit(destination: Destination) -> ToCommit | None:
    proof = destination.proof
    if proof is None:
        return None
    return ToCommit(by_query=proof.by == "query", age_ms=int(proof.age * 1000))


def _age_ms(delivery: LeasedDelivery, destination: Destination) -> int:
    """For how long it could have been sent: the time outside of windows uses up no patience."""
    windows = destination.windows
    if delivery.send_between is not None:
        windows = Windows.parse(delivery.send_between)
    if windows is None:
        return delivery.leased_at - delivery.owed_since
    return windows.open_ms(delivery.owed_since, delivery.leased_at)
