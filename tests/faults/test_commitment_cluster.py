"""kill -9 of each process of a cluster at each step of a commitment, and at random moments: every
transaction ends, nothing is asked for for ever, and the modality has one true answer.

FAULT_ROUNDS is how often somebody is killed: 20 for the long way, which is every process at every
step; fewer take every step and every process in turn.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from router.net.errors import NetError
from tests.faults.commitment_steps import (
    HABITS,
    STEPS,
    TEMPLATE,
    Bell,
    Step,
    check,
    check_answers,
    site,
)
from tests.faults.one_by_one import OneByOne, instance, new_uid
from tests.faults.router_under_test import ROLES, Cluster, RouterUnderTest, pause
from tests.router.commitment import archive as habits
from tests.router.commitment.archive import Archive, Talk
from tests.router.commitment.ordering import new_transaction, order
from tests.servers import Servers

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

ROUNDS = min(20, int(os.environ.get("FAULT_ROUNDS", "3")))


@dataclass
class Running:
    """The cluster, with whom it speaks, and what must be answered: transaction to instances."""

    router: RouterUnderTest
    pacs: Archive
    modality: Archive
    wanted: dict[str, set[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def running(all_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Every commitment ticket is served by the one egress worker: who dies is who speaks."""
    cluster = Cluster(ledger=all_servers.ledger, broker=all_servers.broker, roles=ROLES)
    folder = tmp_path_factory.mktemp("cluster") / "site"
    with (
        Archive() as modality,
        Archive() as pacs,
        site(folder, modality, pacs, cluster) as router,
    ):
        yield Running(router, pacs, modality)


SPEAKING = {"called": "ingress"}
"""Who hears what the archive says at a step, if not the egress worker."""


def rounds() -> list[tuple[Step, str]]:
    """At which step who is killed: first whoever speaks then, later the others."""
    found = []
    for n in range(max(len(STEPS), ROUNDS)):
        step = STEPS[n % len(STEPS)]
        speaking = ROLES.index(SPEAKING.get(step.__name__, "worker egress"))
        found.append((step, ROLES[(speaking + n // len(STEPS)) % len(ROLES)]))
    return found


def replace(router: RouterUnderTest, role: str) -> None:
    """Kill it and start another; as much time passes as its leases would have lasted."""
    index = ROLES.index(role)
    router.programs[index].kill()
    if role == "worker egress":
        router.change("UPDATE leaders SET lease_until = 0 WHERE name LIKE 'c:%'")
        router.change("UPDATE deliveries SET lease_until = 0 WHERE state = 'leased'")
        router.change("UPDATE destination_slots SET lease_until = 0")
        unsent = "state = 'open' AND sent_at IS NULL"
        router.change(f"UPDATE commitment_requests SET answer_by = 0 WHERE {unsent}")
        waiting = "state IN ('open', 'reporting')"
        router.change(f"UPDATE commitment_orders SET next_attempt_at = 0 WHERE {waiting}")
    if role == "conductor":
        router.change("UPDATE leaders SET lease_until = 0 WHERE name = 'conductor'")
    router.programs[index] = router.launch(role)
    router.programs[index].wait_for_line(r"^ready$", 60)


def test_each_process_is_killed_when_a_step_was_reached(running: Running) -> None:
    router, pacs, modality = running.router, running.pacs, running.modality
    for step, role in rounds():
        bell = Bell()
        step(bell, pacs, modality)
        with OneByOne(router.port) as line:
            line.send_copies(TEMPLATE, 2)
            uids = list(line.acknowledged)
        running.wanted[order(router.port, uids)] = set(uids)
        assert bell.rung.wait(60), f"{step.__name__} was not reached"
        replace(router, role)
        bell.dead.set()
    check(router, pacs, running.wanted)
    repeated = check_answers(modality, pacs, running.wanted)
    print(f"\n{len(rounds())} kills, {len(pacs.asked)} requests; {repeated} reports came twice")
    # Who died at an earlier step may just have told the modality, too, and not have noted it.
    assert repeated <= len(rounds())


class Modality:
    """Sends two slices and asks for them, again and again, until each step was answered."""

    def __init__(self, router: RouterUnderTest) -> None:
        self._router = router
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.wanted: dict[str, set[str]] = {}

    def __enter__(self) -> Modality:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(0.3):
            uids, transaction = [new_uid(), new_uid()], new_transaction()
            for uid in uids:
                self._insist(lambda uid=uid: self._send(uid))  # type: ignore[misc]
            self._insist(lambda: order(self._router.port, uids, transaction))  # noqa: B023
            self.wanted[transaction] = set(uids)

    def _send(self, uid: str) -> None:
        with OneByOne(self._router.port) as line:
            assert line.send(instance(TEMPLATE, uid), uid) == 0

    def _insist(self, act: Callable[[], object]) -> None:
        while True:
            try:
                act()
            except NetError:
                self._stopping.wait(0.05)
            else:
                return


def test_processes_are_killed_at_random(running: Running) -> None:
    router, pacs, modality = running.router, running.pacs, running.modality
    chance = random.Random(20261121)
    asked, twice = len(pacs.asked), len(modality.heard) - len(running.wanted)

    def moody(talk: Talk) -> None:
        if chance.random() < 0.2:
            talk.archive.failing[next(iter(talk.asked.references))] = 0x0112
        chance.choice(HABITS)(talk)

    pacs.habit = moody
    with Modality(router) as sending:
        for _ in range(ROUNDS):
            pause(chance.uniform(0.2, 1.5))
            replace(router, chance.choice(ROLES))
    pacs.habit = habits.on_the_same_association
    running.wanted |= sending.wanted
    check(router, pacs, running.wanted)
    repeated = check_answers(modality, pacs, running.wanted) - twice
    print(
        f"\n{ROUNDS} kills, {len(sending.wanted)} transactions of the modality, "
        f"{len(pacs.asked) - asked} of ours; {repeated} reports came twice"
    )
    assert repeated <= ROUNDS
