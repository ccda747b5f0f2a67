"""The loop of one drain: batch after batch, each outcome judged, until there is a reason to end."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from sqlalchemy import Connection

from router.egress import outcomes
from router.egress.attempts import Attempt, Channel
from router.egress.bell import Bell
from router.egress.outcomes import Charge, Result
from router.egress.recorder import Recorder, Tried
from router.egress.suspects import Suspects, Verdict
from router.egress.tenure import FIRST_BATCH, Keeper, Tenure
from router.egress.timing import Timing
from router.ledger import LeasedDelivery
from router.logs import get_logger

LARGEST_BATCH = 64
BATCH_SECONDS = 1.0
"""About how long a batch should take."""
LOOK_SECONDS = 0.25
"""How often a drain at work looks for something more urgent than what it has in hand."""
LONGEST_STEP = 0.1
"""How seldom one that waits for more work looks for what another process was rung for."""

log = get_logger("egress")


class _Step(Enum):
    DONE = auto()
    AGAIN = auto()
    STOP = auto()


@dataclass(slots=True)
class Run:
    """One drain at work. `in_vain`: it ended for want of a place, so ringing again is no use.

    `more` is called when so much came while it waited that another drain may help."""

    tenure: Tenure
    recorder: Recorder
    channel: Channel
    suspects: Suspects
    bell: Bell
    more: Callable[[], object]
    stop: Callable[[], bool]
    timing: Timing
    in_vain: bool = False
    _failure: Attempt | None = None
    _answered: bool = False  # since health was last asked for
    _limit: int = FIRST_BATCH
    _looked_at: float = 0.0  # for something more urgent
    _overtaken: bool = False

    def work(self, batch: list[LeasedDelivery]) -> None:
        """Send the batch and those after it, then give up slot, leases and association."""
        until = self.timing.clock() + self.timing.longest
        rest: Sequence[LeasedDelivery] = ()
        with Keeper(self.tenure, self.recorder, self.timing.clock) as keeper:
            while batch:
                rest = self._send(batch, keeper)
                back = rest if self._overtaken else ()
                if (rest and not back) or self._ends(keeper) or self.timing.clock() >= until:
                    break
                rest = ()
                batch = self._next_batch(back)
                if not batch:
                    batch = self._linger(keeper)
        self.channel.close()  # before the slot is free, or the next drain finds no place
        self.recorder.flush_with(lambda connection: self._end(connection, rest))

    def _send(self, batch: list[LeasedDelivery], keeper: Keeper) -> Sequence[LeasedDelivery]:
        """Try each of the batch; returns those that were not tried."""
        started = self._looked_at = self.timing.clock()
        self._overtaken = False
        # Suspects last, so that others may pass before them.
        queue = deque(sorted(batch, key=self.suspects.suspicion))
        self.channel.expect(queue)
        while queue and not self._ends(keeper):
            if self._is_overtaken(queue):
                break
            if nap := self.tenure.pace.nap(queue[0]):
                time.sleep(nap)
                continue
            delivery = queue.popleft()
            match self._try(delivery):
                case _Step.AGAIN:
                    queue = deque(sorted([*queue, delivery], key=self.suspects.suspicion))
                case _Step.STOP:
                    return [delivery, *queue] if self.in_vain else list(queue)
            # What a whole batch came to is recorded with the lease of the next.
            if (queue and self.recorder.is_due()) or (self.tenure.probing and self._answered):
                self.recorder.flush_with(self._mark_up_if_probing)
        if not self._overtaken:
            self._pace(len(batch), self.timing.clock() - started)
        return list(queue)

    def _is_overtaken(self, queue: Sequence[LeasedDelivery]) -> bool:
        """Whether what is in hand must make way; asked of the ledger now and then."""
        now = self.timing.clock()
        if now - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = now
        self._overtaken = self.tenure.overtaken(queue)
        return self._overtaken

    def _try(self, delivery: LeasedDelivery) -> _Step:
        started_at_ms = time.time_ns() // 1_000_000
        started = self.timing.clock()
        attempt = self._deliver(delivery)
        took = self.timing.clock() - started
        if attempt.retry_soon:
            self.in_vain = True
            return _Step.STOP
        judged = self._judge(delivery, attempt)
        if judged is None:
            return _Step.AGAIN
        self._log(delivery, judged)
        self.tenure.tried(delivery.id)
        self.recorder.add(
            Tried(delivery=delivery, attempt=judged, started_at_ms=started_at_ms, took=took)
        )
        if judged.outcome.charge is Charge.DESTINATION:
            self._failure = judged
            return _Step.STOP
        return _Step.DONE

    def _deliver(self, delivery: LeasedDelivery) -> Attempt:
        """The one place that catches what nobody foresaw: one object must not stop the others."""
        try:
            return self.channel.deliver(delivery)
        except Exception:
            log.exception(
                "delivery failed for a reason nobody foresaw",
                destination=delivery.destination,
                delivery=delivery.id,
                object_id=delivery.object_id,
            )
            return Attempt(outcome=outcomes.retry("internal_error", "an error of the router"))

    def _judge(self, delivery: LeasedDelivery, attempt: Attempt) -> Attempt | None:
        """The attempt with its charge decided; None: once more, before anybody is charged."""
        if attempt.outcome.charge is not Charge.EITHER:
            if attempt.answered and attempt.outcome.charge is Charge.DELIVERY:
                self.suspects.passed(delivery.id)
                self._answered = True
            return attempt
        if not attempt.lost:
            guilty = self.suspects.refused(delivery.id) is Verdict.OBJECT
            return _charged(attempt, object_is_sick=guilty, few_attempts=False)
        verdict = self.suspects.lost(delivery, silent=attempt.silent)
        log.info(
            "association lost on an object",
            delivery=delivery.id,
            object_id=delivery.object_id,
            association_id=attempt.association_id,
            reason=attempt.outcome.reason,
            verdict=verdict.name.lower(),
        )
        if verdict is Verdict.AGAIN:
            return None
        if verdict is Verdict.ASK:
            return _charged(attempt, object_is_sick=self.channel.healthy(), few_attempts=False)
        return _charged(attempt, object_is_sick=verdict is Verdict.OBJECT, few_attempts=True)

    def _ends(self, keeper: Keeper) -> bool:
        return (
            self._failure is not None
            or self.recorder.failure is not None
            or self.in_vain
            or keeper.lost
            or self.recorder.lost_leases
            or self.stop()
        )

    def _linger(self, keeper: Keeper) -> list[LeasedDelivery]:
        """Wait a little for more work, as long as the destination may be worked for."""
        until = self.timing.clock() + self.timing.linger
        step = self.timing.step
        while self.tenure.workable and not self._ends(keeper):
            left = until - self.timing.clock()
            if left <= 0:
                break
            self.bell.wait(min(step, left))
            if self.tenure.has_due() and (batch := self._next_batch()):
                if len(batch) >= self._limit:
                    self.more()
                return batch
            step = min(2 * step, LONGEST_STEP)
        return []

    def _next_batch(self, back: Sequence[LeasedDelivery] = ()) -> list[LeasedDelivery]:
        """Lease more; `back` was leased and makes way."""
        answered, self._answered = self._answered, False

        def lease(connection: Connection) -> list[LeasedDelivery]:
            self.tenure.give_back(connection, back)
            return self.tenure.lease_next(connection, self._limit, answered=answered)

        return self.recorder.flush_with(lease)

    def _mark_up_if_probing(self, connection: Connection) -> None:
        if self.tenure.probing and self._answered:
            self.tenure.mark_up(connection)

    def _end(self, connection: Connection, rest: Sequence[LeasedDelivery]) -> None:
        failure = self._failure or self.recorder.failure
        if failure is not None:
            self.tenure.mark_down(connection, failure.outcome.reason, severe=failure.severe)
        self.tenure.give_back(connection, rest)
        self.tenure.end(connection)

    def _pace(self, sent: int, took: float) -> None:
        if took > 2 * BATCH_SECONDS:
            self._limit = max(1, self._limit // 2)
        elif took < BATCH_SECONDS / 2 and sent >= self._limit:
            self._limit = min(LARGEST_BATCH, self._limit * 2)

    def _log(self, delivery: LeasedDelivery, attempt: Attempt) -> None:
        outcome = attempt.outcome
        if outcome.result is Result.DELIVERED:
            return
        log.warning(
            "not delivered",
            destination=delivery.destination,
            delivery=delivery.id,
            object_id=delivery.object_id,
            association_id=attempt.association_id,
            outcome=outcome.result.value,
            reason=outcome.reason,
            status=None if outcome.status is None else f"{outcome.status:04X}",
            words=outcome.words,
        )


def _charged(attempt: Attempt, *, object_is_sick: bool, few_attempts: bool) -> Attempt:
    outcome = attempt.outcome.proven(object_is_sick=object_is_sick, few_attempts=few_attempts)
    return replace(attempt, outcome=outcome)
