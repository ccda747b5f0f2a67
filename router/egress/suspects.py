"""Who is sick when an association breaks on an object: the object, or its destination?

Pure but for a lock. A poisoned object must not stall its destination, and a sick destination
must not use up its objects' attempts. One loss proves nothing; an object that is lost again
while others pass is guilty, and a destination that loses different objects in a row is.
"""

import threading
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from router.egress.contexts import Owed, Pair, pair_of

MOST_IN_A_ROW = 3
MOST_SILENT_IN_A_ROW = 2  # each costs the time-out of a response
MOST_REMEMBERED = 4096


class OwedDelivery(Owed, Protocol):
    """What of a leased delivery matters here."""

    @property
    def id(self) -> int: ...


class Verdict(Enum):
    """What a loss comes to."""

    AGAIN = auto()  # not known yet: try it once more, after the others
    OBJECT = auto()  # others pass, this one does not
    DESTINATION = auto()
    ASK = auto()  # lost again, and nothing else was tried: ask the destination itself


@dataclass(slots=True)
class _Loss:
    times: int
    passed_before: int


class Suspects:
    """What one process remembers of the objects that one destination failed on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._losses: dict[int, _Loss] = {}
        self._in_a_row: dict[int, Pair] = {}
        self._passed = 0

    def suspicion(self, delivery: OwedDelivery) -> tuple[int, bool]:
        """What to sort by: suspects go after the others, and their kind after other kinds."""
        if not self._losses:
            return 0, False
        with self._lock:
            loss = self._losses.get(delivery.id)
            kinds = set(self._in_a_row.values())
        return (loss.times if loss is not None else 0), pair_of(delivery) in kinds

    def passed(self, delivery_id: int) -> None:
        """The peer has answered for this object, whatever it said."""
        if not self._losses:
            self._passed += 1  # may miss a count in a race: it only ever needs to have grown
            return
        with self._lock:
            self._passed += 1
            self._in_a_row.clear()
            self._losses.pop(delivery_id, None)

    def lost(self, delivery: OwedDelivery, *, silent: bool) -> Verdict:
        """The association ended while this object was sent; `silent`: by a time-out."""
        with self._lock:
            loss = self._remember(delivery.id)
            if loss.times > 1 and self._passed > loss.passed_before:
                return Verdict.OBJECT
            self._in_a_row[delivery.id] = pair_of(delivery)
            most = MOST_SILENT_IN_A_ROW if silent else MOST_IN_A_ROW
            if len(self._in_a_row) >= most:
                return Verdict.DESTINATION
            return Verdict.ASK if loss.times > 1 else Verdict.AGAIN

    def refused(self, delivery_id: int) -> Verdict:
        """The peer has no room for this object: for it alone, if others pass since."""
        with self._lock:
            loss = self._remember(delivery_id)
            guilty = loss.times > 1 and self._passed > loss.passed_before
            return Verdict.OBJECT if guilty else Verdict.DESTINATION

    def _remember(self, delivery_id: int) -> _Loss:
        if len(self._losses) >= MOST_REMEMBERED:
            self._losses.pop(next(iter(self._losses)))
        loss = self._losses.setdefault(delivery_id, _Loss(0, self._passed))
        loss.times += 1
        return loss
