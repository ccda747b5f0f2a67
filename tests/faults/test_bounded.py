"""Memory does not grow with an object's size, with idle associations, or with a backlog.

What they cost in time is measured by `python -m bench.bounded`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults import backlog
from tests.faults.huge import PIXELS, huge_object
from tests.faults.modality import slice_template
from tests.faults.one_by_one import SUCCESS, OneByOne, associate
from tests.faults.recording import RecordingScp, Tally
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import free_port, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]

SMALL = slice_template()
IDLE = 300
WAITING = 1_000_000


@pytest.fixture(autouse=True)
def nothing_large_is_left_behind(tmp_path: Path) -> Iterator[None]:
    """pytest keeps the folders of its last runs."""
    yield
    shutil.rmtree(tmp_path / "var", ignore_errors=True)


def test_an_object_of_2_gb_passes_as_it_came_and_edited(tmp_path: Path) -> None:
    stat = os.statvfs(tmp_path)
    if stat.f_bavail * stat.f_frsize < 3 * PIXELS:
        pytest.skip("it takes 6 GB of disk")
    with (
        RecordingScp(buffer=Tally) as plain,
        RecordingScp(buffer=Tally) as edited,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("plain", plain.port), dicom("edited", edited.port)],
            forked=False,
            routes=[
                {"name": "as it came", "send_to": ["plain"]},
                {"name": "edited", "edits": [{"set": {"PatientID": "X"}}], "send_to": ["edited"]},
            ],
            retention={"delivered": "0s"},
        ) as router,
        huge_object() as huge,
        OneByOne(router.port) as line,
    ):
        line.send_copies(SMALL, 20)
        router.wait_until_settled(line.acknowledged)
        router.forget_peak()
        before = router.resident_mb()
        assert line.send([huge.header, huge.pixels], huge.uid) == SUCCESS
        router.wait_until_settled([*line.acknowledged, huge.uid], 300)
        growth = router.peak_mb() - before
        print(f"\n2 GB: {growth:.0f} MB more than {before:.0f} MB at the most")
        assert plain.arrivals.data_sets[huge.uid] == [huge.told]
        (told,) = edited.arrivals.data_sets[huge.uid]
        assert int(told.split()[0]) > PIXELS
        assert growth < 64


def test_idle_associations_are_cheap(tmp_path: Path) -> None:
    port = free_port()
    listener = {"name": "main", "ae_title": "ROUTER", "port": port, "max_associations": 2 * IDLE}
    with (
        RouterUnderTest(
            tmp_path, destinations=[], routes=[], forked=False, listeners=[listener]
        ) as router,
        ExitStack() as lines,
    ):
        before = router.resident_mb()
        for number in range(IDLE):
            line = associate(port, title=f"CT{number}")
            lines.callback(line.abort)
        pause(1.0)
        used = router.cpu_seconds()
        pause(3.0)
        share = (router.cpu_seconds() - used) / 3.0
        growth = router.resident_mb() - before
        print(f"\n{IDLE} idle associations: {growth:.0f} MB, {share:.1%} of a core")
        assert growth < 100


def test_a_million_waiting_deliveries_hinder_nobody(tmp_path: Path) -> None:
    with RecordingScp() as live:
        router = RouterUnderTest(
            tmp_path,
            destinations=[dicom("live", live.port), dicom("dead", free_port())],
            forked=False,
            routes=[{"name": "all", "send_to": ["live"]}],
        )
        backlog.owe(router.ledger_file, "dead", WAITING)
        with router, OneByOne(router.port) as line:
            line.send_copies(SMALL, 200)
            wait_until(lambda: live.arrivals.total == 200, "everything at the live one")
            assert live.arrivals.data_sets.keys() == line.acknowledged.keys()
            state = "SELECT count(*), max(attempts) FROM deliveries WHERE destination = 'dead'"
            print(f"\n{WAITING:,} waiting: {router.resident_mb():.0f} MB resident")
            assert router.ask(f"{state} AND state IN ('waiting', 'leased')") == [(WAITING, 0)]
            assert router.resident_mb() < 200
