"""A person gives up objects that nobody could route; on every database."""

from typing import Any

import pytest
from sqlalchemy import update

from router.ledger import (
    DeliveryState,
    Ledger,
    ObjectFilter,
    ObjectState,
    objects,
)
from router.ledger.models import OBJECTS
from router.store import new_object_id

HOUR_MS = 3_600_000


@pytest.fixture
def waiting(story) -> dict[ObjectState, str]:
    """One object in each state that waits for a person, and a delivery owed of each."""
    found = {}
    for state in (ObjectState.UNROUTED, ObjectState.HELD, ObjectState.FAILED):
        (found[state],) = story.owe("pacs", state=state)
    return found


def discard(ledger: Ledger, limit: int = 500, **chosen) -> int:
    with ledger.write() as conn:
        return objects.discard(conn, ObjectFilter(**chosen), by="cli:ann", limit=limit)


def discardable(ledger: Ledger, **chosen) -> set[str]:
    with ledger.read() as conn:
        return set(objects.discardable(conn, ObjectFilter(**chosen), limit=100))


def forgettable(ledger: Ledger) -> set[str]:
    with ledger.read() as conn:
        return set(objects.forgettable(conn, -1000, 100))


def test_it_is_over_with_all_that_is_owed_and_soon_forgotten(ledger: Ledger, story, waiting):
    for state, object_id in waiting.items():
        assert forgettable(ledger) == set()
        assert discard(ledger, ids=(object_id,)) == 1
        found = story.stored(object_id)
        assert (found.state, found.reason) == (ObjectState.DISCARDED, "discarded_by_operator")
        assert story.state_of(object_id, "pacs") is DeliveryState.CANCELLED
        assert forgettable(ledger) == {object_id}
        with ledger.write() as conn:
            objects.mark_forgotten(conn, [object_id])
        assert discard(ledger, state=state) == 0


def test_the_history_says_who_did_it(ledger: Ledger, story, waiting):
    object_id = waiting[ObjectState.HELD]
    discard(ledger, ids=(object_id,))
    told = story.told(object_id)
    last = told.history[-1]
    assert (last.kind, last.reason) == ("discarded", "discarded_by_operator")
    assert last.detail == "by cli:ann"
    assert told.deliveries[0].history[-1].worker == "cli:ann"


def test_only_what_was_chosen(ledger: Ledger, story, waiting):
    old, young = waiting[ObjectState.UNROUTED], story.receive()[0]
    story.record(story.route(young, state=ObjectState.UNROUTED))
    with ledger.write() as conn:
        aged = update(OBJECTS).where(OBJECTS.c.id == old)
        conn.execute(aged.values(recorded_at=OBJECTS.c.recorded_at - HOUR_MS))
    chosen: dict[str, Any] = {"state": ObjectState.UNROUTED, "older_than_ms": HOUR_MS - 1000}
    assert discardable(ledger, **chosen) == {old}
    assert discard(ledger, **chosen) == 1
    assert story.stored(young).state is ObjectState.UNROUTED
    assert discardable(ledger) == {young, waiting[ObjectState.HELD], waiting[ObjectState.FAILED]}


def test_what_waits_for_nobody_is_left_alone(ledger: Ledger, story):
    (received,) = story.receive()
    (routed,) = story.owe("research")
    everything = (received, routed, new_object_id())
    assert discardable(ledger, ids=everything) == set()
    assert discard(ledger, ids=everything) == 0
    assert story.stored(received).state is ObjectState.RECEIVED
    assert story.state_of(routed, "research") is DeliveryState.WAITING


def test_what_is_being_sent_is_left_alone(ledger: Ledger, story, waiting):
    leased = story.lease("pacs")
    assert discard(ledger) == 0
    assert {story.stored(one).state for one in waiting.values()} == set(waiting)
    story.end(leased, DeliveryState.FAILED)
    assert discard(ledger) == 3


def test_a_page_at_a_time(ledger: Ledger, story, waiting):
    assert [discard(ledger, limit=2) for _ in range(3)] == [2, 1, 0]
    assert {story.stored(one).state for one in waiting.values()} == {ObjectState.DISCARDED}
