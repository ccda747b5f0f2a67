"""Isolation: destinations that are dead, hang or are slow take nothing from one that lives.

How much its rate suffers is measured by `python -m bench.isolation`.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import yaml

from tests.faults.modality import Modality, slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.recording import Answer, RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import free_port, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SMALL = slice_template()
ALL = ["live", "dead", "hanging", "deaf", "slow"]
OWED = "SELECT destination, count(*) FROM deliveries GROUP BY destination"
STATES = (
    "SELECT count(*) FROM deliveries WHERE destination = ? "
    "AND state NOT IN ('waiting', 'leased', 'delivered')"
)


def test_the_live_destination_gets_everything_while_the_others_are_stuck(tmp_path: Path) -> None:
    patience = {"dimse": "10m", "network": "10m", "acse": "10m"}
    with (
        RecordingScp() as live,
        RecordingScp(lambda _uid: Answer(delay=3600)) as hanging,
        RecordingScp(lambda _uid: Answer(delay=0.3)) as slow,
        socket.create_server(("127.0.0.1", 0)) as deaf,  # connects, and never says a word
        RouterUnderTest(
            tmp_path,
            destinations=[
                dicom("live", live.port),
                dicom("dead", free_port()),
                dicom("hanging", hanging.port, timeouts=patience),
                dicom("deaf", deaf.getsockname()[1], timeouts=patience),
                dicom("slow", slow.port),
            ],
            routes=[{"name": "all", "send_to": ALL}],
        ) as router,
    ):
        with Modality(router.port, threads=2) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(slow.arrivals.data_sets) >= 10, "three seconds of load")
        assert not modality.errors
        assert not modality.acknowledged.refused
        wait_until(lambda: live.arrivals.total >= len(acknowledged), "everything at the live one")
        assert live.arrivals.data_sets == {uid: [data] for uid, data in acknowledged.items()}
        assert hanging.arrivals.total == 0, "the hanging one did not hang"
        assert slow.arrivals.total < len(acknowledged) / 2, "the slow one was not slow"
        pause(0.5)  # outcomes of the last batch
        assert {str(name): count for name, count in router.ask(OWED)} == dict.fromkeys(
            ALL, len(acknowledged)
        )
        assert [router.count(STATES, name) for name in ALL] == [0] * len(ALL)
        assert router.stop() == 0, "the end waits for what hangs"


def test_the_live_destination_gets_everything_while_others_that_came_since_are_stuck(
    tmp_path: Path,
) -> None:
    """Threads are counted at the start, and destinations come while the router runs."""
    patience = {"dimse": "10m", "network": "10m", "acse": "10m"}
    deaf_ones = ["deaf-1", "deaf-2", "deaf-3"]
    with (
        RecordingScp() as live,
        socket.create_server(("127.0.0.1", 0)) as deaf,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("live", live.port)],
            routes=[{"name": "all", "send_to": ["live"]}],
        ) as router,
        OneByOne(router.port) as line,
        ExitStack() as associations,
    ):
        site = yaml.safe_load((tmp_path / "site.yaml").read_text())
        port = deaf.getsockname()[1]
        site["destinations"] += [
            dicom(name, port, associations=4, timeouts=patience) for name in deaf_ones
        ]
        routes = [{"name": "all and more", "send_to": ["live", *deaf_ones]}]
        (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
        (tmp_path / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": routes}))
        deaf.setblocking(False)
        stuck = 0

        def all_are_stuck() -> bool:
            nonlocal stuck
            line.send_copies(SMALL, 5)
            with suppress(BlockingIOError):
                associations.enter_context(deaf.accept()[0])
                stuck += 1
            return stuck == len(deaf_ones) * 4

        wait_until(all_are_stuck, "every association of those to be waited for")
        line.send_copies(SMALL, 20)
        wait_until(lambda: live.arrivals.total >= len(line.acknowledged), "everything at the live")
        assert live.arrivals.data_sets.keys() == line.acknowledged.keys()


def test_what_waited_for_the_others_arrives_once_they_are_well_again(tmp_path: Path) -> None:
    dead_port = free_port()
    hangs = iter([Answer(delay=3600.0)] * 2)
    impatient = {"dimse": "2s", "network": "2s"}
    with (
        RecordingScp() as live,
        RecordingScp(lambda _uid: next(hangs, Answer())) as hanging,
        RouterUnderTest(
            tmp_path,
            destinations=[
                dicom("live", live.port),
                dicom("dead", dead_port),
                dicom("hanging", hanging.port, timeouts=impatient),
            ],
            routes=[{"name": "all", "send_to": ["live", "dead", "hanging"]}],
        ) as router,
    ):
        with Modality(router.port, threads=1) as modality:
            pause(1.0)
        acknowledged = modality.acknowledged.data_sets
        wait_until(lambda: live.arrivals.total >= len(acknowledged), "everything at the live one")
        with RecordingScp(port=dead_port) as revived:
            router.wait_until_settled(acknowledged)
            assert revived.arrivals.data_sets.keys() == acknowledged.keys()
        assert hanging.arrivals.data_sets.keys() == acknowledged.keys()
        assert live.arrivals.total == len(acknowledged)
