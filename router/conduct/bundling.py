"""Closes bundles whose time has come, and rings for the objects in them."""

from __future__ import annotations

from collections.abc import Sequence

from router import metrics, tickets
from router.broker import Broker
from router.ledger import Ledger, bundles
from router.ledger.bundle_views import drop_old
from router.ledger.left_behind import left_behind
from router.logs import get_logger
from router.tickets import RoutingTicket

CHUNK = 50
"""Bundles closed in one transaction."""
LEFT_AFTER_MS = 10_000
"""A closed bundle whose objects are not routed for this long has lost its tickets."""
LEFT_AT_ONCE = 5_000
KEEP_MS = 30 * 86_400_000
"""How long a closed bundle is remembered: what comes for it until then is late."""

log = get_logger("conductor")


def close_bundles(ledger: Ledger, broker: Broker) -> int:
    """How many were closed. Raises LedgerUnavailable and BrokerUnavailable: who was closed and
    not rung for is rung for by `ring_left_behind`."""
    count = 0
    while True:
        with ledger.read() as connection:
            if not bundles.has_due(connection):
                return count
        with ledger.write() as connection:
            closed = bundles.close_due(connection, limit=CHUNK)
        for bundle in closed:
            metrics.BUNDLES_CLOSED.labels(bundle.reason).inc()
            log.info("bundle closed", reason=bundle.reason, objects=len(bundle.object_ids))
            _ring(broker, bundle.object_ids)
        count += len(closed)
        if not closed:
            return count


def ring_left_behind(ledger: Ledger, broker: Broker) -> None:
    """Ring for objects of closed bundles that nobody has routed. Raises as `close_bundles`."""
    with ledger.read() as connection:
        left = left_behind(connection, limit=LEFT_AT_ONCE, older_than_ms=LEFT_AFTER_MS)
    _ring(broker, left)


def drop_old_bundles(ledger: Ledger, *, keep_ms: int = KEEP_MS, limit: int = 200) -> int:
    """Drop what was closed long ago; how many bundles."""
    with ledger.write() as connection:
        return drop_old(connection, keep_ms=keep_ms, limit=limit)


def _ring(broker: Broker, object_ids: Sequence[str]) -> None:
    for start in range(0, len(object_ids), tickets.MAX_OBJECTS):
        chunk = object_ids[start : start + tickets.MAX_OBJECTS]
        broker.publish(RoutingTicket(object_ids=tuple(chunk)))
