"""The history ends: an object's rows leave together, and nothing else does."""

import pytest
from sqlalchemy import func, select

from router.ledger import (
    DeliveryState,
    DerivedObject,
    Ledger,
    NewDelivery,
    history,
    objects,
    queries,
)
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECT_EVENTS, OBJECTS
from router.store import new_object_id

HOUR_MS = 3_600_000
TABLES = (OBJECTS, DELIVERIES, DELIVERY_EVENTS, OBJECT_EVENTS)


def rows(ledger: Ledger) -> list[int]:
    with ledger.read() as conn:
        return [conn.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES]


def end(ledger: Ledger, history_ms: int = -1, limit: int = 500) -> int:
    with ledger.write() as conn:
        return history.end(conn, history_ms, limit)


def forget(ledger: Ledger) -> list[str]:
    with ledger.write() as conn:
        ids = objects.forgettable(conn, -1, 500)
        objects.mark_forgotten(conn, ids)
    return ids


def deliver(story, *destinations: str) -> None:
    for destination in destinations:
        story.end(story.lease(destination))


def test_what_was_forgotten_is_told_for_a_while_and_then_gone(ledger: Ledger, story):
    (object_id,) = story.owe("pacs", "research")
    deliver(story, "pacs", "research")
    assert forget(ledger) == [object_id]
    assert end(ledger, HOUR_MS) == 0
    assert len(story.told(object_id).deliveries) == 2
    assert end(ledger) == 1
    with ledger.read() as conn:
        assert queries.trace(conn, object_id) == []
    assert rows(ledger) == [0, 0, 0, 0]
    assert end(ledger) == 0


def test_a_derived_object_goes_with_the_one_it_came_from(ledger: Ledger, story):
    (object_id,) = story.receive()
    derived = DerivedObject(
        id=new_object_id(),
        sop_class_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid="1.2.840.10008.1.2",
        size=10,
        data_set_offset=5,
        checksum="00",
    )
    delivery = NewDelivery(destination="pacs", route="edited", payload_id=derived.id)
    story.record(story.route(object_id, derived=(derived,), deliveries=(delivery,)))
    deliver(story, "pacs")
    assert sorted(forget(ledger)) == sorted([object_id, derived.id])
    assert end(ledger, limit=1) + end(ledger, limit=1) == 2
    assert rows(ledger) == [0, 0, 0, 0]


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.HELD])
def test_what_is_owed_or_not_forgotten_stays_whatever_its_age(ledger: Ledger, story, state):
    story.owe("pacs")
    story.end(story.lease("pacs"), state)
    story.owe("pacs")  # waits
    story.owe("research")
    deliver(story, "research")  # delivered, its bytes are still here
    story.receive()
    before = rows(ledger)
    assert end(ledger) == 0
    assert rows(ledger) == before


def test_the_longest_forgotten_go_first(ledger: Ledger, story):
    first, second = story.owe("pacs", count=2)
    deliver(story, "pacs")
    with ledger.write() as conn:
        objects.mark_forgotten(conn, [first])
        conn.execute(OBJECTS.update().values(forgotten_at=OBJECTS.c.forgotten_at - 1))
    with ledger.write() as conn:
        objects.mark_forgotten(conn, [second])
    assert end(ledger, limit=1) == 1
    assert story.stored(second).id == second
