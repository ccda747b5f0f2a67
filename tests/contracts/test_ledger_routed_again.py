"""Routing an object once more owes nobody what he has, or is owed already; on every database."""

from __future__ import annotations

import pytest

from router.ledger import DeliveryState, Ledger, ObjectState, objects


@pytest.fixture
def held(story) -> str:
    """An object that was held although one of its routes could be served."""
    (object_id,) = story.receive()
    story.record(story.route(object_id, "pacs", state=ObjectState.HELD, reason="edit_failed"))
    return str(object_id)


def route_again(ledger: Ledger, story, object_id: str, *destinations: str, **changes) -> None:
    with ledger.write() as conn:
        assert objects.route_again(conn, [object_id]) == 1
    assert story.record(story.route(object_id, *destinations, **changes)) == {object_id}


def deliveries_of(story, object_id: str) -> list[tuple[str, str]]:
    """Destination and state of each, oldest first."""
    told = story.told(object_id).deliveries
    found = sorted((one.delivery for one in told), key=lambda delivery: delivery.id)
    return [(delivery.destination, delivery.state.value) for delivery in found]


def forgettable(ledger: Ledger) -> set[str]:
    with ledger.read() as conn:
        return set(objects.forgettable(conn, -1000, 100))


def test_what_waits_is_not_owed_twice(ledger: Ledger, story, held):
    route_again(ledger, story, held, "pacs", "research")
    assert deliveries_of(story, held) == [("pacs", "waiting"), ("research", "waiting")]
    assert story.stored(held).state is ObjectState.ROUTED


def test_what_is_under_way_is_not_owed_twice(ledger: Ledger, story, held):
    leased = story.lease("pacs")
    route_again(ledger, story, held, "pacs")
    assert deliveries_of(story, held) == [("pacs", "leased")]
    assert forgettable(ledger) == set()
    story.end(leased)
    assert forgettable(ledger) == {held}


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.COMMITTED])
def test_who_has_it_does_not_get_it_again(ledger: Ledger, story, held, state):
    story.end(story.lease("pacs"), state)
    route_again(ledger, story, held, "pacs", "research")
    assert deliveries_of(story, held) == [("pacs", state.value), ("research", "waiting")]
    assert forgettable(ledger) == set()
    story.end(story.lease("research"))
    assert forgettable(ledger) == {held}


def test_where_nothing_new_is_owed_the_object_is_settled(ledger: Ledger, story, held):
    story.end(story.lease("pacs"))
    route_again(ledger, story, held, "pacs")
    assert forgettable(ledger) == {held}


@pytest.mark.parametrize("state", [DeliveryState.HELD, DeliveryState.FAILED])
def test_what_did_not_succeed_is_tried_anew_in_place_of_the_old(ledger: Ledger, story, held, state):
    story.end(story.lease("pacs"), state)
    route_again(ledger, story, held, "pacs")
    assert deliveries_of(story, held) == [("pacs", "cancelled"), ("pacs", "waiting")]
    cancelled = story.told(held).deliveries[0]
    assert cancelled.history[-1].reason == "routed_again"
    story.end(story.lease("pacs"))
    assert forgettable(ledger) == {held}


def test_what_was_cancelled_may_be_owed_again(ledger: Ledger, story, held):
    story.end(story.lease("pacs"), DeliveryState.CANCELLED)
    route_again(ledger, story, held, "pacs")
    assert deliveries_of(story, held) == [("pacs", "cancelled"), ("pacs", "waiting")]


def test_what_failed_elsewhere_is_left_for_a_person(ledger: Ledger, story, held):
    story.end(story.lease("pacs"), DeliveryState.FAILED)
    route_again(ledger, story, held, "research")
    assert deliveries_of(story, held) == [("pacs", "failed"), ("research", "waiting")]
    story.end(story.lease("research"))
    assert forgettable(ledger) == set()


@pytest.mark.parametrize("state", [ObjectState.ROUTED, ObjectState.DISCARDED])
def test_a_verdict_without_deliveries_forgets_nothing_that_is_still_owed(
    ledger: Ledger, story, held, state
):
    route_again(ledger, story, held, state=state)
    assert deliveries_of(story, held) == [("pacs", "waiting")]
    assert forgettable(ledger) == set()
    story.end(story.lease("pacs"))
    assert forgettable(ledger) == {held}


def test_it_may_be_routed_again_more_than_once(ledger: Ledger, story, held):
    story.end(story.lease("pacs"), DeliveryState.FAILED)
    for _ in range(2):
        route_again(ledger, story, held, "pacs", state=ObjectState.HELD, reason="edit_failed")
    route_again(ledger, story, held, "pacs")
    assert deliveries_of(story, held) == [("pacs", "cancelled"), ("pacs", "waiting")]
