"""Shares, preemption, windows, limits and groups in the ledger; on every database."""

import pytest
from sqlalchemy import text

from router.ledger import DeliveryState, Ledger, NewDelivery, deliveries, destinations
from router.ledger.clock import read_clock
from router.ledger.moving import Passed, has_movable, move

HOUR_MS = 3_600_000


def to(object_id: str, destination: str, **changes: object) -> NewDelivery:
    return NewDelivery(
        destination=destination,
        route="all",
        payload_id=object_id,
        **changes,  # type: ignore[arg-type]
    )


@pytest.fixture
def owe(story):
    """Owe objects with terms of their own; their ids."""

    def owe(destination: str, count: int = 1, **changes: object) -> list[str]:
        ids: list[str] = story.receive(count)
        results = [story.route(one, deliveries=(to(one, destination, **changes),)) for one in ids]
        story.record(*results)
        return ids

    return owe


def lease(ledger: Ledger, limit: int, share: int = 0) -> list[str]:
    with ledger.write() as conn:
        leased = deliveries.lease_due(
            conn, "pacs", owner="worker", limit=limit, lease_ms=60_000, share=share
        )
    return [one.object_id for one in leased]


def test_a_share_is_the_least_urgent_and_goes_first(ledger: Ledger, story):
    low = story.owe("pacs", count=3, priority=3)
    routine = story.owe("pacs", count=3)
    stat = story.owe("pacs", count=6, priority=0)
    assert lease(ledger, 4, share=1) == [low[0], *stat[:3]]
    assert lease(ledger, 1, share=1) == [low[1]]
    assert lease(ledger, 16, share=1) == [*stat[3:], *routine, low[2]]


def test_without_anything_below_it_a_share_keeps_the_order(ledger: Ledger, story):
    ids = story.owe("pacs", count=8)
    assert lease(ledger, 4, share=1) == ids[:4]


@pytest.mark.parametrize("counts", [(2, 5, 3, 3), (0, 9, 1, 0), (4, 0, 0, 2), (0, 0, 12, 1)])
@pytest.mark.parametrize(("limit", "share"), [(4, 1), (5, 2), (3, 3), (12, 5)])
def test_shares_of_any_mixture(
    ledger: Ledger, owe, counts: tuple[int, ...], limit: int, share: int
):
    """Everything is leased once; each batch is what the rule says of what is left."""
    left = [(p, one) for p, n in enumerate(counts) for one in (owe("pacs", n, priority=p) or ())]
    while left:
        main = left[: limit - share]
        least = sorted(left[len(main) :], key=lambda one: -one[0])[:share]
        lower = sorted(one for one in least if not main or one[0] > main[-1][0])
        if len(left) < limit:
            main, lower, least = left, [], []
        wanted = lower + main + [one for one in least if one not in lower]
        assert lease(ledger, limit, share) == [one for _, one in wanted]
        left = [one for one in left if one not in wanted]


def test_something_more_urgent_is_seen(ledger: Ledger, story):
    def asked(priority: int) -> bool:
        with ledger.read() as conn:
            return deliveries.has_more_urgent(conn, "pacs", priority)

    story.owe("pacs", priority=1)
    story.owe("research", priority=0)
    assert asked(2)
    assert not asked(1)
    story.end(story.lease("pacs"), DeliveryState.WAITING, next_attempt_in_ms=HOUR_MS)
    assert not asked(2)


def test_what_opens_later_is_due_later(ledger: Ledger, story, owe):
    with ledger.read() as conn:
        now = read_clock(conn)
    (later,) = owe("pacs", send_between="19:00-06:00 UTC", not_before=now + HOUR_MS)
    (past,) = owe("pacs", send_between="19:00-06:00 UTC", not_before=now - HOUR_MS)
    (leased,) = story.lease("pacs")
    assert (leased.object_id, leased.send_between) == (past, "19:00-06:00 UTC")
    (told,) = story.told(later).deliveries
    assert (told.delivery.next_attempt_at, told.delivery.reason) == (
        now + HOUR_MS,
        "outside_window",
    )


def test_a_closed_window_postpones_what_is_due_in_it_alone(ledger: Ledger, story, owe):
    night, day = "19:00-06:00 UTC", "06:00-19:00 UTC"
    owe("pacs", count=3, send_between=night)
    owe("research", send_between=night)
    (other,) = owe("pacs", send_between=day)
    (plain,) = story.owe("pacs")
    with ledger.write() as conn:
        until = read_clock(conn) + HOUR_MS
        assert deliveries.postpone(conn, "pacs", night, until=until, limit=2) == 2
        assert deliveries.postpone(conn, "pacs", night, until=until, limit=2) == 1
        assert deliveries.postpone(conn, "pacs", night, until=until, limit=2) == 0
    assert {one.object_id for one in story.lease("pacs")} == {other, plain}
    assert len(story.lease("research")) == 1


def test_who_retries_sends_now_whatever_the_window(ledger: Ledger, story, owe):
    with ledger.read() as conn:
        later = read_clock(conn) + HOUR_MS
    (waits,) = owe("pacs", send_between="19:00-06:00 UTC", not_before=later)
    with ledger.write() as conn:
        chosen = deliveries.DeliveryFilter(object_id=waits)
        assert deliveries.retry(conn, chosen, by="me") == 1
    (leased,) = story.lease("pacs")
    assert (leased.object_id, leased.send_between) == (waits, None)


def test_a_destinations_time_is_handed_out_piece_by_piece(ledger: Ledger):
    with ledger.write() as conn:
        assert destinations.reserve(conn, "pacs", 400_000) == 0
        assert 300_000 <= destinations.reserve(conn, "pacs", 500_000) <= 400_000
        assert 800_000 <= destinations.reserve(conn, "pacs", 100_000) <= 900_000
        destinations.refund(conn, "pacs", 600_000)
        assert 300_000 <= destinations.reserve(conn, "pacs", 100_000) <= 400_000
        assert destinations.reserve(conn, "research", 100_000) == 0


def down(ledger: Ledger, name: str, seconds: int) -> None:
    with ledger.write() as conn:
        destinations.mark_down(conn, name, "connect_refused", 60_000)
        conn.execute(
            text("UPDATE destinations SET down_since = down_since - :ms WHERE name = :name"),
            {"ms": seconds * 1000, "name": name},
        )


def moved(ledger: Ledger, limit: int = 100, passed: Passed | None = None) -> dict[str, int]:
    with ledger.write() as conn:
        return move(conn, {} if passed is None else passed, limit=limit)


PAIR = {"members": ("a", "b"), "move_after_ms": 60_000}


def test_what_waits_for_a_dead_member_moves_to_the_next(ledger: Ledger, story, owe):
    first, leased = owe("a", count=2, **PAIR)
    (alone,) = story.owe("a")
    story.lease("a", limit=1)
    leased, first = first, leased
    assert moved(ledger) == {}
    down(ledger, "a", 59)
    assert moved(ledger) == {}
    down(ledger, "a", 61)
    with ledger.read() as conn:
        assert has_movable(conn)
        assert 119 < destinations.down_for(conn)["a"] < 125
    assert moved(ledger) == {"b": 1}
    assert story.state_of(first, "b") is DeliveryState.WAITING
    assert story.state_of(leased, "a") is DeliveryState.LEASED
    assert story.state_of(alone, "a") is DeliveryState.WAITING
    (told,) = story.told(first).deliveries
    assert (told.history[-1].reason, told.history[-1].detail) == (
        "moved",
        "from a, down for 120 s, to b",
    )
    assert [one.object_id for one in story.lease("b")] == [first]
    assert moved(ledger) == {}


def test_what_moved_comes_back_when_its_new_member_dies(ledger: Ledger, story, owe):
    (one,) = owe("a", **PAIR)
    down(ledger, "a", 100)
    assert moved(ledger) == {"b": 1}
    down(ledger, "b", 100)
    assert moved(ledger) == {}, "both are out: it waits where it is"
    with ledger.write() as conn:
        destinations.mark_up(conn, "a")
    assert moved(ledger) == {"a": 1}
    assert story.state_of(one, "a") is DeliveryState.WAITING


def test_nothing_moves_where_another_route_owes_it_already(ledger: Ledger, story):
    (one,) = story.receive()
    both = (to(one, "a", **PAIR), to(one, "b"))
    story.record(story.route(one, deliveries=both))
    down(ledger, "a", 100)
    assert moved(ledger) == {}
    assert story.state_of(one, "a") is DeliveryState.WAITING


def test_a_backlog_moves_in_pieces_and_each_once(ledger: Ledger, story, owe):
    ids = owe("a", count=50, **PAIR)
    down(ledger, "a", 100)
    sizes = []
    while gained := moved(ledger, limit=20):
        sizes.append(gained)
    assert sizes == [{"b": 20}, {"b": 20}, {"b": 10}]
    assert sorted(one.object_id for one in story.lease("b", limit=64)) == sorted(ids)
    with ledger.read() as conn:
        assert not has_movable(conn)


def test_what_cannot_move_stands_in_nobodys_way(ledger: Ledger, story, owe):
    """Behind ten that another route owes there already, and beside a group of its own."""
    ids = story.receive(10)
    story.record(
        *(story.route(one, deliveries=(to(one, "a", **PAIR), to(one, "b"))) for one in ids)
    )
    behind = owe("a", count=3, **PAIR)
    (beside,) = owe("a", members=("a", "c"), move_after_ms=60_000)
    down(ledger, "a", 100)
    passed: Passed = {}
    rounds = [moved(ledger, 8, passed) for _ in range(4)]
    assert rounds == [{"c": 1}, {"b": 2}, {"b": 1}, {}]
    assert {one.object_id for one in story.lease("c")} == {beside}
    assert {one.object_id for one in story.lease("b")} == {*ids, *behind}
    assert moved(ledger, 8, passed) == {}


def test_who_is_down_and_has_nothing_to_do_is_to_be_probed(ledger: Ledger, story, owe):
    def idle() -> list[str]:
        with ledger.read() as conn:
            return destinations.down_and_idle(conn)

    for name in ("a", "b", "c"):
        down(ledger, name, 100)
    assert idle() == []
    owe("b")
    with ledger.write() as conn:
        for name in ("a", "b", "c"):
            destinations.probe_now(conn, name)
        destinations.hold(conn, "c")
    assert idle() == ["a"]
    with ledger.write() as conn:
        assert destinations.begin_probe(conn, "a", "me", 60_000)
    assert idle() == []
