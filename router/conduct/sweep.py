"""The sweep: every bell that was lost is rung again, from what the ledger says is owed.

It looks only at what is unfinished, through partial indexes: a million deliveries that wait for
a dead destination cost it nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from router import tickets
from router.broker import Broker, QueueFull
from router.ledger import Ledger, deliveries, destinations, objects
from router.tickets import EgressTicket, RoutingTicket

ORPHAN_AFTER_MS = 10_000
"""A received object without a verdict for this long has lost its ticket, or its worker."""

ORPHANS_AT_ONCE = 20_000
"""Objects rung for in one sweep: what is left waits for the next."""


def sweep(ledger: Ledger, broker: Broker) -> None:
    """Ring for destinations with work that is due, expired leases' included.

    Raises LedgerUnavailable and BrokerUnavailable; the next sweep does what this one could not.
    """
    with ledger.read() as connection:
        expired = deliveries.has_expired_leases(connection)
    if expired:
        with ledger.write() as connection:
            deliveries.expire_leases(connection)
    with ledger.read() as connection:
        due = destinations.with_due_work(connection)
    for name in due:
        try:
            broker.publish(EgressTicket(destination=name))
        except QueueFull:
            continue  # its lane is full of bells, which ring for it too; another lane may not be


def sweep_idle(ledger: Ledger, broker: Broker, names: Collection[str]) -> None:
    """Ring for those of these destinations that are down and have nothing to do: whether they are
    back is then found out without an object. Raises as `sweep` does."""
    with ledger.read() as connection:
        idle = destinations.down_and_idle(connection)
    for name in idle:
        if name in names:
            broker.publish(EgressTicket(destination=name))


def sweep_orphans(ledger: Ledger, broker: Broker) -> None:
    """Ring for received objects that nobody has routed. Raises as `sweep` does."""
    with ledger.read() as connection:
        orphans = objects.received_not_routed(
            connection, limit=ORPHANS_AT_ONCE, older_than_ms=ORPHAN_AFTER_MS
        )
    for start in range(0, len(orphans), tickets.MAX_OBJECTS):
        chunk = orphans[start : start + tickets.MAX_OBJECTS]
        # Behind what comes in now, and what comes in urgently above all.
        broker.publish(RoutingTicket(object_ids=tuple(chunk), urgency="low"))
