"""Storage commitment from end to end, with processes of the router between a modality and two
archives made with pynetdicom: the modality's promise rests on what the archives say, one of which
knows the objects under other UIDs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from rules.deid.profile import Danger
from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop.commitment_habits import never, own_after
from tests.interop.scripted_archive import (
    CT,
    Habit,
    ScriptedArchive,
    ScriptedModality,
    Talk,
    Transaction,
)
from tests.programs import wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

TEMPLATE = slice_template()
QUICK = {"age": "100ms", "wait": "100ms", "listen": "2s"}
NO_SUCH_INSTANCE, PROCESSING_FAILURE = 0x0112, 0x0110
WITHIN = 4.0
"""Seconds in which the modality is promised its report, where a test waits for that."""
ROUTES: list[dict[str, object]] = [
    {"name": "all", "send_to": ["pacs"]},
    {"name": "without names", "deidentify": "research", "send_to": ["research"]},
]
PROFILES = {"research": {"key": "research", "dangers": {str(danger): "pass" for danger in Danger}}}


@dataclass
class Journey:
    """Everybody who takes part, and the slices that the modality has sent."""

    router: RouterUnderTest
    modality: ScriptedModality
    pacs: ScriptedArchive
    research: ScriptedArchive
    line: OneByOne

    def send(self, count: int) -> list[str]:
        """So many slices; their SOP instance UIDs."""
        self.line.send_copies(TEMPLATE, count)
        return list(self.line.acknowledged)

    def told(self, seconds: float = 40) -> Transaction:
        """The modality's one report."""
        wait_until(lambda: len(self.modality.heard) > 0, "the modality's report", seconds)
        (report,) = self.modality.heard
        return report

    def committed(self) -> int:
        return self.router.count("SELECT count(*) FROM deliveries WHERE state = 'committed'")


@contextmanager
def journey(
    folder: Path, pacs_habit: Habit, research_habit: Habit, commitment: Mapping[str, object]
) -> Iterator[Journey]:
    with ExitStack() as stack:
        modality: ScriptedModality = stack.enter_context(ScriptedModality("CT01"))
        pacs = ScriptedArchive(pacs_habit, "PACS")
        research = ScriptedArchive(research_habit, "RESEARCH")
        router = RouterUnderTest(
            folder,
            destinations=[
                {**dicom(one.ae_title.lower(), one.port), "commitment": QUICK}
                for one in (pacs, research)
            ],
            routes=ROUTES,
            sources=[
                {
                    "name": "here",
                    "hosts": ["127.0.0.0/8"],
                    "commitment": {"host": "127.0.0.1", "port": modality.port, "ae_title": "CT01"},
                }
            ],
            commitment=commitment,
            keys={"research": "of this test, long enough"},
        )
        (folder / "rules" / "05.yaml").write_text(yaml.safe_dump({"profiles": PROFILES}))
        for archive in (pacs, research):
            archive.call_back_port = router.port
            stack.enter_context(archive)
        stack.enter_context(router)
        line = stack.enter_context(OneByOne(router.port))
        yield Journey(router, modality, pacs, research, line)


def lacks_one_at_first(talk: Talk) -> int:
    """Reports on its own association; the first time, it does not have the first object."""
    if talk.number == 1:
        talk.archive.failing[talk.uids[0]] = [NO_SUCH_INSTANCE]
    return own_after(talk)


@pytest.mark.parametrize("deployment", ["one process"], indirect=True)
def test_both_commit_and_the_modality_hears_of_what_it_sent(tmp_path: Path) -> None:
    with journey(tmp_path, own_after, own_after, {"policy": "all"}) as on:
        uids = on.send(3)
        transaction = on.modality.ask(on.router.port, uids)
        report = on.told()
        assert on.committed() == 6
    assert (report.event_type, report.uid) == (1, transaction)
    assert report.references == dict.fromkeys(uids, CT)
    assert not report.failures
    assert sorted(on.pacs.stored) == sorted(uids)
    assert len(set(on.research.stored)) == 3
    assert not set(on.research.stored) & set(uids)


def test_what_each_lacks_is_sent_again_committed_and_then_reported(tmp_path: Path) -> None:
    with journey(tmp_path, lacks_one_at_first, lacks_one_at_first, {"policy": "all"}) as on:
        uids = on.send(2)
        on.modality.ask(on.router.port, uids)
        report = on.told()
        assert on.committed() == 4
    assert (report.event_type, set(report.references)) == (1, set(uids))
    assert set(on.pacs.stored) == set(uids)
    assert not set(on.research.stored) & set(uids)
    for archive in (on.pacs, on.research):
        again = next(iter(archive.asked[0].references))
        assert sorted(archive.stored) == sorted([*set(archive.stored), again])
        assert again in archive.asked[-1].references


def test_one_never_answers_and_the_report_says_so_in_time(tmp_path: Path) -> None:
    late = {"policy": "all", "within": f"{WITHIN:g}s"}
    with journey(tmp_path, own_after, never, late) as on:
        (uid,) = on.send(1)
        began = time.monotonic()
        on.modality.ask(on.router.port, [uid, "2.25.404"])
        report = on.told()
        assert WITHIN - 1 < time.monotonic() - began < WITHIN + 10
        assert on.committed() == 1
    assert report.event_type == 2
    assert report.failures == {uid: PROCESSING_FAILURE, "2.25.404": NO_SUCH_INSTANCE}
