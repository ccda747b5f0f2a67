"""A dead destination's backlog: rows, not time. Plans and timings on every database."""

import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, create_engine, text

from router.ledger import (
    DeliveryFilter,
    DeliveryState,
    Ledger,
    bundle_views,
    bundles,
    deliveries,
    destinations,
    history,
    leasing,
    moving,
    objects,
    queries,
    queues,
)
from router.ledger.left_behind import left_behind
from router.ledger.queries import TraceBy
from tests.contracts.conftest import Story
from tests.contracts.plans import explained

HOUR_MS = 3_600_000
PLAN_ROWS = 100_000
"""Enough that no planner prefers to read a whole table for a handful of rows, and that whoever
reads the backlog is told by the rows alone."""
MOST = {"postgresql": 4_000, "sqlite": 60}
"""Rows, and thousands of steps, that one statement may take for its 50 deliveries."""

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})",
    "postgresql": "WITH n AS (SELECT generate_series(1::bigint, {count}) AS i)",
}
_ID = {"sqlite": "printf('%032x', i)", "postgresql": "lpad(to_hex(i), 32, '0')"}
_OBJECTS = """
INSERT INTO objects (id, received_at, recorded_at, sop_class_uid, sop_instance_uid,
    transfer_syntax_uid, study_instance_uid, series_instance_uid, patient_id, accession_number,
    size, data_set_offset, checksum, state, priority, generation)
{numbers} SELECT {id}, i, 1700000000000 + i, '1.2.840.10008.5.1.4.1.1.2', '2.25.1.' || i,
    '1.2.840.10008.1.2.1', '2.25.2.' || (i / 200), '2.25.3.' || (i / 50), 'P' || (i / 300),
    'A' || (i / 200), 525000, 500, 'c0ffee', 'routed', 2, 0 FROM n
"""
_DELIVERIES = """
INSERT INTO deliveries (object_id, payload_id, destination, route, rules_version, priority, state,
    attempts, next_attempt_at, created_at, owed_since, generation, members, move_after_ms,
    send_between)
{numbers} SELECT {id}, {id}, 'dead', 'all', 'v1', 2, 'waiting', 0, 1700000000000 + i,
    1700000000000 + i, 1700000000000 + i, 0, 'dead gone', 60000,
    CASE WHEN i > {count} - 10 THEN 'night' END FROM n
"""
_OWED_THERE = """
INSERT INTO deliveries (object_id, payload_id, destination, route, rules_version, priority, state,
    attempts, next_attempt_at, created_at, owed_since, generation)
{numbers} SELECT {id}, {id}, 'gone', 'too', 'v1', 2, 'delivered', 1, i, i, i, 0 FROM n
"""
_EVENTS = """
INSERT INTO delivery_events (delivery_id, at, state, reason)
{numbers} SELECT i, i, 'waiting', 'connect_failed' FROM n
"""
_DECISIONS = """
INSERT INTO object_events (object_id, at, kind) {numbers} SELECT {id}, i, 'routed' FROM n
"""


_BUNDLED = """
INSERT INTO bundles (id, route, level, uid, state, objects, opened_at, last_at, due_at, closed_at,
    again)
{numbers} SELECT i, 'all', 'study', '2.25.2.' || i, CASE WHEN i > {count} - 20 THEN 'open'
    ELSE 'closed' END, 1, 1700000000000 + i, 1700000000000 + i, 9900000000000,
    CASE WHEN i > {count} - 20 THEN NULL ELSE 1700000000000 + i END, 0 = 1 FROM n
"""
_MEMBERS = """
INSERT INTO bundle_members (bundle_id, object_id, state, joined_at)
{numbers} SELECT i, {id}, CASE WHEN i > {count} - 30 THEN 'waiting' ELSE 'routed' END, i FROM n
"""


def fill(ledger: Ledger, count: int, *more: str) -> None:
    """A weekend's deliveries to a group whose members are down, the first half also owed to the
    second of them by another route, and one destination that is up; `more`: statements of that
    kind."""
    numbers = _NUMBERS[ledger.dialect]
    parts = {"numbers": numbers.format(count=count), "id": _ID[ledger.dialect], "count": count}
    some = parts | {"numbers": numbers.format(count=count // 2)}
    with ledger.write() as conn:
        conn.execute(
            text("SET LOCAL statement_timeout = 0")
        ) if conn.dialect.name != "sqlite" else 0
        for statement in (_OBJECTS, _DELIVERIES, _EVENTS, _DECISIONS, *more):
            conn.execute(text(statement.format(**parts)))
        conn.execute(text(_OWED_THERE.format(**some)))
        destinations.ensure(conn, ["live"])
        for name in ("dead", "gone"):
            destinations.mark_down(conn, name, "connect_failed", HOUR_MS)
        conn.execute(text("UPDATE destinations SET down_since = 1 WHERE state = 'down'"))
    if ledger.dialect == "postgresql":  # what autovacuum does in a running system
        engine = create_engine(ledger.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            conn.execute(text("VACUUM ANALYZE"))
        engine.dispose()


def _work(conn: Connection, story) -> None:
    """Everything that runs all day long, for the living destination."""
    leased = deliveries.lease_due(conn, "live", owner="w", limit=50, lease_ms=HOUR_MS)
    assert leased
    deliveries.extend_leases(conn, "w", [one.id for one in leased], HOUR_MS)
    deliveries.give_back(conn, "w", [leased[0].id])
    outcomes = [
        deliveries.DeliveryOutcome(delivery_id=one.id, attempts=1, state=DeliveryState.DELIVERED)
        for one in leased
    ]
    assert deliveries.record_outcomes(conn, "w", outcomes) == len(leased) - 1
    deliveries.has_due(conn, "live")


def _sweep(conn: Connection, story) -> None:
    assert "dead" not in destinations.with_due_work(conn)
    deliveries.has_expired_leases(conn)
    deliveries.expire_leases(conn)
    objects.received_not_routed(conn, 500, 0)
    queries.object_counts(conn)
    objects.forgettable(conn, 0, 100)


def _intake(conn: Connection, story) -> None:
    assert len(objects.known_ids(conn, "0" * 28 + "01")) == 256
    objects.is_known(conn, "2.25.1.77")
    objects.receptions_since(conn, ["2.25.1.77", "2.25.1.78"], HOUR_MS)
    (stored,) = objects.by_ids(conn, [f"{77:032x}"])
    assert not objects.has_earlier_copy(conn, stored)
    objects.insert_received(conn, [story.received()])
    objects.record_routing(conn, [story.route(stored.id, "live")])


def _trace(conn: Connection, story) -> None:
    for by, value in {
        TraceBy.SOP_INSTANCE_UID: "2.25.1.777",
        TraceBy.STUDY_INSTANCE_UID: "2.25.2.7",
        TraceBy.OBJECT_ID: f"{777:032x}",
        TraceBy.ACCESSION_NUMBER: "A7",
        TraceBy.PATIENT_ID: "P7",
    }.items():
        assert queries.trace(conn, value, by, limit=10)


@pytest.fixture(scope="session")
def backlogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ledger]]:
    """Filled ledgers by engine, for tests that keep nothing of what they write."""
    made: dict[str, Ledger] = {}
    yield made
    for ledger in made.values():
        ledger.dispose()


@pytest.fixture
def backlogged(
    engine_name: str,
    backlogs: dict[str, Ledger],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ledger:
    """A dead destination's backlog, and a little for a living one: use `read`, write nothing."""
    if engine_name not in backlogs:
        if engine_name == "sqlite":
            path = tmp_path_factory.mktemp("backlog") / "ledger.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
            made = Ledger(f"sqlite:///{path}")
        else:
            server = request.getfixturevalue("postgresql")
            made = Ledger(server.new_database(request.getfixturevalue("postgresql_template")))
        fill(made, PLAN_ROWS, _BUNDLED, _MEMBERS)
        Story(made).owe("live", count=60)
        backlogs[engine_name] = made
    return backlogs[engine_name]


MODES = {"sqlite": ["auto"], "postgresql": ["force_custom_plan", "force_generic_plan"]}
"""Plans for the values at hand, and those that a prepared statement keeps for any values."""


def _turns(conn: Connection, story) -> None:
    """Who goes first, who goes elsewhere, who must wait for its turn."""
    assert not leasing.has_more_urgent(conn, "live", 2)
    assert len(leasing.lease_due(conn, "live", owner="w", limit=50, lease_ms=1, share=5)) == 50
    destinations.reserve(conn, "live", 100)
    assert not moving.has_movable(conn)
    assert moving.move(conn, {}, limit=50) == {}


def _end_history(conn: Connection, story) -> None:
    objects.mark_forgotten(conn, [f"{number:032x}" for number in range(1, 51)])
    assert history.end(conn, -1, 50) == 50


def _steer(conn: Connection, story) -> None:
    """What a person does to a part of the backlog: as much work as rows are changed."""
    chosen = DeliveryFilter(destination="dead")
    assert deliveries.hold(conn, chosen, by="cli:anna", limit=50) == 50
    assert deliveries.release(conn, chosen, by="cli:anna", limit=50) == 50
    deliveries.cancel(conn, DeliveryFilter(object_id=f"{77:032x}"), by="cli:anna")


def _move(conn: Connection, story) -> None:
    """A member is back: what it is owed already, and what comes to it."""
    destinations.mark_up(conn, "gone")
    assert moving.has_movable(conn)
    passed: moving.Passed = {}
    assert moving.move(conn, passed, limit=50) == {}
    (group,) = passed
    passed[group] += PLAN_ROWS // 2
    assert moving.move(conn, passed, limit=50) == {"gone": 50}


def _postpone(conn: Connection, story) -> None:
    """Those that wait for their window are behind all others."""
    assert deliveries.postpone(conn, "dead", "night", until=1, limit=50) == 0


def _measure(conn: Connection, story) -> None:
    """But for the depths, which are counted."""
    found = queues.oldest_waiting(conn, "dead")
    assert {one.since - 1_700_000_000_000 for one in found} == {1}


def _bundle(conn: Connection, story) -> None:
    """After the closed bundles of a month a few open ones, and ten whose tickets were lost."""
    assert len(left_behind(conn, limit=50, older_than_ms=10_000)) == 10
    assert not bundles.has_due(conn)
    assert bundles.close_due(conn, limit=10) == []
    assert bundle_views.open_counts(conn) == (20, 20)
    bundle_views.drop_old(conn, keep_ms=HOUR_MS * 24 * 365 * 60, limit=200)


DAILY = [
    _work,
    _turns,
    _sweep,
    _intake,
    _trace,
    _end_history,
    _steer,
    _move,
    _postpone,
    _measure,
    _bundle,
]


@pytest.mark.parametrize("act", DAILY)
def test_daily_work_is_the_same_whatever_waits(backlogged: Ledger, act):
    """No table is read from end to end, and of the backlog only what is asked for is looked at."""
    for mode in MODES[backlogged.dialect]:
        with backlogged.read() as conn, explained(conn, mode) as plans:
            act(conn, Story(backlogged))
        assert plans.lines
        assert plans.laborious(MOST[backlogged.dialect]) == []
        if act is not _steer:  # the first 50 rows of a table are quickly found there
            assert plans.whole_tables() == []


def test_the_backlog_itself_is_leased_in_the_order_of_the_index(backlogged: Ledger):
    """When the archive is back: a batch costs a batch, and nothing is sorted."""
    for mode in MODES[backlogged.dialect]:
        with backlogged.read() as conn, explained(conn, mode) as plans:
            destinations.mark_up(conn, "dead")
            assert "dead" in destinations.with_due_work(conn)
            leased = deliveries.lease_due(conn, "dead", owner="w", limit=50, lease_ms=HOUR_MS)
        assert len(leased) == 50
        assert plans.whole_tables() == []
        assert plans.laborious(MOST[backlogged.dialect]) == []


def test_a_whole_table_would_be_noticed(backlogged: Ledger):
    by_table = "SELECT count(*) FROM deliveries WHERE route = 'all'"
    by_index = "SELECT count(*) FROM deliveries WHERE destination = 'dead' AND state = 'waiting'"
    with backlogged.read() as conn, explained(conn) as plans:
        conn.execute(text(by_table))
        conn.execute(text(by_index))
    assert len(plans.whole_tables()) == 1
    assert len(plans.laborious(MOST[backlogged.dialect])) == 2


def test_depths_are_counted_by_the_index_alone(backlogged: Ledger):
    with backlogged.read() as conn, explained(conn) as plans:
        depth = queries.depths(conn)[0]
    assert (depth.destination, depth.count) == ("dead", PLAN_ROWS)
    index = {
        "sqlite": "USING COVERING INDEX ix_deliveries_open",
        "postgresql": "Index Only Scan deliveries ix_deliveries_open",
    }
    assert any(index[backlogged.dialect] in line for line in plans.lines)


def timed(act: Callable[[], object]) -> float:
    """Seconds of the quickest of three runs: what the machine does besides does not count."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return min(taken)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_million_waiting_deliveries_slow_nobody_down(ledger: Ledger, story):
    fill(ledger, 1_000_000 if ledger.dialect == "sqlite" else 300_000)
    story.owe("live", count=200)

    def ask(question: Callable[[Connection], object]) -> float:
        def act() -> None:
            with ledger.write() as conn:
                question(conn)

        return timed(act)

    assert ask(destinations.with_due_work) < 0.1
    assert ask(queries.depths) < 1
    assert ask(lambda conn: queries.trace(conn, "2.25.1.77777", TraceBy.SOP_INSTANCE_UID)) < 0.1
    assert ask(lambda conn: queries.trace(conn, "2.25.1.77777")) < 0.1  # whatever it may be
    assert timed(lambda: story.end(story.lease("live", limit=50))) < 0.1
    assert len(story.lease("live", limit=100)) == 50
    again = Ledger(ledger.url)

    def start() -> None:
        again.check()
        with again.write() as conn:
            _sweep(conn, story)
            queries.depths(conn)

    assert timed(start) < 2
    again.dispose()
    chosen = DeliveryFilter(destination="dead")
    with ledger.write() as conn:
        assert deliveries.cancel(conn, chosen, by="cli:anna", limit=500) == 500
