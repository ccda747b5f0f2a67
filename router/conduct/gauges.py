"""Fills the gauges that say how the queues and destinations stand."""

from __future__ import annotations

from router import metrics
from router.config import Site
from router.ledger import DeliveryState, Ledger, ObjectState, destinations, queries
from router.ledger.bundle_views import open_counts
from router.ledger.clock import read_clock

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
        now = read_clock(connection)
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
        metrics.QUEUE_OLDEST_SECONDS.labels(name).set(_open_ms(site, name, oldest_ms, now) / 1000)


def _open_ms(site: Site, name: str, age_ms: int, now: int) -> int:
    """For how much of its age something could have been sent, by the destination's schedule: a
    queue that waits for the night is no reason to wake anybody."""
    destination = site.destination(name)
    windows = None if destination is None else destination.windows
    return age_ms if windows is None else windows.open_ms(now - age_ms, now)


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
