"""kill -9 at each step of a commitment, and at random moments: every transaction ends, nothing is
asked for for ever, and the modality has one true answer.

FAULT_ROUNDS is how often the process is killed at random: 20 for the long way.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.commitment_steps import (
    HABITS,
    STEPS,
    TEMPLATE,
    Bell,
    check,
    check_answers,
    site,
)
from tests.faults.one_by_one import OneByOne
from tests.faults.router_under_test import pause
from tests.router.commitment import archive as habits
from tests.router.commitment.archive import Archive
from tests.router.commitment.ordering import order

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ROUNDS = min(20, int(os.environ.get("FAULT_ROUNDS", "3")))


@pytest.fixture
def modality() -> Iterator[Archive]:
    with Archive() as listening:
        yield listening


def test_killed_when_each_step_was_reached(tmp_path: Path, modality: Archive) -> None:
    wanted: dict[str, set[str]] = {}
    with Archive() as pacs, site(tmp_path, modality, pacs) as router:
        for step in STEPS:
            bell = Bell()
            step(bell, pacs, modality)
            with OneByOne(router.port) as line:
                line.send_copies(TEMPLATE, 2)
                uids = list(line.acknowledged)
            wanted[order(router.port, uids)] = set(uids)
            assert bell.rung.wait(60), f"{step.__name__} was not reached"
            router.kill()
            bell.dead.set()
            router.start()
        check(router, pacs, wanted)
        repeated = check_answers(modality, pacs, wanted)
    print(f"\n{len(wanted)} kills, {len(pacs.asked)} requests; {repeated} reports came twice")
    # Who died at an earlier step may just have told the modality, too, and not have noted it.
    assert repeated <= len(STEPS)


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
            pause(chance.uniform(0, 3))
            router.kill()
            router.start()
        pacs.habit = habits.on_the_same_association
        check(router, pacs, wanted)
        repeated = check_answers(modality, pacs, wanted)
        router.stop()
    print(f"\n{ROUNDS} kills, {len(pacs.asked)} requests; {repeated} reports came twice")
    assert repeated <= ROUNDS
