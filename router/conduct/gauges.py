"""Fills the gauges that say how the queues and destinations stand."""

from __future__ import annotations

from router import metrics
from router.config import Site
from router.ledger import DeliveryState, Ledger, ObjectState, destinations, queries, queues
from router.ledger.bundle_views import open_counts
from router.ledger.clock import read_clock
from router.ledger.queues import Waits
from rules.windows import Windows

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
        waits = {
            name: queues.oldest_waiting(connection, name)
            for name in site.destination_names
            if (name, DeliveryState.WAITING) in depths
        }
    metrics.BUNDLES_OPEN.set(open_bundles)
    for pending in _PENDING:
        metrics.UNFINISHED_OBJECTS.labels(pending.value).set(counts.get(pending, 0))
    for name in site.destination_names:
        metrics.DESTINATION_UP.labels(name).set(name not in health or health[name].up)
        stopped = name in health and health[name].held
        metrics.DESTINATION_STOPPED.labels(name).set(stopped)
        for state in _SHOWN:
            depth = depths.get((name, state))
            metrics.QUEUE_DEPTH.labels(name, state.value).set(depth.count if depth else 0)
        oldest = () if stopped else waits.get(name, ())
        ages = [_open_ms(site, name, one, now) for one in oldest]
        metrics.QUEUE_OLDEST_SECONDS.labels(name).set(max(ages, default=0) / 1000)


def _open_ms(site: Site, name: str, waits: Waits, now: int) -> int:
    """For how much of its age it could have been sent, by the windows of its route and by the
    destination's schedule: a queue that waits for the night is no reason to wake anybody."""
    destination = site.destination(name)
    ages = [max(0, now - waits.since)]
    if waits.between is not None:
        ages.append(Windows.parse(waits.between).open_ms(waits.since, now))
    if destination is not None and destination.windows is not None:
        ages.append(destination.windows.open_ms(waits.since, now))
    return min(ages)


def unmeasure() -> None:
    """Show nothing of what `measure` read: another process leads, and old figures would be lies."""
    metrics.BUNDLES_OPEN.set(0)
    for gauge in (
        metrics.UNFINISHED_OBJECTS,
        metrics.DESTINATION_UP,
        metrics.DESTINATION_STOPPED,
        metrics.QUEUE_DEPTH,
        metrics.QUEUE_OLDEST_SECONDS,
    ):
        gauge.clear()
