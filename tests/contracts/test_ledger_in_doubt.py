"""Writes whose commit's answer was lost: done again, they change nothing more."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, select

from router.ledger import (
    DeliveryOutcome,
    DeliveryState,
    Ledger,
    LedgerUnavailable,
    deliveries,
    destinations,
    history,
    leases,
    objects,
)
from router.ledger.models import LedgerTable

HOUR_MS = 3_600_000
CLOCKED = ("next_probe_at", "lease_until", "marked_at", "settled_at", "probe_until")
"""Times that may be a little later after the second time."""


class AnswerLost(Exception):
    """The commit was made, and nobody heard of it."""


def everything(ledger: Ledger) -> dict[str, list[dict[str, object]]]:
    with ledger.read() as conn:
        return {
            table.name: [
                {name: value for name, value in row.items() if name not in CLOCKED}
                for row in conn.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in LedgerTable.metadata.sorted_tables
        }


def in_doubt(ledger: Ledger, act: Callable[[Connection], object]) -> None:
    """Do it, lose the answer, and do it again, as the stages do."""
    with pytest.raises(AnswerLost):
        commit_unheard(ledger, act)
    once = everything(ledger)
    with ledger.write() as conn:
        act(conn)
    assert everything(ledger) == once


def commit_unheard(ledger: Ledger, act: Callable[[Connection], object]) -> None:
    with ledger.write() as conn:
        act(conn)
        conn.commit()
        raise AnswerLost


def test_intake_and_routing(ledger: Ledger, story):
    rows = [story.received() for _ in range(3)]
    in_doubt(ledger, lambda conn: objects.insert_received(conn, rows))
    verdicts = [story.route(row.id, "pacs", "research") for row in rows]
    in_doubt(ledger, lambda conn: objects.record_routing(conn, verdicts))
    in_doubt(ledger, lambda conn: objects.set_checkpoint(conn, "node", "0199aaaa"))


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.WAITING])
def test_outcomes(ledger: Ledger, story, state: DeliveryState):
    story.owe("pacs", count=3)
    outcomes = [
        DeliveryOutcome(delivery_id=one.id, attempts=1, state=state, next_attempt_in_ms=HOUR_MS)
        for one in story.lease("pacs")
    ]
    in_doubt(ledger, lambda conn: deliveries.record_outcomes(conn, "worker", outcomes))


def test_leases_given_back_or_expired(ledger: Ledger, story):
    story.owe("pacs", count=2)
    ids = [one.id for one in story.lease("pacs", limit=1)]
    in_doubt(ledger, lambda conn: deliveries.extend_leases(conn, "worker", ids, HOUR_MS))
    in_doubt(ledger, lambda conn: deliveries.give_back(conn, "worker", ids))
    story.lease("pacs", lease_ms=-1)
    in_doubt(ledger, deliveries.expire_leases)


def test_health_slots_and_the_lead(ledger: Ledger):
    in_doubt(ledger, lambda conn: destinations.mark_down(conn, "pacs", "refused", HOUR_MS))
    in_doubt(ledger, lambda conn: destinations.mark_up(conn, "pacs"))
    in_doubt(ledger, lambda conn: destinations.hold(conn, "pacs"))
    in_doubt(ledger, lambda conn: leases.lead(conn, "conductor", "a", HOUR_MS))
    in_doubt(ledger, lambda conn: leases.resign(conn, "conductor", "a"))


def test_forgetting(ledger: Ledger, story):
    ids = story.owe("pacs", count=2)
    story.end(story.lease("pacs"))
    with ledger.write() as conn:
        objects.mark_forgotten(conn, ids)
    in_doubt(ledger, lambda conn: history.end(conn, -1))


def test_a_lease_that_nobody_heard_of_runs_out(ledger: Ledger, story):
    story.owe("pacs")

    def lease(conn: Connection) -> None:
        assert deliveries.lease_due(conn, "pacs", owner="w", limit=1, lease_ms=-1)

    with pytest.raises(AnswerLost):
        commit_unheard(ledger, lease)
    assert story.lease("pacs") == []
    with ledger.write() as conn:
        assert deliveries.expire_leases(conn) == ["pacs"]
    assert len(story.lease("pacs")) == 1


def test_a_commit_that_fails_is_unavailability(postgresql, postgresql_template):
    """The error of the commit itself, which comes after the block has ended."""
    ledger = Ledger(postgresql.new_database(postgresql_template))
    other = Ledger(ledger.url)

    def kill(conn: Connection) -> None:
        pid = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with other.read() as killing:
            killing.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 10000)")

    def write() -> None:
        with ledger.write() as conn:
            destinations.ensure(conn, ["pacs"])
            event.listen(conn, "commit", kill)

    with pytest.raises(LedgerUnavailable):
        write()
    with ledger.read() as conn:
        assert destinations.all_health(conn) == []
    ledger.dispose()
    other.dispose()
