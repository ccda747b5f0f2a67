"""A worker that is told to stop hands over: others go on at once, not when its leases run out."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.egress.tenure import LEASE_MS
from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.recording import Answer, RecordingScp
from tests.faults.router_under_test import Cluster, RouterUnderTest, dicom
from tests.programs import Program, wait_until
from tests.servers import Servers

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

OBJECTS = 24
AT_ONCE_SECONDS = 10.0
"""The sweep rings within a second or two: far less than a lease."""
IMPATIENT_WORKER = (
    "import workers.process\n"
    "workers.process.DRAIN_SECONDS = 1.0\n"
    "from workers.__main__ import main\n"
    "main()\n"
)


@contextmanager
def site(folder: Path, servers: Servers, pacs: RecordingScp) -> Iterator[RouterUnderTest]:
    """A cluster without a worker that delivers, and objects that are owed."""
    roles = ("conductor", "ingress", "worker rules")
    with (
        RouterUnderTest(
            folder,
            destinations=[dicom("pacs", pacs.port, associations=1)],
            routes=[{"name": "all", "send_to": ["pacs"]}],
            cluster=Cluster(ledger=servers.ledger, broker=servers.broker, roles=roles),
        ) as router,
        OneByOne(router.port) as line,
    ):
        line.send_copies(slice_template(), OBJECTS)
        wait_until(lambda: router.count(WAITING) == OBJECTS, "deliveries")
        yield router


WAITING = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"
HELD_BY = (
    "SELECT count(*) FROM (SELECT lease_owner AS owner FROM deliveries "
    "UNION ALL SELECT owner FROM destination_slots) AS held WHERE owner"
)


def test_an_egress_worker_finishes_what_is_in_hand_and_gives_back_the_rest(
    tmp_path: Path, all_servers: Servers
) -> None:
    answers = threading.Event()

    def answer(_uid: str) -> Answer:
        answers.wait(60)
        return Answer()

    with RecordingScp(answer) as pacs, site(tmp_path, all_servers, pacs) as router:
        first = router.launch("worker egress")
        router.programs.append(first)
        wait_until(lambda: sum(pacs.attempts.values()) == 1, "an object in hand")
        second = router.launch("worker egress")
        router.programs.append(second)
        second.wait_for_line(r"^ready$", 60)
        assert router.count("SELECT count(*) FROM deliveries WHERE state = 'leased'") > 3
        first.process.terminate()
        first.wait_for_line("^stopping", 10)
        answers.set()
        began = time.monotonic()
        assert first.stop(30) == 0
        assert router.count(f"{HELD_BY} LIKE '%-{first.pid}/%'") == 0
        wait_until(lambda: pacs.arrivals.total == OBJECTS, "the rest", AT_ONCE_SECONDS)
        print(f"all delivered {time.monotonic() - began:.1f} s after the first object was")
        router.wait_until_settled(())
        assert set(pacs.attempts.values()) == {1}, "nothing was broken off, nothing came twice"
        assert router.count("SELECT count(*) FROM deliveries WHERE attempts <> 1") == 0
        workers = {str(name) for (name,) in router.ask(BY_WHOM)}
        assert {name.rpartition("-")[2] for name in workers} == {str(first.pid), str(second.pid)}


BY_WHOM = "SELECT DISTINCT worker FROM delivery_events WHERE state = 'delivered'"


def test_what_a_destination_never_answers_is_given_back_too(
    tmp_path: Path, all_servers: Servers
) -> None:
    """Its patience at an end, a worker gives back what it has no time to finish."""
    hangs = Answer(delay=3600)
    with RecordingScp(lambda _uid: hangs) as pacs, site(tmp_path, all_servers, pacs) as router:
        words = ("worker", "egress", "--metrics-port", "0", "--config", tmp_path / "site.yaml")
        first = Program([sys.executable, "-c", IMPATIENT_WORKER, *words], tmp_path / "first.log")
        router.programs.append(first)
        wait_until(lambda: sum(pacs.attempts.values()) == 1, "an object that nobody answers")
        pacs.answer = lambda _uid: Answer()
        assert first.stop(30) == 0
        assert "cut off" in first.output()
        assert router.count(f"{HELD_BY} IS NOT NULL") == 0
        assert router.count(WAITING) == OBJECTS
        second = router.launch("worker egress")
        router.programs.append(second)
        second.wait_for_line(r"^ready$", 60)
        assert AT_ONCE_SECONDS < LEASE_MS / 1000 / 3
        wait_until(lambda: pacs.arrivals.total == OBJECTS, "all of it", AT_ONCE_SECONDS)
        router.wait_until_settled(())
        assert router.count("SELECT count(*) FROM deliveries WHERE attempts <> 1") == 0
