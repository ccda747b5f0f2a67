"""kill -9 at each step of a commitment, and at random moments: every transaction ends, nothing is
asked for for ever, and the modality has one true answer."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import wait_until
from tests.router.commitment import archive as habits
from tests.router.commitment.archive import Archive, Talk
from tests.router.commitment.ordering import order

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ROUNDS = min(20, int(os.environ.get("FAULT_ROUNDS", "3")))
QUICK = {"age": "50ms", "wait": "100ms", "listen": "500ms", "within": "2s", "attempts": 50}
TEMPLATE = slice_template()


@pytest.fixture
def modality() -> Iterator[Archive]:
    with Archive() as listening:
        yield listening


def site(folder: Path, modality: Archive, pacs: Archive) -> RouterUnderTest:
    router = RouterUnderTest(
        folder,
        destinations=[{**dicom("pacs", pacs.port), "commitment": QUICK}],
        routes=[{"name": "all", "send_to": ["pacs"]}],
        sources=[
            {
                "name": "here",
                "hosts": ["127.0.0.0/8"],
                "commitment": {"host": "127.0.0.1", "port": modality.port, "policy": "all"},
            }
        ],
    )
    pacs.call_back_port = router.port
    return router


class Bell:
    """Rings once, when the peer has come to a step; the router dies there."""

    def __init__(self) -> None:
        self.rung = threading.Event()
        self.dead = threading.Event()

    def reached(self) -> None:
        """Wait there until the router is dead, the first time."""
        if not self.rung.is_set():
            self.rung.set()
            assert self.dead.wait(60)


def asked(bell: Bell) -> habits.Habit:
    def habit(talk: Talk) -> None:
        bell.reached()
        habits.on_the_same_association(talk)

    return habit


def responded(bell: Bell) -> habits.Habit:
    def habit(talk: Talk) -> None:
        talk.respond()
        bell.reached()
        talk.report()

    return habit


def reported(bell: Bell) -> habits.Habit:
    def habit(talk: Talk) -> None:
        talk.respond()
        talk.say()
        bell.reached()

    return habit


@pytest.mark.parametrize("step", [asked, responded, reported], ids=lambda step: step.__name__)
def test_killed_when_the_archive_was(
    tmp_path: Path, modality: Archive, step: Callable[[Bell], habits.Habit]
) -> None:
    bell = Bell()
    with Archive(step(bell)) as pacs:
        router = site(tmp_path, modality, pacs)
        with router, OneByOne(router.port) as line:
            line.send_copies(TEMPLATE, 2)
            uids = list(line.acknowledged)
            transaction = order(router.port, uids)
            assert bell.rung.wait(60)
            router.kill()
            bell.dead.set()
            router.start()
            pacs.habit = habits.on_the_same_association
            check(router, modality, {transaction: set(uids)})


def test_killed_when_the_modality_has_its_report_and_before_it_has_answered(
    tmp_path: Path, modality: Archive
) -> None:
    bell = Bell()
    modality.before_answer = bell.reached
    with Archive() as pacs:
        router = site(tmp_path, modality, pacs)
        with router, OneByOne(router.port) as line:
            line.send_copies(TEMPLATE, 1)
            uids = list(line.acknowledged)
            transaction = order(router.port, uids)
            assert bell.rung.wait(60)
            router.kill()
            bell.dead.set()
            router.start()
            check(router, modality, {transaction: set(uids)})


def test_killed_at_random(tmp_path: Path, modality: Archive) -> None:
    chance = random.Random(20261121)
    wanted: dict[str, set[str]] = {}
    with Archive() as pacs:
        router = site(tmp_path, modality, pacs)
        router.start()
        for number in range(ROUNDS):
            pacs.habit = chance.choice(HABITS)
            with OneByOne(router.port) as line:
                line.send_copies(TEMPLATE, 3)
                uids = list(line.acknowledged)
            if number % 3 == 0:
                pacs.failing[uids[0]] = 0x0112
            transaction = order(router.port, uids)
            wanted[transaction] = set(uids)
            pause(chance.uniform(0, 1.2))
            router.kill()
            router.start()
        pacs.habit = habits.on_the_same_association
        check(router, modality, wanted)
        router.stop()


HABITS = (
    habits.on_the_same_association,
    habits.before_the_response,
    habits.on_the_same_association,
    habits.never,
)


def check(router: RouterUnderTest, modality: Archive, wanted: dict[str, set[str]]) -> None:
    """Everything ends; each order is answered, always in the same words, and truly."""
    unproven = "SELECT count(*) FROM deliveries WHERE state <> 'committed'"
    wait_until(lambda: router.count(unproven) == 0, "every delivery to be committed", 120)
    unreported = "SELECT count(*) FROM commitment_orders WHERE state <> 'reported'"
    wait_until(lambda: router.count(unreported) == 0, "every order to be reported", 120)
    still_open = "SELECT count(*) FROM commitment_requests WHERE state = 'open'"
    wait_until(lambda: router.count(still_open) == 0, "every request to end", 60)
    told: dict[str, set[frozenset[str]]] = {}
    for event, report in modality.heard:
        assert event == 1
        assert not report.failures
        told.setdefault(report.uid, set()).add(frozenset(report.references))
    assert told == {uid: {frozenset(uids)} for uid, uids in wanted.items()}
