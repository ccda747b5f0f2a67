"""Rings for what is to be asked, and for orders of modalities that are to be looked at.

Reads the first entries of indexes only: what waits for an answer costs nothing while it waits.
"""

from __future__ import annotations

from sqlalchemy import Connection

from router import metrics
from router.broker import Broker, QueueFull
from router.config import Site
from router.ledger import Ledger, commitments, leases, orders, proofs, unproven
from router.tickets import CommitmentTicket

ORDERS_AT_ONCE = 50


def ring_for_commitment(ledger: Ledger, broker: Broker, site: Site) -> None:
    """Ring once for each destination and order that is due. LedgerUnavailable, BrokerUnavailable;
    the next time does what this could not."""
    with ledger.read() as connection:
        wanted = [
            CommitmentTicket(destination=name)
            for name in commitments.destinations(connection)
            if _is_due(connection, site, name)
        ]
        due = orders.due(connection, limit=ORDERS_AT_ONCE)
    for ticket in (*wanted, *(CommitmentTicket(order=one) for one in due)):
        try:
            broker.publish(ticket)
        except QueueFull:
            return  # the bells in the queue ring for it too


def _is_due(connection: Connection, site: Site, name: str) -> bool:
    destination = site.destination(name)
    if destination is None:
        return False  # whoever took it out of the site decides what becomes of what waits for it
    proof = destination.proof
    if proof is None:
        return True  # no proof is wanted any more
    age_ms = int(proof.age * 1000)
    return commitments.is_due(connection, name, size=proof.size, age_ms=age_ms)


def ring_for_reports(ledger: Ledger, broker: Broker, site: Site) -> None:
    """Ring for destinations that have owed a report for long, and were not called since. Raises as
    `ring_for_commitment`."""
    wanted = []
    with ledger.read() as connection:
        for destination in site.destinations:
            proof = destination.proof
            if proof is None or proof.call is None or proof.by != "report":
                continue
            for_ms = int(proof.call * 1000)
            if leases.is_free(connection, unproven.call_lease(destination.name)) and (
                unproven.owes_reports(connection, destination.name, for_ms=for_ms)
            ):
                wanted.append(destination.name)
    for name in wanted:
        try:
            broker.publish(CommitmentTicket(destination=name))
        except QueueFull:
            return


def measure_commitment(ledger: Ledger, site: Site) -> None:
    """Fill the gauges: how many wait for their proof, and for how long. Counts index entries, so
    once a minute is enough."""
    with ledger.read() as connection:
        for destination in site.destinations:
            if destination.proof is None:
                continue
            name = destination.name
            metrics.COMMITMENTS_PENDING.labels(name).set(unproven.pending(connection, name))
            oldest = unproven.oldest_age_ms(connection, name) / 1000
            metrics.COMMITMENT_OLDEST_SECONDS.labels(name).set(oldest)
        counts = orders.counts(connection)
    for state in ("open", "reporting"):
        metrics.COMMITMENT_ORDERS_OPEN.labels(state).set(counts.get(state, 0))


def unmeasure_commitment() -> None:
    """Show nothing of what `measure_commitment` read: another process leads."""
    for gauge in (
        metrics.COMMITMENTS_PENDING,
        metrics.COMMITMENT_OLDEST_SECONDS,
        metrics.COMMITMENT_ORDERS_OPEN,
    ):
        gauge.clear()


def end_requests(ledger: Ledger, site: Site) -> None:
    """Drop requests that ended before the history begins."""
    if site.retention.history is not None:
        with ledger.write() as connection:
            proofs.end_requests(connection, int(site.retention.history * 1000))
