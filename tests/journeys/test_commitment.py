"""Storage commitment from end to end, with the router as a process: a modality's promise rests on
what its destinations say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.commitment.data_sets import Transaction
from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.journeys.test_traps import made
from tests.programs import wait_until
from tests.router.commitment import archive as habits
from tests.router.commitment.archive import Archive
from tests.router.commitment.ordering import CT, order

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

TEMPLATE = slice_template()
ALONE = pytest.mark.parametrize("deployment", ["one process"], indirect=True)
"""What does not differ in a cluster is tested once."""
QUICK = {"age": "100ms", "wait": "100ms", "listen": "2s"}
ROUTES: list[dict[str, object]] = [
    {"name": "all", "send_to": ["pacs"]},
    {"name": "edited", "edits": [{"set": {"PatientID": "ANON"}}], "send_to": ["research"]},
]


@pytest.fixture
def modality() -> Iterator[Archive]:
    """Where the modality takes its reports."""
    with Archive() as listening:
        yield listening


def site(
    folder: Path, modality: Archive, pacs: Archive, research: Archive, commitment: object = None
) -> RouterUnderTest:
    router = RouterUnderTest(
        folder,
        destinations=[
            {**dicom("pacs", pacs.port), "commitment": QUICK},
            {**dicom("research", research.port), "commitment": QUICK},
        ],
        routes=ROUTES,
        sources=[
            {
                "name": "here",
                "hosts": ["127.0.0.0/8"],
                "commitment": {"host": "127.0.0.1", "port": modality.port, "ae_title": "CT01"},
            }
        ],
        commitment=commitment or {"policy": "all"},
    )
    pacs.call_back_port = research.call_back_port = router.port
    return router


def sent(line: OneByOne, count: int) -> list[str]:
    """So many slices; their SOP instance UIDs."""
    line.send_copies(TEMPLATE, count)
    return list(line.acknowledged)


def told(modality: Archive, seconds: float = 40) -> tuple[int, Transaction]:
    wait_until(lambda: len(modality.heard) == 1, "the modality's report", seconds)
    return modality.heard[0]


def test_both_commit_and_the_modality_has_its_report(tmp_path: Path, modality: Archive) -> None:
    back = habits.on_its_own_association
    with (
        Archive(back) as pacs,
        Archive(back) as research,
        site(tmp_path, modality, pacs, research) as router,
        OneByOne(router.port) as line,
    ):
        uids = sent(line, 3)
        transaction = order(router.port, uids)
        event, report = told(modality)
        assert (event, report.uid) == (1, transaction)
        assert report.references == dict.fromkeys(uids, CT)
        assert not report.failures
        assert router.count("SELECT count(*) FROM deliveries WHERE state = 'committed'") == 6


@ALONE
def test_what_one_refuses_is_sent_again_committed_and_then_reported(
    tmp_path: Path, modality: Archive
) -> None:
    with (
        Archive() as pacs,
        Archive() as research,
        site(tmp_path, modality, pacs, research) as router,
        OneByOne(router.port) as line,
    ):
        uids = [f"2.25.{uuid.uuid4().int}" for _ in range(2)]
        pacs.failing[uids[0]] = 0x0112
        for uid in uids:
            assert line.send(made(uid), uid) == 0
        order(router.port, uids)
        event, report = told(modality)
        assert (event, set(report.references)) == (1, set(uids))
        assert sorted(pacs.stored) == sorted([*uids, uids[0]])


@ALONE
def test_one_never_answers_and_the_report_says_so_in_time(
    tmp_path: Path, modality: Archive
) -> None:
    late = {"policy": "all", "within": "4s"}
    with (
        Archive() as pacs,
        Archive(habits.never) as research,
        site(tmp_path, modality, pacs, research, commitment=late) as router,
        OneByOne(router.port) as line,
    ):
        (uid,) = sent(line, 1)
        order(router.port, [uid, "2.25.404"])
        event, report = told(modality)
        assert event == 2
        assert report.failures == {uid: 0x0110, "2.25.404": 0x0112}
