"""Deliveries: leased, ended, lost, taken over; what a person does to them; on every database."""

import threading

import pytest

from router.ledger import (
    DeliveryFilter,
    DeliveryState,
    Ledger,
    deliveries,
    destinations,
    queries,
)

HOUR_MS = 3_600_000


def test_a_lease_takes_what_is_due_to_this_destination_only(story):
    (object_id,) = story.owe("pacs", "research")
    (leased,) = story.lease("pacs")
    assert (leased.object_id, leased.destination, leased.route) == (object_id, "pacs", "all")
    assert (leased.attempts, leased.priority, leased.size) == (0, 2, 1000)
    assert leased.created_at == leased.owed_since <= leased.leased_at
    assert story.lease("pacs") == []
    assert len(story.lease("research")) == 1
    assert story.lease("unheard-of") == []


def test_the_most_urgent_goes_first_then_what_waits_longest(story):
    low = story.owe("pacs", priority=3)
    routine = story.owe("pacs") + story.owe("pacs")
    stat = story.owe("pacs", priority=0)
    high = story.owe("pacs", priority=1)
    assert [one.object_id for one in story.lease("pacs")] == stat + high + routine + low


def test_a_lease_is_bounded_and_the_next_goes_on_where_it_ended(story):
    ids = story.owe("pacs", count=5)
    urgent = story.owe("pacs", priority=0)
    assert {one.object_id for one in story.lease("pacs", limit=1)} == set(urgent)
    rest = [story.lease("pacs", limit=2) for _ in range(4)]
    assert [len(leased) for leased in rest] == [2, 2, 1, 0]
    assert {one.object_id for leased in rest for one in leased} == set(ids)


@pytest.mark.parametrize("priority", [-5, 17])
def test_a_priority_out_of_range_is_still_served(story, priority):
    story.owe("pacs", priority=priority)
    assert len(story.lease("pacs")) == 1


def test_whether_anything_is_due_is_asked_without_a_lease(ledger: Ledger, story):
    def asked() -> bool:
        with ledger.read() as conn:
            return deliveries.has_due(conn, "pacs")

    assert not asked()
    story.owe("pacs")
    assert asked()
    story.end(story.lease("pacs"), DeliveryState.WAITING, next_attempt_in_ms=HOUR_MS)
    assert not asked()


def test_a_delivery_ends_with_a_line_of_history(story):
    (object_id,) = story.owe("pacs")
    leased = story.lease("pacs")
    recorded = story.end(
        leased,
        reason="stored",
        status=0xB000,
        association_id="out-7",
        started_at_ms=1_700_000_000_000,
        took_ms=12,
        worker="egress-1",
        detail="coercion of data elements",
    )
    assert recorded == 1
    (told,) = story.told(object_id).deliveries
    assert told.delivery.state is DeliveryState.DELIVERED
    assert told.delivery.attempts == 1
    assert told.delivery.finished_at is not None
    assert told.delivery.lease_owner is None
    (line,) = told.history
    assert (line.status, line.took_ms, line.worker) == (0xB000, 12, "egress-1")
    assert (line.reason, line.association_id) == ("stored", "out-7")
    assert story.lease("pacs") == []


def test_a_retry_waits_for_its_time(story):
    (object_id,) = story.owe("pacs")
    story.end(story.lease("pacs"), DeliveryState.WAITING, reason="0110", next_attempt_in_ms=0)
    (again,) = story.lease("pacs")
    assert again.attempts == 1
    story.end([again], DeliveryState.WAITING, next_attempt_in_ms=HOUR_MS)
    assert story.lease("pacs") == []
    (told,) = story.told(object_id).deliveries
    assert told.delivery.attempts == 2
    assert told.delivery.finished_at is None
    assert told.delivery.next_attempt_at - told.history[-1].at == pytest.approx(HOUR_MS, abs=1000)


def test_a_batch_may_end_in_many_ways(story):
    ids = story.owe("pacs", count=4)
    leased = story.lease("pacs")
    states = [
        DeliveryState.DELIVERED,
        DeliveryState.FAILED,
        DeliveryState.HELD,
        DeliveryState.WAITING,
    ]
    with story.ledger.write() as conn:
        outcomes = [
            deliveries.DeliveryOutcome(
                delivery_id=one.id, attempts=1, state=state, reason=state.value
            )
            for one, state in zip(leased, states, strict=True)
        ]
        assert deliveries.record_outcomes(conn, "worker", outcomes) == 4
    assert [story.state_of(one.object_id, "pacs") for one in leased] == states
    assert {one.object_id for one in leased} == set(ids)
    assert [one.object_id for one in story.lease("pacs")] == [leased[3].object_id]


def test_who_lost_a_lease_records_nothing(ledger: Ledger, story):
    (object_id,) = story.owe("pacs")
    lost = story.lease("pacs", owner="slow", lease_ms=-1)
    with ledger.write() as conn:
        assert deliveries.has_expired_leases(conn)
        assert deliveries.expire_leases(conn) == ["pacs"]
        assert not deliveries.has_expired_leases(conn)
        assert deliveries.expire_leases(conn) == []
    (taken,) = story.lease("pacs", owner="quick")
    assert taken.attempts == 0
    assert story.end(lost, owner="slow") == 0
    assert story.state_of(object_id, "pacs") is DeliveryState.LEASED
    assert story.end([taken], owner="quick") == 1
    assert story.end([taken], owner="quick") == 0
    (told,) = story.told(object_id).deliveries
    assert [line.reason for line in told.history] == ["lease_expired", None]


def test_a_running_lease_does_not_expire(ledger: Ledger, story):
    story.owe("pacs")
    story.lease("pacs")
    with ledger.write() as conn:
        assert not deliveries.has_expired_leases(conn)
        assert deliveries.expire_leases(conn) == []


def test_leases_are_extended_by_their_owner_only(ledger: Ledger, story):
    story.owe("pacs", count=2)
    ids = [one.id for one in story.lease("pacs", lease_ms=-1)]
    with ledger.write() as conn:
        assert deliveries.extend_leases(conn, "somebody", ids, HOUR_MS) == 0
        assert deliveries.extend_leases(conn, "worker", ids[:1], HOUR_MS) == 1
        assert deliveries.expire_leases(conn) == ["pacs"]
        assert deliveries.extend_leases(conn, "worker", ids, HOUR_MS) == 1


def test_what_is_given_back_keeps_its_place_and_its_attempts(ledger: Ledger, story):
    first = story.owe("pacs")
    second = story.owe("pacs")
    leased = story.lease("pacs")
    with ledger.write() as conn:
        assert deliveries.give_back(conn, "somebody", [one.id for one in leased]) == 0
        assert deliveries.give_back(conn, "worker", [one.id for one in leased]) == 2
    again = story.lease("pacs")
    assert [one.object_id for one in again] == first + second
    assert [one.attempts for one in again] == [0, 0]


def test_a_held_destination_is_not_served(ledger: Ledger, story):
    story.owe("pacs")
    with ledger.write() as conn:
        destinations.hold(conn, "pacs")
    assert story.lease("pacs") == []
    with ledger.write() as conn:
        destinations.release(conn, "pacs")
    assert len(story.lease("pacs")) == 1


def test_many_workers_never_lease_the_same_delivery(story):
    story.owe("pacs", count=200)
    leased: list[int] = []

    def work(name: str) -> None:
        while mine := story.lease("pacs", owner=name, limit=7):
            leased.extend(one.id for one in mine)
            assert story.end(mine, owner=name) == len(mine)

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(leased) == len(set(leased)) == 200


def test_the_last_of_several_concurrent_workers_settles_the_object(ledger: Ledger, story):
    """Two workers end an object's two deliveries at once: neither may overlook the other."""
    ids = story.owe("pacs", "research", count=40)
    leased = {name: story.lease(name, owner=name) for name in ("pacs", "research")}
    barrier = threading.Barrier(2)

    def work(name: str) -> None:
        for one in leased[name]:
            barrier.wait()
            story.end([one], owner=name)

    threads = [threading.Thread(target=work, args=(name,)) for name in leased]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.read() as conn:
        from router.ledger import objects

        assert set(objects.forgettable(conn, -1000, 100)) == set(ids)


class TestInterventions:
    """What a person does leaves a line of history, and never touches what is under way."""

    def change(self, story, what, chosen: DeliveryFilter, **limits: int) -> int:
        with story.ledger.write() as conn:
            changed: int = what(conn, chosen, by="cli:anna", **limits)
            return changed

    def test_hold_and_release(self, story):
        (object_id,) = story.owe("pacs", "research")
        assert self.change(story, deliveries.hold, DeliveryFilter(destination="pacs")) == 1
        assert story.lease("pacs") == []
        assert len(story.lease("research")) == 1
        assert self.change(story, deliveries.hold, DeliveryFilter()) == 0
        assert self.change(story, deliveries.release, DeliveryFilter()) == 1
        assert len(story.lease("pacs")) == 1
        history = story.told(object_id).deliveries[0].history
        assert [(line.state, line.reason, line.worker) for line in history] == [
            ("held", "held_by_operator", "cli:anna"),
            ("waiting", "released_by_operator", "cli:anna"),
        ]

    @pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.HELD])
    def test_retry_begins_anew(self, story, state):
        (object_id,) = story.owe("pacs")
        story.end(story.lease("pacs"), state, reason="A900")
        assert self.change(story, deliveries.retry, DeliveryFilter(object_id=object_id)) == 1
        (leased,) = story.lease("pacs")
        assert leased.attempts == 0
        assert leased.owed_since >= leased.created_at
        (told,) = story.told(object_id).deliveries
        assert told.delivery.finished_at is None
        assert told.delivery.reason is None

    def test_retry_hastens_what_waits_for_a_later_attempt(self, story):
        story.owe("pacs")
        story.end(story.lease("pacs"), DeliveryState.WAITING, next_attempt_in_ms=HOUR_MS)
        assert self.change(story, deliveries.retry, DeliveryFilter(destination="pacs")) == 1
        assert self.change(story, deliveries.retry, DeliveryFilter(destination="pacs")) == 0
        assert len(story.lease("pacs")) == 1

    def test_what_is_leased_or_has_ended_is_left_alone(self, story):
        story.owe("pacs", "research")
        story.lease("pacs")
        story.end(story.lease("research"))
        for what in (deliveries.retry, deliveries.hold, deliveries.release, deliveries.cancel):
            assert self.change(story, what, DeliveryFilter()) == 0

    def test_what_is_cancelled_is_owed_no_more(self, ledger: Ledger, story):
        (object_id,) = story.owe("pacs")
        story.end(story.lease("pacs"), DeliveryState.FAILED)
        assert self.change(story, deliveries.cancel, DeliveryFilter(destination="pacs")) == 1
        assert story.state_of(object_id, "pacs") is DeliveryState.CANCELLED
        with ledger.read() as conn:
            from router.ledger import objects

            assert objects.forgettable(conn, -1000, 10) == [object_id]

    def test_long_queues_are_changed_in_bounded_steps(self, story):
        story.owe("pacs", count=5)
        steps = [
            self.change(story, deliveries.cancel, DeliveryFilter(destination="pacs"), limit=2)
            for _ in range(4)
        ]
        assert steps == [2, 2, 1, 0]

    @pytest.mark.parametrize(
        ("chosen", "count"),
        [
            (DeliveryFilter(), 3),
            (DeliveryFilter(destination="pacs"), 2),
            (DeliveryFilter(states=(DeliveryState.HELD,)), 1),
            (DeliveryFilter(states=(DeliveryState.HELD, DeliveryState.WAITING)), 3),
            (DeliveryFilter(reason="A900"), 1),
            (DeliveryFilter(route="all"), 3),
            (DeliveryFilter(route="other"), 0),
            (DeliveryFilter(older_than_ms=HOUR_MS), 0),
            (DeliveryFilter(older_than_ms=-HOUR_MS), 3),
            (DeliveryFilter(sop_instance_uid="2.25.404"), 0),
            (DeliveryFilter(study_instance_uid="2.25.404"), 0),
            (DeliveryFilter(destination="pacs", states=(DeliveryState.HELD,)), 0),
        ],
    )
    def test_filters_choose_the_same_for_looking_and_for_acting(
        self, ledger: Ledger, story, chosen, count
    ):
        story.owe("pacs", count=2)
        story.owe("research")
        story.end(story.lease("research"), DeliveryState.HELD, reason="A900")
        with ledger.read() as conn:
            assert len(queries.queue_list(conn, chosen, limit=9)) == count
        assert self.change(story, deliveries.cancel, chosen) == count

    def test_an_object_is_chosen_by_each_of_its_names(self, ledger: Ledger, story):
        wanted, _other = story.owe("pacs", count=2)
        story.ledger.dispose()
        stored = story.stored(wanted)
        (told,) = story.told(wanted).deliveries
        for chosen in (
            DeliveryFilter(object_id=wanted),
            DeliveryFilter(sop_instance_uid=stored.sop_instance_uid),
            DeliveryFilter(ids=(told.delivery.id,)),
        ):
            with ledger.read() as conn:
                (found,) = queries.queue_list(conn, chosen, limit=9)
            assert found == told.delivery


def test_the_queue_is_listed_page_by_page(ledger: Ledger, story):
    story.owe("pacs", count=5)
    seen: list[int] = []
    after = 0
    with ledger.read() as conn:
        while page := queries.queue_list(conn, DeliveryFilter(), limit=2, after=after):
            seen += [one.id for one in page]
            after = page[-1].id
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)


def test_what_has_ended_is_listed_when_it_is_asked_for(ledger: Ledger, story):
    (object_id,) = story.owe("pacs")
    story.end(story.lease("pacs"))
    with ledger.read() as conn:
        assert queries.queue_list(conn, DeliveryFilter(destination="pacs"), limit=9) == []
        for chosen in (
            DeliveryFilter(object_id=object_id),
            DeliveryFilter(states=(DeliveryState.DELIVERED,)),
        ):
            (found,) = queries.queue_list(conn, chosen, limit=9)
            assert found.state is DeliveryState.DELIVERED


def test_depths_and_ages(ledger: Ledger, story):
    story.owe("pacs", count=3)
    story.owe("research")
    story.lease("pacs", limit=1)
    story.end(story.lease("research"))
    with ledger.read() as conn:
        depths = {(one.destination, one.state): one for one in queries.depths(conn)}
        summaries = {(one.destination, one.state): one for one in queries.queue_summary(conn)}
    counts = {key: depth.count for key, depth in depths.items()}
    assert counts == {
        ("pacs", DeliveryState.WAITING): 2,
        ("pacs", DeliveryState.LEASED): 1,
    }
    assert all(0 <= depth.oldest_age_ms < 60_000 for depth in depths.values())
    assert {key: summary.total for key, summary in summaries.items()} == counts
    waiting = summaries["pacs", DeliveryState.WAITING].counts
    assert waiting == (2, *([0] * len(queries.AGE_BOUNDS_MS)))
