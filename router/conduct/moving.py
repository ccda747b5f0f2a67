"""Moves deliveries that wait for a dead member of a group to one that lives."""

from __future__ import annotations

from router import metrics
from router.broker import Broker
from router.ledger import Ledger
from router.ledger.moving import Passed, has_movable, move
from router.logs import get_logger
from router.tickets import EgressTicket

CHUNK = 1_000
"""Deliveries moved in one transaction: nobody waits long for it."""
MOST_CHUNKS = 50
"""Transactions in one go: the rest is for the next."""
MOST_IN_VAIN = 5
"""Transactions in one go that move nothing, since all they see is owed there by another route."""

log = get_logger("conductor")


class Mover:
    """Moves, and remembers how far it came; another process that leads begins anew."""

    def __init__(self, ledger: Ledger, broker: Broker) -> None:
        self._ledger = ledger
        self._broker = broker
        self._passed: Passed = {}

    def move(self) -> int:
        """How many were moved. Raises LedgerUnavailable and BrokerUnavailable; what was moved
        stays."""
        with self._ledger.read() as connection:
            if not has_movable(connection):
                self._passed.clear()
                return 0
        moved = in_vain = 0
        for _ in range(MOST_CHUNKS):
            with self._ledger.write() as connection:
                gained = move(connection, self._passed, limit=CHUNK)
            self._tell(gained)
            moved += sum(gained.values())
            in_vain += not gained
            if in_vain >= MOST_IN_VAIN or not (gained or self._passed):
                break
        return moved

    def _tell(self, gained: dict[str, int]) -> None:
        for name, count in gained.items():
            metrics.DELIVERIES_MOVED.labels(name).inc(count)
            log.warning("deliveries moved: a member of their group is down", to=name, count=count)
            self._broker.publish(EgressTicket(destination=name))
