"""One attempt at one delivery, and what a drain asks of its way to the destination."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.egress.outcomes import Outcome
from router.ledger import LeasedDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of it. `lost`: the association broke on it; `silent`: by a time-out."""

    outcome: Outcome
    association_id: str | None = None
    lost: bool = False
    silent: bool = False
    answered: bool = False  # the destination itself has said what became of the object
    retry_soon: bool = False  # nobody's fault here: no place just now, or our store is away
    severe: bool = False  # an error of configuration: repeating soon is of no use


class Channel(Protocol):
    """The way to one destination, for one drain. `settle` may come from another thread."""

    def expect(self, deliveries: Sequence[LeasedDelivery]) -> None:
        """These come next: what is negotiated should suit them."""

    def deliver(self, delivery: LeasedDelivery) -> Attempt:
        """Send one object. Raises nothing that the destination or the object can cause."""

    def healthy(self) -> bool:
        """Whether the destination answers when it is asked for nothing else."""

    def settle(self) -> Outcome | None:
        """Make lasting what was delivered so far; the outcome of those that it cannot."""

    def close(self) -> None:
        """The drain has ended."""
