"""Flow, with real processes: what overtakes, who takes over, when things are sent, what waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import yaml
from sqlalchemy import create_engine, text

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.recording import Answer, RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import dicom_router, free_port, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

ALONE = pytest.mark.parametrize("deployment", ["one process"], indirect=True)
"""What a cluster does no otherwise."""

BACKLOG = 100_000
_NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {BACKLOG})"
_OBJECTS = """
INSERT INTO objects (id, received_at, recorded_at, sop_class_uid, sop_instance_uid,
    transfer_syntax_uid, size, data_set_offset, checksum, state, priority, generation)
{numbers} SELECT {id}, 1700000000000 + i, 1700000000000 + i, o.sop_class_uid,
    '2.25.1.' || i, o.transfer_syntax_uid, o.size, o.data_set_offset, o.checksum, 'routed', 2, 0
    FROM n JOIN objects o ON o.id = :payload
"""
_DELIVERIES = """
INSERT INTO deliveries (object_id, payload_id, destination, route, rules_version, priority, state,
    attempts, next_attempt_at, created_at, owed_since, generation)
{numbers} SELECT {id}, :payload, 'pacs', 'all', 'v1', 2, 'waiting', 0,
    1700000000000 + i, 1700000000000 + i, 1700000000000 + i, 0 FROM n
"""
_ID = {"sqlite": "printf('%032x', i)", "postgresql": "lpad(to_hex(i), 32, '0')"}


def owe(router: RouterUnderTest, payload: object) -> None:
    """A backlog of deliveries, each of another object; all with the bytes of this one."""
    engine = create_engine(router.ledger_url)
    with engine.begin() as connection:
        for statement in (_OBJECTS, _DELIVERIES):
            sql = statement.format(numbers=_NUMBERS, id=_ID[engine.dialect.name])
            connection.execute(text(sql), {"payload": payload})
    engine.dispose()


def send(
    router: RouterUnderTest, count: int, template: bytes | None = None, title: str = "CT01"
) -> set[str]:
    """So many objects of one study, acknowledged; of a study of its own without a template."""
    with OneByOne(router.port, title=title) as line:
        line.send_copies(template or slice_template(), count)
    return set(line.acknowledged)


def hours(opens: float, closes: float) -> dict[str, str]:
    """A window from so many hours from now until so many."""
    now = datetime.now(UTC)
    ends = [(now + timedelta(hours=at)).strftime("%H:%M") for at in (opens, closes)]
    return {"from": ends[0], "to": ends[1], "zone": "UTC"}


def command(router: RouterUnderTest, *words: str) -> str:
    done = dicom_router(*words, "--config", router.folder / "site.yaml")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stat_study_overtakes_a_hundred_thousand_deliveries_within_two_seconds(
    tmp_path: Path,
) -> None:
    routes = [
        {
            "name": "stat",
            "when": {"source.calling_ae_title": "STAT"},
            "send_to": "pacs",
            "priority": "stat",
            "stop": True,
        },
        {"name": "all", "send_to": "pacs"},
    ]
    arrived: dict[str, float] = {}

    def answer(uid: str) -> Answer:
        arrived.setdefault(uid, time.monotonic())
        return Answer(delay=0.05)

    with RecordingScp(answer, keep=lambda _data: b"") as pacs:
        site = {"destinations": [dicom("pacs", pacs.port)], "routes": routes}
        with RouterUnderTest(tmp_path, **site) as router:  # type: ignore[arg-type]
            (first, *_) = send(router, 1)
            router.wait_until_settled([first])
            ((payload,),) = router.ask("SELECT id FROM objects WHERE sop_instance_uid = ?", first)
            owe(router, payload)
            attempts = pacs.attempts.total()
            wait_until(lambda: pacs.attempts.total() > attempts + 20, "the backlog to flow")
            delays = []
            for _ in range(3):
                acknowledged = send(router, 2, title="STAT")
                then = time.monotonic()
                wait_until(partial(acknowledged.issubset, arrived), "the stat study", 30)
                delays.append(max(arrived[uid] for uid in acknowledged) - then)
            waiting = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"
            assert router.count(waiting) > BACKLOG / 2
    assert max(delays) < 2.0


@ALONE
def test_the_second_of_a_pair_takes_over_and_the_first_takes_back(tmp_path: Path) -> None:
    port = free_port()
    routes = [{"name": "pair", "send_to": [{"failover": ["a", "b"], "after": "2s"}]}]
    with RecordingScp() as b:
        destinations = [dicom("a", port), dicom("b", b.port)]
        with RouterUnderTest(tmp_path, destinations=destinations, routes=routes) as router:
            first = send(router, 5)
            wait_until(lambda: b.arrivals.data_sets.keys() >= first, "the second to take over", 30)
            router.wait_until_settled(first)
            assert router.count("SELECT count(*) FROM delivery_events WHERE reason = 'moved'") > 0
            with RecordingScp(port=port) as a:
                up = "SELECT count(*) FROM destinations WHERE name = 'a' AND state = 'up'"
                wait_until(lambda: router.count(up) == 1, "the first to be found up again", 30)
                second = send(router, 5)
                router.wait_until_settled(first | second)
                of_a, of_b = dict(a.arrivals.data_sets), dict(b.arrivals.data_sets)
    assert (set(of_a), set(of_b)) == (second, first)
    assert all(len(copies) == 1 for copies in (*of_a.values(), *of_b.values()))


@ALONE
def test_a_study_stays_with_one_member_and_all_members_work(tmp_path: Path) -> None:
    routes = [{"name": "nodes", "send_to": [{"balance": ["n1", "n2"]}]}]
    with RecordingScp() as n1, RecordingScp() as n2:
        destinations = [dicom("n1", n1.port), dicom("n2", n2.port)]
        with RouterUnderTest(tmp_path, destinations=destinations, routes=routes) as router:
            studies = [send(router, 3) for _ in range(10)]
            router.wait_until_settled(set().union(*studies))
        nodes = [set(node.arrivals.data_sets) for node in (n1, n2)]
    assert nodes[0].isdisjoint(nodes[1])
    for study in studies:
        assert study <= nodes[0] or study <= nodes[1]
    assert all(nodes)


@ALONE
def test_what_waits_for_its_time_goes_when_it_has_come(tmp_path: Path) -> None:
    routes: list[dict[str, object]] = [
        {"name": "night", "send_to": "night", "between": hours(2, 3)},
        {"name": "scheduled", "send_to": "scheduled"},
        {"name": "now", "send_to": "now", "between": hours(-1, 1)},
    ]
    with RecordingScp() as night, RecordingScp() as scheduled, RecordingScp() as now:
        destinations = [
            dicom("night", night.port),
            {**dicom("scheduled", scheduled.port), "schedule": hours(2, 3)},
            dicom("now", now.port),
        ]
        with RouterUnderTest(tmp_path, destinations=destinations, routes=routes) as router:
            sent = send(router, 3)
            wait_until(lambda: now.arrivals.data_sets.keys() == sent, "what may go")
            pause(1.5)
            assert not night.arrivals.data_sets
            assert not scheduled.arrivals.data_sets
            assert "waits for its schedule until" in command(router, "queue")
            assert "outside_window" in command(router, "queue", "list", "-d", "night")
            command(router, "queue", "retry", "--destination", "night")
            path = router.folder / "site.yaml"
            site = yaml.safe_load(path.read_text())
            site["destinations"][1]["schedule"] = hours(-1, 1)
            path.write_text(yaml.safe_dump(site))
            router.wait_until_settled(sent, 60)
        assert night.arrivals.data_sets.keys() == sent
        assert scheduled.arrivals.data_sets.keys() == sent


def test_what_is_waited_for_survives_a_crash_and_goes_once(tmp_path: Path) -> None:
    routes: list[dict[str, object]] = [
        {"name": "all", "send_to": "pacs"},
        {"name": "whole series", "send_to": "viewer", "wait_for": {"series": "2s"}},
        {"name": "whole study", "send_to": "ai", "wait_for": {"study": "1h"}},
    ]
    template = slice_template()
    with RecordingScp() as pacs, RecordingScp() as viewer, RecordingScp() as ai:
        ports = {"pacs": pacs.port, "viewer": viewer.port, "ai": ai.port}
        destinations = [dicom(name, port) for name, port in ports.items()]
        with RouterUnderTest(tmp_path, destinations=destinations, routes=routes) as router:
            sent = send(router, 5, template)
            wait_until(lambda: pacs.arrivals.data_sets.keys() >= sent, "the other route")
            router.kill()
            router.start()
            wait_until(lambda: viewer.arrivals.data_sets.keys() >= sent, "the quiet time", 60)
            assert not ai.arrivals.data_sets
            assert "whole study" in command(router, "bundles", "list")
            command(router, "bundles", "close", "--all")
            wait_until(lambda: ai.arrivals.data_sets.keys() >= sent, "the study", 60)
            bundled = "SELECT count(*) FROM objects WHERE state = 'bundled'"
            wait_until(lambda: router.count(bundled) == 0, "the bundles to end")
            late = send(router, 2, template)
            wait_until(lambda: ai.arrivals.data_sets.keys() >= late, "what came late", 60)
            router.wait_until_settled(sent | late, 60)
        for receiver in (viewer, ai):
            copies = receiver.arrivals.data_sets
            assert copies.keys() == sent | late
            assert all(len(received) == 1 for received in copies.values())
