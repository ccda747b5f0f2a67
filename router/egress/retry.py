"""When a failed delivery is tried again, and when a destination that is down is.

Pure: the age and the attempts come from the ledger, the chance from the caller. Only the
ledger's clock ever turns a wait into a point in time.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, assert_never

from router.config import Retry
from router.egress.outcomes import Charge, Outcome, Result

State = Literal["waiting", "delivered", "held", "failed"]

_SPREAD = 0.2  # of a wait, either way: what failed together must not come back together


class BackOff(Protocol):
    """The shape that a destination's `retry` and `probe` settings share. Seconds."""

    @property
    def first(self) -> float: ...
    @property
    def factor(self) -> float: ...
    @property
    def most(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the ledger is told: the new state, the attempts charged, the wait in seconds."""

    state: State
    attempts: int
    wait: float | None = None
    words: str


def wait(back_off: BackOff, failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row (1: the first); `chance` in [0, 1)."""
    # The exponent is bounded because a float overflows long before a patient archive gives up.
    grown = back_off.first * back_off.factor ** min(max(failures, 1) - 1, 64)
    return min(grown, back_off.most) * (1 - _SPREAD + 2 * _SPREAD * chance)


def decide(outcome: Outcome, *, attempts: int, age: float, retry: Retry, chance: float) -> Decision:
    """What becomes of a delivery after this outcome.

    `attempts` were charged before this one, `age` is in seconds since the delivery was owed.
    """
    match outcome.result:
        case Result.DELIVERED:
            return Decision(state="delivered", attempts=attempts + 1, words=outcome.words)
        case Result.HOLD:
            return Decision(state="held", attempts=attempts + 1, words=outcome.words)
        case Result.GIVE_UP:
            return Decision(state="failed", attempts=attempts + 1, words=outcome.words)
        case Result.RETRY_LATER:
            return _again(outcome, attempts=attempts, age=age, retry=retry, chance=chance)
        case never:
            assert_never(never)


def _again(outcome: Outcome, *, attempts: int, age: float, retry: Retry, chance: float) -> Decision:
    if outcome.charge is not Charge.DELIVERY:
        # Its destination's health decides when it is tried again: the delivery waits unharmed.
        return Decision(state="waiting", attempts=attempts, wait=0.0, words=outcome.words)
    attempts += 1
    if outcome.few_attempts and attempts >= retry.object_attempts:
        words = f"{outcome.words}; given up after {attempts} attempts"
        return Decision(state="failed", attempts=attempts, words=words)
    if age >= retry.give_up_after:
        words = f"{outcome.words}; given up after {age / 3600:.1f} hours"
        return Decision(state="failed", attempts=attempts, words=words)
    pause = wait(retry, attempts, chance)
    return Decision(state="waiting", attempts=attempts, wait=pause, words=outcome.words)
