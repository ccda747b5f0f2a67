"""Bundles: joined by many at once, closed once, recorded once; on every database."""

import threading
from dataclasses import replace

import pytest

from router.ledger import Join, Ledger, ObjectState, bundles, deliveries
from router.ledger.bundle_views import close_by_operator, listed, open_counts
from router.ledger.bundled import record_bundled
from router.ledger.verdicts import Identifiers, RoutingResult

STUDY = "2.25.7"
JOIN = Join(
    route="whole study",
    level="study",
    uid=STUDY,
    quiet_ms=60_000,
    longest_ms=600_000,
    modality="CT",
)
KEY = JOIN.key


@pytest.fixture
def gather(story):
    """Objects that came in and joined a bundle; their ids."""

    def gather(count: int = 1, join: Join = JOIN, series: str = "2.25.7.1") -> list[str]:
        ids: list[str] = story.receive(count)
        story.record(
            *(
                RoutingResult(
                    object_id=one,
                    state=ObjectState.BUNDLED,
                    identifiers=Identifiers(
                        study_instance_uid=join.uid, series_instance_uid=series
                    ),
                    joins=(join,),
                )
                for one in ids
            )
        )
        return ids

    return gather


def close(ledger: Ledger) -> list[str]:
    with ledger.write() as conn:
        close_by_operator(conn)
    with ledger.write() as conn:
        return [one for closed in bundles.close_due(conn, limit=9) for one in closed.object_ids]


def parts(ledger: Ledger, story, ids: list[str], **changes: object) -> list[RoutingResult]:
    """What routing would make of these objects, whose bundles are closed."""
    with ledger.read() as conn:
        due = bundles.due_members(conn, ids)
    return [
        replace(
            story.route(one, "ai", **changes),
            bundles=tuple(member.bundle_id for member in members),
            again=any(member.again for member in members),
        )
        for one, members in due.items()
    ]


def record(ledger: Ledger, results: list[RoutingResult]) -> set[str]:
    with ledger.write() as conn:
        return record_bundled(conn, results)


def test_many_join_one_bundle_at_once(ledger: Ledger, story, gather):
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(5):
            gather(3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with ledger.read() as conn:
        assert open_counts(conn) == (1, 60)
        assert bundles.standing(conn, KEY) == "open"
        assert bundles.gathered(conn, JOIN.route, STUDY).by_series == {"2.25.7.1": 60}


def test_a_bundle_is_closed_by_one_alone(ledger: Ledger, gather):
    ids = gather(10)
    with ledger.write() as conn:
        assert close_by_operator(conn, route=JOIN.route) == 1
    closed: list[str] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        with ledger.write() as conn:
            for one in bundles.close_due(conn, limit=9):
                closed.extend(one.object_ids)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(closed) == sorted(ids)


def test_parts_are_recorded_by_one_alone(ledger: Ledger, story, gather):
    ids = gather(6)
    assert sorted(close(ledger)) == sorted(ids)
    results = parts(ledger, story, ids)
    recorded: list[set[str]] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        barrier.wait()
        recorded.append(record(ledger, results))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one for each in recorded for one in each) == sorted(ids)
    assert len(story.lease("ai", limit=64)) == 6
    assert {story.stored(one).state for one in ids} == {ObjectState.ROUTED}
    assert record(ledger, results) == set()


def test_who_joins_when_it_closes_opens_the_next(ledger: Ledger, story, gather):
    first = gather(2)
    assert sorted(close(ledger)) == sorted(first)
    (second,) = gather(1)
    with ledger.read() as conn:
        assert bundles.standing(conn, KEY) == "open"
        assert [row.objects for row in listed(conn, state="open", limit=9)] == [1]
        assert set(bundles.due_members(conn, [*first, second])) == set(first)
    assert record(ledger, parts(ledger, story, first)) == set(first)
    assert story.stored(second).state is ObjectState.BUNDLED


def test_again_takes_along_what_is_still_here(ledger: Ledger, story, gather):
    first = gather(2)
    close(ledger)
    record(ledger, parts(ledger, story, first))
    story.end(story.lease("ai"))
    with ledger.write() as conn:
        deliveries.retry(conn, deliveries.DeliveryFilter(), by="nobody")
    (late,) = gather(1, join=replace(JOIN, again=True))
    assert sorted(close(ledger)) == sorted([*first, late])
    assert {story.stored(one).generation for one in first} == {1}
    assert record(ledger, parts(ledger, story, [*first, late])) == {*first, late}
    assert sorted(one.object_id for one in story.lease("ai")) == sorted([*first, late])


def test_an_object_without_a_home_gets_what_the_site_says(ledger: Ledger, story, gather):
    (one,) = gather(1)
    close(ledger)
    (part,) = parts(ledger, story, [one], deliveries=())
    unrouted = RoutingResult(object_id=one, state=ObjectState.UNROUTED, reason="no_route_matched")
    assert record(ledger, [replace(part, otherwise=unrouted)]) == {one}
    assert story.stored(one).state is ObjectState.UNROUTED
