"""Destinations' health and slots, leadership, rule versions; on every database."""

import threading

import pytest
from sqlalchemy import text

from router.ledger import Ledger, deliveries, destinations, leases, versions

HOUR_MS = 3_600_000


def due(ledger: Ledger) -> list[str]:
    with ledger.read() as conn:
        return destinations.with_due_work(conn)


def test_a_destination_is_up_until_it_is_known_to_be_down(ledger: Ledger):
    with ledger.write() as conn:
        assert destinations.health(conn, "pacs").up
        assert destinations.all_health(conn) == []
        destinations.ensure(conn, ["pacs", "research"])
        destinations.ensure(conn, ["pacs"])
        destinations.ensure(conn, [])
        assert [one.name for one in destinations.all_health(conn)] == ["pacs", "research"]
        health = destinations.health(conn, "pacs")
    assert (health.up, health.held, health.failures, health.probe_due) == (True, False, 0, False)
    assert health.probe_in_ms is None


def test_an_outage_that_many_notice_counts_once(ledger: Ledger):
    with ledger.write() as conn:
        first = destinations.mark_down(conn, "pacs", "connect_failed", HOUR_MS)
        second = destinations.mark_down(conn, "pacs", "timed_out", 2 * HOUR_MS)
    assert (first.up, first.failures, first.probe_due) == (False, 1, False)
    assert (second.failures, second.next_probe_at) == (1, first.next_probe_at)
    assert second.down_since == first.down_since
    assert second.probe_in_ms is not None
    assert 0 < second.probe_in_ms <= HOUR_MS


def test_each_failed_probe_counts(ledger: Ledger):
    with ledger.write() as conn:
        first = destinations.mark_down(conn, "pacs", "connect_failed", -1)
        assert first.probe_due
        assert first.probe_in_ms == 0
        second = destinations.mark_down(conn, "pacs", "connect_failed", HOUR_MS)
        assert (second.failures, second.probe_due) == (2, False)
        assert destinations.mark_up(conn, "pacs")
        assert not destinations.mark_up(conn, "pacs")
        health = destinations.health(conn, "pacs")
    assert (health.up, health.failures, health.down_since, health.reason) == (True, 0, None, None)


def test_one_probe_at_a_time(ledger: Ledger):
    with ledger.write() as conn:
        assert not destinations.begin_probe(conn, "pacs", "a", HOUR_MS)
        destinations.mark_down(conn, "pacs", "connect_failed", HOUR_MS)
        assert not destinations.begin_probe(conn, "pacs", "a", HOUR_MS)
        assert destinations.probe_now(conn, "pacs")
        assert destinations.begin_probe(conn, "pacs", "a", HOUR_MS)
        assert not destinations.begin_probe(conn, "pacs", "b", HOUR_MS)
        destinations.mark_down(conn, "pacs", "connect_failed", -1)
        assert destinations.begin_probe(conn, "pacs", "b", -1)
        assert destinations.begin_probe(conn, "pacs", "c", HOUR_MS)
        destinations.mark_up(conn, "pacs")
        assert not destinations.begin_probe(conn, "pacs", "d", HOUR_MS)
        assert not destinations.probe_now(conn, "pacs")


def test_a_person_who_asks_again_and_again_does_not_make_waits_longer(ledger: Ledger):
    with ledger.write() as conn:
        for _ in range(5):
            destinations.mark_down(conn, "pacs", "connect_failed", -1)
        assert destinations.health(conn, "pacs").failures > 1
        destinations.probe_now(conn, "pacs")
        assert destinations.health(conn, "pacs").failures == 0
        assert destinations.mark_down(conn, "pacs", "connect_failed", -1).failures == 1


def test_bells_ring_where_work_is_due(ledger: Ledger, story):
    with ledger.write() as conn:
        destinations.ensure(conn, ["idle", "pacs", "research"])
    assert due(ledger) == []
    story.owe("pacs", priority=0)
    story.owe("research", priority=3)
    assert due(ledger) == ["pacs", "research"]
    leased = story.lease("pacs")
    assert due(ledger) == ["research"]
    with ledger.write() as conn:
        deliveries.give_back(conn, "worker", [one.id for one in leased])
        destinations.hold(conn, "pacs")
    assert due(ledger) == ["research"]


def test_a_destination_that_nobody_announced_is_rung_for(ledger: Ledger, story):
    story.owe("new")
    assert due(ledger) == ["new"]


def test_no_bell_for_a_dead_destination_until_a_probe_is_due(ledger: Ledger, story):
    story.owe("pacs", count=3)
    with ledger.write() as conn:
        destinations.mark_down(conn, "pacs", "connect_failed", HOUR_MS)
    assert due(ledger) == []
    with ledger.write() as conn:
        destinations.probe_now(conn, "pacs")
    assert due(ledger) == ["pacs"]
    with ledger.write() as conn:
        destinations.begin_probe(conn, "pacs", "a", HOUR_MS)
    assert due(ledger) == []
    with ledger.write() as conn:
        destinations.mark_up(conn, "pacs")
    assert due(ledger) == ["pacs"]


class TestSlots:
    """Permissions to work for a destination, counted across the cluster."""

    def take(self, ledger: Ledger, owner: str, slots: int = 2, lease_ms: int = HOUR_MS):
        with ledger.write() as conn:
            return destinations.take_slot(conn, "pacs", slots, owner, lease_ms)

    def test_no_more_than_there_are(self, ledger: Ledger):
        taken = [self.take(ledger, f"worker-{n}") for n in range(3)]
        assert taken == [0, 1, None]
        assert self.take(ledger, "worker-3", slots=3) == 2
        with ledger.write() as conn:
            assert destinations.take_slot(conn, "research", 1, "worker-0", HOUR_MS) == 0

    def test_a_smaller_number_of_slots_holds_at_once(self, ledger: Ledger):
        assert [self.take(ledger, "w", slots=3) for _ in range(3)] == [0, 1, 2]
        with ledger.write() as conn:
            destinations.free_slot(conn, "pacs", 2, "w")
        assert self.take(ledger, "w", slots=2) is None

    def test_a_freed_slot_is_taken_again(self, ledger: Ledger):
        assert self.take(ledger, "a", slots=1) == 0
        with ledger.write() as conn:
            destinations.free_slot(conn, "pacs", 0, "somebody")
        assert self.take(ledger, "b", slots=1) is None
        with ledger.write() as conn:
            destinations.free_slot(conn, "pacs", 0, "a")
        assert self.take(ledger, "b", slots=1) == 0

    def test_a_lost_workers_slot_is_taken_over(self, ledger: Ledger):
        assert self.take(ledger, "lost", slots=1, lease_ms=-1) == 0
        assert self.take(ledger, "next", slots=1) == 0
        with ledger.write() as conn:
            assert not destinations.keep_slot(conn, "pacs", 0, "lost", HOUR_MS)
            assert destinations.keep_slot(conn, "pacs", 0, "next", HOUR_MS)

    def test_who_keeps_a_slot_has_it(self, ledger: Ledger):
        assert self.take(ledger, "a", slots=1, lease_ms=-1) == 0
        with ledger.write() as conn:
            assert destinations.keep_slot(conn, "pacs", 0, "a", HOUR_MS)
        assert self.take(ledger, "b", slots=1) is None

    def test_a_crowd_gets_exactly_as_many_as_there_are(self, ledger: Ledger):
        taken: list[int | None] = []
        barrier = threading.Barrier(6)

        def work(name: str) -> None:
            barrier.wait()
            taken.append(self.take(ledger, name, slots=4))

        threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        numbers = [number for number in taken if number is not None]
        assert len(numbers) == len(set(numbers)) <= 4
        while (number := self.take(ledger, "late", slots=4)) is not None:
            numbers.append(number)
        assert sorted(numbers) == [0, 1, 2, 3]


def test_one_leads(ledger: Ledger):
    with ledger.write() as conn:
        assert leases.lead(conn, "conductor", "a", HOUR_MS)
        assert leases.lead(conn, "conductor", "a", HOUR_MS)
        assert not leases.lead(conn, "conductor", "b", HOUR_MS)
        assert leases.lead(conn, "something else", "b", HOUR_MS)
        leases.resign(conn, "conductor", "b")
        assert not leases.lead(conn, "conductor", "b", HOUR_MS)
        leases.resign(conn, "conductor", "a")
        assert leases.lead(conn, "conductor", "b", -1)
        assert leases.lead(conn, "conductor", "a", HOUR_MS)


def test_a_process_that_ends_before_its_drains_do_gives_back_what_they_hold(ledger, story):
    """And what others hold stays theirs, however much alike their names are."""
    story.owe("pacs", count=3)
    story.owe("dead")
    (one,), (two,) = story.lease("pacs", "node_a-7/1", 1), story.lease("pacs", "node_a-7/2", 1)
    (other,) = story.lease("pacs", "nodeXa-7/3", 1)
    with ledger.write() as conn:
        assert destinations.take_slot(conn, "pacs", 2, "node_a-7/1", HOUR_MS) == 0
        assert destinations.take_slot(conn, "pacs", 2, "nodeXa-7/3", HOUR_MS) == 1
        destinations.mark_down(conn, "dead", "connect_failed", -1)
        assert destinations.begin_probe(conn, "dead", "node_a-7/2", HOUR_MS)
        assert leases.abandon(conn, "node_a-7/") == 2
        assert leases.abandon(conn, "node_a-7/") == 0
        assert destinations.take_slot(conn, "pacs", 2, "next", HOUR_MS) == 0
        assert destinations.take_slot(conn, "pacs", 2, "next", HOUR_MS) is None
        assert destinations.begin_probe(conn, "dead", "next", HOUR_MS)
    assert {again.id for again in story.lease("pacs")} == {one.id, two.id}
    assert [again.attempts for again in (one, two)] == [0, 0]
    assert story.end([other], owner="nodeXa-7/3") == 1


@pytest.mark.parametrize("texts", [{}, {"a.yaml": "routes: []\n", "b.yaml": "é\n"}])
def test_rules_are_read_back_as_they_were(ledger: Ledger, texts):
    with ledger.write() as conn:
        assert versions.get(conn, "v1") is None
        versions.activate(conn, "v1", texts)
    with ledger.write() as conn:
        versions.activate(conn, "v2", {})
    with ledger.read() as conn:
        found = versions.get(conn, "v1")
    assert found is not None
    assert found.texts == texts


def test_the_version_in_force_is_the_newest(ledger: Ledger):
    for version in ("v1", "v2", "v1"):
        with ledger.write() as conn:
            conn.execute(text("UPDATE rule_versions SET activated_at = activated_at - 1000"))
            versions.activate(conn, version, {})
    with ledger.read() as conn:
        newest, before = versions.newest_first(conn)
    assert (newest.version, before.version) == ("v1", "v2")
    assert newest.activated_at > before.activated_at
