"""The traps that other routers fell into, each with the whole router as a process.

Four of the list stand in tests/faults/test_destinations.py, where destinations misbehave:
a retry sends only what had not arrived, Success is not told of what the peer refused, a poisoned
object stalls nobody, and two routers that send to each other stop.
"""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pydicom
import pytest
import yaml
from pydicom.dataset import Dataset

from router.net.errors import NetError
from tests.faults.modality import slice_template
from tests.faults.one_by_one import SUCCESS, OneByOne, new_uid
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.programs import dicom_router, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

DUPLICATE = 0x0111
TEMPLATE = slice_template()
TO_PACS: list[dict[str, object]] = [{"name": "all", "send_to": ["pacs"]}]
ONLY_MR: list[dict[str, object]] = [{"name": "mr", "when": {"Modality": "MR"}, "send_to": ["pacs"]}]


def read(data: bytes) -> Dataset:
    return pydicom.filereader.read_dataset(
        io.BytesIO(data), is_implicit_VR=False, is_little_endian=True
    )


def made(uid: str, **attributes: object) -> bytes:
    """A CT slice with these attributes."""
    data_set = read(TEMPLATE)
    data_set.SOPInstanceUID = uid
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return encoded.getvalue()


def settled(router: RouterUnderTest, count: int) -> None:
    """Until so many objects have come in and nothing is left to do for any."""
    wait_until(lambda: router.count(RECEPTIONS) == count, "every reception to be recorded")
    router.wait_until_settled([])


RECEPTIONS = "SELECT count(*) FROM objects WHERE derived_from IS NULL"
STATES = "SELECT state, reason, count(*) FROM objects GROUP BY state, reason ORDER BY state"


def test_rules_look_at_every_object_and_not_only_at_a_series_first(tmp_path: Path) -> None:
    axial = {"ImageType": {"contains": "AXIAL"}}
    with (
        RecordingScp() as ai,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("ai", ai.port)],
            routes=[{"name": "axial", "when": axial, "send_to": ["ai"]}],
            on_no_match="discard",
        ) as router,
    ):
        kinds = ["LOCALIZER", "AXIAL", "AXIAL", "LOCALIZER", "AXIAL"]
        uids = [new_uid() for _ in kinds]
        with OneByOne(router.port) as line:
            for uid, kind in zip(uids, kinds, strict=True):
                data = made(uid, ImageType=["ORIGINAL", "PRIMARY", kind])
                assert line.send(data, uid) == SUCCESS
        settled(router, len(uids))
        expected = {uid for uid, kind in zip(uids, kinds, strict=True) if kind == "AXIAL"}
        assert ai.arrivals.data_sets.keys() == expected


def test_pixel_data_outlives_every_edit_of_the_header(tmp_path: Path) -> None:
    edits = [{"set": {"InstitutionName": "A name that is longer than the one before"}}]
    edits += [{"remove": ["StudyDate"]}, {"prefix": {"PatientID": "EH-"}}]  # type: ignore[dict-item]
    with (
        RecordingScp() as research,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("research", research.port)],
            routes=[{"name": "edited", "edits": edits, "send_to": ["research"]}],
        ) as router,
        OneByOne(router.port) as line,
    ):
        line.send_copies(TEMPLATE, 5)
        settled(router, 5)
        for uid, data in line.acknowledged.items():
            (copy,) = research.arrivals.data_sets[uid]
            assert read(copy).PatientID == "EH-0815"
            assert "StudyDate" not in read(copy)
            assert read(copy).PixelData == read(data).PixelData


def test_an_edit_that_fails_holds_the_object_and_nothing_unedited_leaves(tmp_path: Path) -> None:
    copy = {"copy": {"from": "StudyDescription", "to": "StudyID"}}
    broken: dict[str, object] = {"name": "edited", "edits": [copy], "send_to": ["research"]}
    plain: dict[str, object] = {"name": "as it came", "send_to": ["pacs", "research"]}
    with (
        RecordingScp() as pacs,
        RecordingScp() as research,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("pacs", pacs.port), dicom("research", research.port)],
            routes=[broken, plain],
        ) as router,
    ):
        fails, works = new_uid(), new_uid()
        with OneByOne(router.port) as line:
            assert line.send(made(fails), fails) == SUCCESS
            assert line.send(made(works, StudyDescription="Thorax"), works) == SUCCESS
        settled(router, 2)
        assert router.count("SELECT count(*) FROM objects WHERE reason = 'edit_failed'") == 1
        assert research.arrivals.data_sets.keys() == {works}
        assert pacs.arrivals.data_sets.keys() == {fails, works}

        _mend(router, [{"name": "edited", "send_to": ["research", "pacs"]}])
        wait_until(lambda: fails in research.arrivals.data_sets, "what was held")
        settled(router, 2)
        assert pacs.attempts == {fails: 1, works: 1}, "sent again to whom had it"


def _mend(router: RouterUnderTest, routes: list[dict[str, object]]) -> None:
    """As an administrator would: other rules, a restart, and the held objects once more."""
    router.stop()
    (router.folder / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": routes}))
    router.start()
    words = ["queue", "reroute", "--state", "held", "--config"]
    dicom_router(*words, router.folder / "site.yaml").check_returncode()


def test_the_same_instance_with_other_bytes_arrives_as_well(tmp_path: Path) -> None:
    """The spool is not keyed by SOP instance UID: no reception overwrites another."""
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=TO_PACS
        ) as router,
    ):
        uid = new_uid()
        versions = [made(uid, SeriesDescription=words) for words in ("first", "second", "second")]
        with OneByOne(router.port) as line:
            assert [line.send(data, uid) for data in versions] == [SUCCESS] * 3
        settled(router, 3)
        assert sorted(pacs.arrivals.data_sets[uid]) == sorted(versions)


@pytest.mark.parametrize(
    ("policy", "statuses", "arrive"),
    [
        ("refuse", [SUCCESS, DUPLICATE, DUPLICATE], ["first"]),
        ("ignore identical", [SUCCESS, SUCCESS, SUCCESS], ["first", "second"]),
    ],
)
def test_duplicates_are_what_the_site_says(
    policy: str, statuses: list[int], arrive: list[str], tmp_path: Path
) -> None:
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("pacs", pacs.port)],
            routes=TO_PACS,
            duplicates=policy,
        ) as router,
        OneByOne(router.port) as line,
    ):
        uid = new_uid()
        found = []
        for words in ("first", "first", "second"):
            found.append(line.send(made(uid, SeriesDescription=words), uid))
            settled(router, found.count(SUCCESS))
        assert found == statuses
        copies = [read(copy).SeriesDescription for copy in pacs.arrivals.data_sets[uid]]
        assert copies == arrive
        line.send_copies(TEMPLATE)  # another instance is nobody's duplicate


@pytest.mark.parametrize(
    ("choice", "state", "arrives"),
    [("hold", "unrouted", False), ("discard", "discarded", False), ("pacs", "routed", True)],
)
def test_what_no_route_matches_goes_where_the_site_says(
    choice: str, state: str, arrives: bool, tmp_path: Path
) -> None:
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("pacs", pacs.port)],
            routes=ONLY_MR,
            on_no_match=choice,
        ) as router,
        OneByOne(router.port) as line,
    ):
        line.send_copies(TEMPLATE)
        settled(router, 1)
        assert router.ask(STATES) == [(state, "no_route_matched", 1)]
        assert bool(pacs.arrivals.total) is arrives


def test_a_stop_under_load_loses_nothing_and_interrupts_nobody(tmp_path: Path) -> None:
    """SIGTERM: who has an association ends it as he meant to; a new one is not to be had."""
    acknowledged: dict[str, bytes] = {}
    interrupted: list[NetError] = []
    enough = threading.Event()

    def send(port: int) -> None:
        while True:
            line = OneByOne(port)
            try:
                line.__enter__()
            except NetError:
                return  # the router is gone
            try:
                line.send_copies(TEMPLATE, 25)
                line.__exit__(None)
            except NetError as error:
                interrupted.append(error)
            acknowledged.update(line.acknowledged)
            if len(acknowledged) > 200:
                enough.set()

    with RecordingScp() as pacs:
        router = RouterUnderTest(tmp_path, destinations=[dicom("pacs", pacs.port)], routes=TO_PACS)
        router.start()
        senders = [threading.Thread(target=send, args=(router.port,)) for _ in range(4)]
        for sender in senders:
            sender.start()
        assert enough.wait(60)
        assert router.stop() == 0
        for sender in senders:
            sender.join(60)
        assert interrupted == []
        with router:
            settled(router, len(acknowledged))
        assert pacs.arrivals.data_sets == {uid: [data] for uid, data in acknowledged.items()}
