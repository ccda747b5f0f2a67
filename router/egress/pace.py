"""Keeps to a destination's limits: when each object of a batch may go, and each part of one.

The ledger hands out the destination's time, a piece after the other, to whoever works for it; so
the limits hold over all workers together. Within its piece a drain goes by its own clock.
"""

import time
from collections.abc import Callable, Sequence

from router.config_flow import Limits
from router.ledger import LeasedDelivery

BATCH_MS = 500
"""The most of a destination's time that one batch takes, unless a single object needs more:
what is urgent waits for the batches in hand."""
NAP_SECONDS = 0.1


class Pace:
    """The turns of one drain's batch. Without limits everything may go at once."""

    def __init__(self, limits: Limits | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._turns: dict[int, float] = {}

    def cost_ms(self, batch: Sequence[LeasedDelivery]) -> int:
        """How much of the destination's time these take."""
        limits = self._limits
        if limits is None:
            return 0
        return round(sum(limits.cost_ms(delivery.size) for delivery in batch))

    def fitting(
        self, leased: list[LeasedDelivery]
    ) -> tuple[list[LeasedDelivery], list[LeasedDelivery], int]:
        """What fits into a batch, at least one; the rest; what the batch costs, 0 for nothing."""
        limits = self._limits
        if limits is None or not leased:
            return leased, [], 0
        count, cost = 0, 0.0
        for delivery in leased:
            more = limits.cost_ms(delivery.size)
            if count and cost + more > BATCH_MS:
                break
            count, cost = count + 1, cost + more
        return leased[:count], leased[count:], max(1, round(cost))

    def begin(self, in_seconds: float, batch: Sequence[LeasedDelivery]) -> None:
        """The batch's time begins then: its objects' turns follow each other."""
        assert self._limits is not None  # nothing is reserved without
        turn = self._clock() + in_seconds
        self._turns.clear()
        for delivery in batch:
            self._turns[delivery.id] = turn
            turn += self._limits.cost_ms(delivery.size) / 1000

    def nap(self, delivery: LeasedDelivery) -> float:
        """Seconds to sleep before looking again whether it is its turn; 0: it is."""
        left = self._turns.get(delivery.id, 0.0) - self._clock()
        return min(max(0.0, left), NAP_SECONDS)


def throttle(
    limits: Limits | None, clock: Callable[[], float] = time.monotonic
) -> Callable[[int], None] | None:
    """What is told of each part of an object before it is written, and waits until it may go;
    None without a limit."""
    if limits is None or limits.bandwidth is None:
        return None
    bandwidth, started, sent = limits.bandwidth, clock(), 0

    def wait(count: int) -> None:
        nonlocal sent
        pause = started + sent / bandwidth - clock()
        if pause > 0:
            time.sleep(pause)
        sent += count

    return wait
