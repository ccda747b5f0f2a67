"""Fills the gauges that say how the queues and destinations stand."""

from __future__ import annotations

from router import metrics
from router.config import Site
from router.ledger import DeliveryState, Ledger, ObjectState, destinations, queries
from router.ledger.bundle_views import open_counts

_SHOWN = (
    DeliveryState.WAITING,
    DeliveryState.LEASED,
    DeliveryState.HELD,
    DeliveryState.FAILED,
)
_PENDING = (
    ObjectState.RECEIVED,
    ObjectState.UNROUTED,
    ObjectState.HELD,
    ObjectState.FAILED,
)


def measure(ledger: Ledger, site: Site) -> None:
    """Read depths, ages and health once. Raises LedgerUnavailable."""
    with ledger.read() as connection:
        depths = {(depth.destination, depth.state): depth for depth in queries.depths(connection)}
        health = {one.name: one for one in destinations.all_health(connection)}
        counts = queries.object_counts(connection)
        open_bundles, _ = open_counts(connection)
    metrics.BUNDLES_OPEN.set(open_bundles)
    for pending in _PENDING:
        metrics.UNFINISHED_OBJECTS.labels(pending.value).set(counts.get(pending, 0))
    for name in site.destination_names:
        metrics.DESTINATION_UP.labels(name).set(name not in health or health[name].up)
        for state in _SHOWN:
            depth = depths.get((name, state))
            metrics.QUEUE_DEPTH.labels(name, state.value).set(depth.count if depth else 0)
        waiting = depths.get((name, DeliveryState.WAITING))
        oldest_ms = waiting.oldest_age_ms if waiting else 0
        metrics.QUEUE_OLDEST_SECONDS.labels(name).set(oldest_ms / 1000)


def unmeasure() -> None:
    """Show nothing of what `measure` read: another process leads, and old figures would be lies."""
    metrics.BUNDLES_OPEN.set(0)
    for gauge in (
        metrics.UNFINISHED_OBJECTS,
        metrics.DESTINATION_UP,
        metrics.QUEUE_DEPTH,
        metrics.QUEUE_OLDEST_SECONDS,
    ):
        gauge.clear()
