"""A full disk: what does not fit is refused with A700, and what was acknowledged arrives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.conftest import MakeDisk
from tests.faults.modality import Modality, slice_template
from tests.faults.one_by_one import NO_ROOM, SUCCESS, OneByOne
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

MB = 1_000_000
SMALL = slice_template()
LARGE = slice_template(1024, 1024)  # 2 MB

TO_PACS: list[dict[str, object]] = [{"name": "all", "send_to": ["pacs"]}]
PLAIN_AND_EDITED: list[dict[str, object]] = [
    {"name": "as it came", "send_to": ["pacs"]},
    {"name": "edited", "edits": [{"prefix": {"PatientID": "EH-"}}], "send_to": ["research"]},
]
FILL_IT: dict[str, object] = {"low": 1, "high": 1}
"""Water marks that keep no room free: the system itself says when the disk is full."""


def files_in(store: Path) -> set[str]:
    """The ids of all objects whose bytes lie in the store."""
    return {path.stem for path in store.glob("*/*.dcm")}


def copies_of(acknowledged: dict[str, bytes]) -> dict[str, list[bytes]]:
    """What has arrived when each object came once."""
    return {uid: [data] for uid, data in acknowledged.items()}


def test_below_the_low_water_mark_objects_are_refused_until_there_is_room_again(
    tmp_path: Path, small_disk: MakeDisk
) -> None:
    disk = small_disk("disk", 24)
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("pacs", pacs.port)],
            routes=TO_PACS,
            store=f"file:{disk.folder}/store",
            free_space={"low": 8 * MB, "high": 12 * MB},
        ) as router,
        OneByOne(router.port) as line,
    ):
        line.send_copies(SMALL)
        disk.fill(leaving=4 * MB)
        wait_until(lambda: line.send_copy(SMALL) == NO_ROOM, "the low mark to be seen", 5)
        assert [line.send_copy(SMALL) for _ in range(5)] == [NO_ROOM] * 5
        disk.clear()
        wait_until(lambda: line.send_copy(SMALL) == SUCCESS, "room to be seen", 5)
        line.send_copies(SMALL, 5)
        router.wait_until_settled(line.acknowledged)
        assert pacs.arrivals.data_sets == copies_of(line.acknowledged)
        ids = router.ask("SELECT id FROM objects")
        assert files_in(disk.folder / "store") == {str(object_id) for (object_id,) in ids}


def test_marks_that_no_disk_reaches_refuse_everything(tmp_path: Path) -> None:
    """Needs no disk of its own: more than there is must stay free."""
    stat = os.statvfs(tmp_path)
    above = stat.f_bavail * stat.f_frsize + 10**12
    with (
        RouterUnderTest(
            tmp_path, destinations=[], routes=[], free_space={"low": above, "high": above}
        ) as router,
        OneByOne(router.port) as line,
    ):
        assert [line.send_copy(SMALL) for _ in range(3)] == [NO_ROOM] * 3
        assert files_in(tmp_path / "var" / "store") == set()


def test_a_disk_that_fills_in_mid_object_refuses_that_one_and_no_more(
    tmp_path: Path, small_disk: MakeDisk
) -> None:
    disk = small_disk("disk", 16)
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("pacs", pacs.port)],
            routes=TO_PACS,
            store=f"file:{disk.folder}/store",
            free_space=FILL_IT,
        ) as router,
        OneByOne(router.port) as line,
    ):
        line.send_copies(LARGE)
        line.send_copies(SMALL)
        disk.fill(leaving=MB)
        assert line.send_copy(LARGE) == NO_ROOM
        line.send_copies(SMALL, 3)
        assert line.send_copy(LARGE) == NO_ROOM
        router.wait_until_settled(line.acknowledged)
        ids = router.ask("SELECT id FROM objects")
        assert files_in(disk.folder / "store") == {str(object_id) for (object_id,) in ids}
        disk.clear()
        line.send_copies(LARGE)
        router.wait_until_settled(line.acknowledged)
        assert pacs.arrivals.data_sets == copies_of(line.acknowledged)


def test_what_was_acknowledged_before_the_disk_was_full_arrives_edited_once_there_is_room(
    tmp_path: Path, small_disk: MakeDisk
) -> None:
    """Edited copies need room of their own: without it they wait, and nobody must release them."""
    disk = small_disk("disk", 24)
    with (
        RecordingScp() as pacs,
        RecordingScp() as research,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("pacs", pacs.port), dicom("research", research.port)],
            routes=PLAIN_AND_EDITED,
            store=f"file:{disk.folder}/store",
            free_space=FILL_IT,
        ) as router,
    ):
        disk.fill(leaving=6 * MB)
        with Modality(router.port, template=slice_template(256, 256)) as modality:
            wait_until(lambda: len(modality.acknowledged.refused) > 20, "the disk to be full")
        assert set(modality.acknowledged.refused.values()) == {NO_ROOM}
        assert not modality.errors, "a full disk ended an association"
        pause(1.0)  # routing meets the full disk
        disk.clear()
        acknowledged = modality.acknowledged.data_sets
        router.wait_until_settled(acknowledged, 60)
        assert router.ask("SELECT state, count(*) FROM objects GROUP BY state") == [
            ("routed", 2 * len(acknowledged))
        ]
        assert pacs.arrivals.data_sets.keys() == acknowledged.keys()
        assert research.arrivals.data_sets.keys() == acknowledged.keys()
        ids = router.ask("SELECT id FROM objects")
        wait_until(
            lambda: files_in(disk.folder / "store") == {str(object_id) for (object_id,) in ids},
            "no file that nobody knows of",
        )


def test_a_full_disk_of_the_ledger_alone_is_not_noticed_by_modalities(
    tmp_path: Path, small_disk: MakeDisk
) -> None:
    disk = small_disk("disk", 32)
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("pacs", pacs.port)],
            routes=TO_PACS,
            ledger_file=disk.folder / "ledger.db",
        ) as router,
    ):
        with Modality(router.port) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(acknowledged) > 50, "some load")
            disk.fill()
            before = len(acknowledged)
            pause(4.0)
            assert len(acknowledged) > before + 100, "receiving stopped with the ledger"
            disk.clear()
            pause(0.5)
        assert not modality.errors
        assert not modality.acknowledged.refused
        router.wait_until_settled(acknowledged)
        assert pacs.arrivals.data_sets.keys() == acknowledged.keys()
