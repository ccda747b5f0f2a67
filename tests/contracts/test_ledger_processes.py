"""Several processes on one PostgreSQL: nothing is leased twice, no slot or lead is held twice,
and whoever is killed, process or backend, leaves nothing behind that stays."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from router.ledger import Ledger, queries
from tests.contracts.conftest import Story

ROOT = Path(__file__).parents[2]
OWED = 400
Told = list[dict[str, Any]]


@pytest.fixture
def url(postgresql, postgresql_template) -> URL:
    made: URL = postgresql.new_database(postgresql_template)
    ledger = Ledger(made)
    Story(ledger).owe("pacs", count=OWED)
    ledger.dispose()
    return made


def begin(url: URL, name: str, lease_ms: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contracts.ledger_worker"]
    command += [url.render_as_string(hide_password=False), name, str(lease_ms)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def play(
    url: URL, lease_ms: int, disturb: Callable[[list[subprocess.Popen[str]]], None]
) -> list[Told]:
    """Four processes that begin together, until nothing is owed; what each told."""
    running = [begin(url, f"worker-{number}", lease_ms) for number in range(4)]
    try:
        for process in running:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        disturb(running)
        ended = [process.communicate(timeout=60)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    return [
        [json.loads(line) for line in told.splitlines() if line.endswith("}")] for told in ended
    ]


def every(told: list[Told], kind: str) -> Told:
    return [one for lines in told for one in lines if one["kind"] == kind]


def overlapping(spans: list[tuple[int, int]]) -> list[Any]:
    """Pairs that were held at once. The clock's milliseconds may touch."""
    ordered = sorted(spans)
    return [pair for pair in itertools.pairwise(ordered) if pair[1][0] < pair[0][1]]


def slots(told: list[Told]) -> list[Any]:
    held: dict[int, list[tuple[int, int]]] = {}
    for one in every(told, "slot"):
        held.setdefault(one["n"], []).append((one["taken"], one["freed"]))
    assert set(held) <= {0, 1}
    return [pair for spans in held.values() for pair in overlapping(spans)]


def leads(told: list[Told]) -> list[Any]:
    return overlapping([(one["since"], one["until"]) for one in every(told, "led")])


def assert_all_delivered(url: URL) -> None:
    ledger = Ledger(url)
    with ledger.read() as conn:
        assert queries.depths(conn) == []
        count = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"
        assert conn.execute(text(count)).scalar() == OWED
    ledger.dispose()


def test_nothing_is_leased_or_held_twice(url: URL):
    told = play(url, 30_000, lambda running: None)
    leased = Counter(number for one in every(told, "leased") for number in one["ids"])
    assert len(leased) == OWED
    assert set(leased.values()) == {1}
    assert sum(one["count"] for one in every(told, "delivered")) == OWED
    assert slots(told) == []
    assert leads(told) == []
    assert sum(bool(every([lines], "delivered")) for lines in told) > 1, "only one worked"
    assert every(told, "unavailable") == []
    assert_all_delivered(url)


def test_killed_backends_and_processes_leave_nothing_behind(url: URL):
    """Each outcome is recorded once, whoever was killed in the middle of whatever."""
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    kill = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid IN (SELECT pid "
        "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND application_name = 'dicom-router' ORDER BY random() LIMIT 2)"
    )

    def disturb(running: list[subprocess.Popen[str]]) -> None:
        victim = running[-1]
        assert victim.stdout is not None
        for line in victim.stdout:  # killed with leases in hand
            if json.loads(line).get("ids"):
                victim.kill()
                break
        with admin.connect() as conn:
            killed = 0
            while killed < 10 and any(process.poll() is None for process in running):
                killed += conn.execute(kill).scalar() or 0

    told = play(url, 700, disturb)
    admin.dispose()
    assert [lines[-1]["kind"] for lines in told[:3]] == ["finished"] * 3
    assert every(told, "unavailable"), "no killed backend was noticed"
    assert slots(told) == []
    assert leads(told) == []
    assert_all_delivered(url)
