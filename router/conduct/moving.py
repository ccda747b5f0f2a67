"""Moves deliveries that wait for a dead member of a group to one that lives."""

from __future__ import annotations

from router import metrics
from router.broker import Broker
from router.ledger import Ledger
from router.ledger.moving import has_movable, move
from router.logs import get_logger
from router.tickets import EgressTicket

CHUNK = 1_000
"""Deliveries moved in one transaction: nobody waits long for it."""
MOST_CHUNKS = 50
"""Transactions in one go: the rest is for the next."""

log = get_logger("conductor")


def move_deliveries(ledger: Ledger, broker: Broker) -> int:
    """How many were moved. Raises LedgerUnavailable and BrokerUnavailable; what was moved stays."""
    with ledger.read() as connection:
        if not has_movable(connection):
            return 0
    moved = 0
    for _ in range(MOST_CHUNKS):
        with ledger.write() as connection:
            gained = move(connection, limit=CHUNK)
        for name, count in gained.items():
            metrics.DELIVERIES_MOVED.labels(name).inc(count)
            log.warning("deliveries moved: a member of their group is down", to=name, count=count)
            broker.publish(EgressTicket(destination=name))
        moved += sum(gained.values())
        if not gained:
            break
    return moved
