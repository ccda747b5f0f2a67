"""Rings for destinations that are to be asked for what they should have, looks for what modalities
say they have made, and fills the gauges of both. A few rows are read each time."""

from __future__ import annotations

import random

from router import metrics
from router.broker import Broker, QueueFull
from router.config import Site
from router.ledger import Ledger, destinations, performed, reconciliations
from router.ledger.clock import read_clock
from router.logs import get_logger
from router.tickets import CommitmentTicket

STEPS_AT_ONCE = 20
_FINDINGS = ("missing", "changed", "unknown", "incomplete")

log = get_logger("reconciliation")


def ring_for_reconciliation(ledger: Ledger, broker: Broker, site: Site) -> None:
    """Ring once for each destination that is due, up and may be asked now. LedgerUnavailable,
    BrokerUnavailable; the next time does what this could not."""
    due = []
    with ledger.read() as connection:
        now = read_clock(connection)
        for one in site.destinations:
            settings = one.reconcile
            if settings is None or settings.every is None or not settings.is_open(now):
                continue
            health = destinations.health(connection, one.name)
            newest, _ = reconciliations.latest(connection, one.name)
            is_due = reconciliations.is_due(newest, now, every_ms=int(settings.every * 1000))
            if health.up and not health.held and is_due:
                due.append(one.name)
    # A worker takes one at a time: always in the same order, the last would wait for all others.
    random.shuffle(due)
    for name in due:
        try:
            broker.publish(CommitmentTicket(destination=name, reconcile=True))
        except QueueFull:
            return  # the bells in the queue ring for it too


def look_for_performed(ledger: Ledger) -> int:
    """Look for the instances of some steps that have ended; how many steps."""
    with ledger.write() as connection:
        due = performed.due(connection, limit=STEPS_AT_ONCE)
        checked = [(step, performed.check(connection, step)) for step in due]
    for step, count in checked:
        if count and count != step.lacking:
            log.warning(
                "not all that was made came in",
                step=step.id,
                source=step.source,
                made=step.instances,
                lacking=count,
            )
        if step.lacking is None:
            metrics.PERFORMED_STEPS.labels("incomplete" if count else "complete").inc()
        elif step.lacking and not count:
            metrics.PERFORMED_STEPS.labels("complete_later").inc()
    return len(due)


def measure_reconciliation(ledger: Ledger, site: Site) -> None:
    """Fill the gauges from the last runs and the steps that lack something."""
    with ledger.read() as connection:
        now = read_clock(connection)
        for one in site.destinations:
            if one.reconcile is None or one.reconcile.every is None:
                continue
            every_ms = int(one.reconcile.every * 1000)
            overdue = reconciliations.overdue_ms(connection, one.name, now, every_ms=every_ms)
            metrics.RECONCILIATION_OVERDUE_SECONDS.labels(one.name).set(overdue / 1000)
            _, done = reconciliations.latest(connection, one.name)
            for finding in _FINDINGS if done is not None else ():
                gauge = metrics.RECONCILIATION_FINDINGS.labels(one.name, finding)
                gauge.set(getattr(done, finding))
        metrics.PERFORMED_STEPS_INCOMPLETE.set(performed.incomplete(connection))


def unmeasure_reconciliation() -> None:
    """Show nothing of what `measure_reconciliation` read: another process leads."""
    metrics.RECONCILIATION_FINDINGS.clear()
    metrics.RECONCILIATION_OVERDUE_SECONDS.clear()
    metrics.PERFORMED_STEPS_INCOMPLETE.set(0)


def end_old_runs(ledger: Ledger, site: Site) -> None:
    """Drop runs and steps that ended before the history begins."""
    if site.retention.history is not None:
        keep_ms = int(site.retention.history * 1000)
        with ledger.write() as connection:
            reconciliations.end_old(connection, keep_ms)
            performed.end_old(connection, keep_ms)
