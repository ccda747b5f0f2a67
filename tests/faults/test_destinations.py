"""Destinations that die, hang, reject, abort, and answer every kind of status."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.modality import Modality
from tests.faults.recording import Answer, RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import free_port, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def to(*names: str) -> list[dict[str, object]]:
    """One route that sends everything to all of them."""
    return [{"name": "all", "send_to": list(names)}]


def send_some(router: RouterUnderTest, seconds: float = 1.0, threads: int = 2) -> dict[str, bytes]:
    """What a modality had acknowledged within so many seconds."""
    with Modality(router.port, threads=threads) as modality:
        pause(seconds)
    assert not modality.acknowledged.refused
    assert not modality.errors, "the modality noticed something"
    return modality.acknowledged.data_sets


def first_time(answer: Answer) -> Callable[[str], Answer]:
    """This answer to each object's first attempt, Success from then on."""
    seen: set[str] = set()

    def once(uid: str) -> Answer:
        if uid in seen:
            return Answer()
        seen.add(uid)
        return answer

    return once


def some(every: int, answer: Answer) -> Callable[[str], Answer]:
    """This answer to one object in `every`, always; Success to the others."""
    return lambda uid: answer if int(uid[-6:]) % every == 0 else Answer()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=0xA700),
        Answer(status=0xA7FF),
        Answer(status=0x0110),
        Answer(status=0xC000),
        Answer(abort_after=2000),
    ],
    ids=["A700", "A7FF", "0110", "C000", "abort mid-object"],
)
def test_a_failure_that_passes_delays_an_object_and_loses_none(
    answer: Answer, tmp_path: Path
) -> None:
    chance = iter([answer, answer] + [Answer()] * 1_000_000)
    with RecordingScp(lambda _uid: next(chance)) as pacs:
        with RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=to("pacs")
        ) as router:
            sent = send_some(router)
            router.wait_until_settled(sent)
        assert {uid: copies[0] for uid, copies in pacs.arrivals.data_sets.items()} == sent
        assert all(len(copies) == 1 for copies in pacs.arrivals.data_sets.values())


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0x0000, "delivered"),
        (0xB000, "delivered"),
        (0xB006, "delivered"),
        (0xB007, "delivered"),
        (0x0111, "delivered"),
        (0xA900, "held"),
        (0x0122, "held"),
        (0x0124, "held"),
    ],
    ids=lambda value: f"{value:04X}" if isinstance(value, int) else value,
)
def test_a_status_decides_for_its_object_alone(status: int, state: str, tmp_path: Path) -> None:
    with (
        RecordingScp(some(3, Answer(status=status))) as pacs,
        RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=to("pacs")
        ) as router,
    ):
        sent = send_some(router)
        router.wait_until_settled(sent)
        states_of = (
            "SELECT o.sop_instance_uid, d.state FROM deliveries d "
            "JOIN objects o ON o.id = d.object_id"
        )
        found = {str(uid): str(became) for uid, became in router.ask(states_of)}
    chosen = {uid for uid in sent if int(uid[-6:]) % 3 == 0}
    assert {uid for uid, became in found.items() if uid in chosen and became == state} == chosen
    assert {found[uid] for uid in sent.keys() - chosen} == {"delivered"}
    assert max(pacs.attempts.values()) == 1, "an answer that is final was not taken as final"


def test_success_is_never_told_of_an_object_that_the_peer_refused(tmp_path: Path) -> None:
    """Another router said SENT though the PACS had answered A700."""
    with (
        RecordingScp(lambda _uid: Answer(status=0xA700)) as pacs,
        RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=to("pacs")
        ) as router,
    ):
        sent = send_some(router, 0.5)
        pause(1.5)
        counts = router.ask("SELECT state, count(*) FROM deliveries GROUP BY state")
        states = {str(state): int(str(count)) for state, count in counts}
    assert sent
    assert set(states) <= {"waiting", "leased"}
    assert sum(states.values()) == len(sent)


@pytest.mark.parametrize(
    "poison", [Answer(abort_after=1), Answer(status=0xC000)], ids=["abort", "C000"]
)
def test_a_poisoned_object_stalls_nobody_and_ends(poison: Answer, tmp_path: Path) -> None:
    """The peer aborts on one object whenever it comes, or cannot understand it; the others flow
    round it."""
    poisoned: list[str] = []

    def answer(uid: str) -> Answer:
        if not poisoned:
            poisoned.append(uid)
        return poison if uid == poisoned[0] else Answer()

    with (
        RecordingScp(answer) as pacs,
        RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=to("pacs")
        ) as router,
    ):
        sent = send_some(router, 1.5)
        wait_until(lambda: len(pacs.arrivals.data_sets) == len(sent) - 1, "all but one", seconds=30)
        router.wait_until_settled(sent, 60)
        ends = router.ask(
            "SELECT d.state FROM deliveries d JOIN objects o ON o.id = d.object_id "
            "WHERE o.sop_instance_uid = ?",
            poisoned[0],
        )
    assert ends in ([("failed",)], [("held",)])


def test_a_retry_sends_only_what_had_not_arrived(tmp_path: Path) -> None:
    """Others send the whole series again when one of its objects fails."""
    with RecordingScp(first_time(Answer(status=0xC000))) as pacs:
        pacs.answer = some_first_time(5)
        with RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=to("pacs")
        ) as router:
            sent = send_some(router)
            router.wait_until_settled(sent)
    retried = {uid for uid in sent if int(uid[-6:]) % 5 == 0}
    assert {uid for uid, attempts in pacs.attempts.items() if attempts == 2} == retried
    assert {
        uid for uid, attempts in pacs.attempts.items() if attempts == 1
    } == sent.keys() - retried


def some_first_time(every: int) -> Callable[[str], Answer]:
    """C000 to the first attempt of one object in `every`."""
    once = first_time(Answer(status=0xC000))
    return lambda uid: once(uid) if int(uid[-6:]) % every == 0 else Answer()


def test_a_destination_that_dies_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with RouterUnderTest(tmp_path, destinations=[dicom("pacs", port)], routes=to("pacs")) as router:
        before = send_some(router, 0.5)
        pause(1.0)
        attempts = router.count("SELECT coalesce(max(attempts), 0) FROM deliveries")
        assert attempts == 0, "an outage of the destination was charged to its deliveries"
        with RecordingScp(port=port) as pacs:
            router.wait_until_settled(before)
            assert pacs.arrivals.data_sets.keys() == before.keys()


def test_a_destination_that_rejects_is_asked_until_it_accepts(tmp_path: Path) -> None:
    answers = iter([False] * 3 + [True] * 1_000_000)
    with RecordingScp(accepts=lambda: next(answers)) as pacs:
        with RouterUnderTest(
            tmp_path, destinations=[dicom("pacs", pacs.port)], routes=to("pacs")
        ) as router:
            sent = send_some(router, 0.5)
            router.wait_until_settled(sent)
        assert pacs.arrivals.data_sets.keys() == sent.keys()


def test_a_hanging_destination_ends_in_a_time_out_and_a_retry(tmp_path: Path) -> None:
    hangs = iter([Answer(delay=30.0)] + [Answer()] * 1_000_000)
    with RecordingScp(lambda _uid: next(hangs)) as pacs:
        impatient = dicom("pacs", pacs.port, timeouts={"dimse": "1s", "network": "1s"})
        with RouterUnderTest(tmp_path, destinations=[impatient], routes=to("pacs")) as router:
            sent = send_some(router, 0.5)
            router.wait_until_settled(sent)
        assert sent.keys() <= pacs.arrivals.data_sets.keys()


def test_two_routers_that_send_to_each_other_stop(tmp_path: Path) -> None:
    """For ever round: the loop is seen, the object held, an alert counted."""
    first, second = tmp_path / "first", tmp_path / "second"
    loops = {"receptions": 4, "within": "1h"}
    one = RouterUnderTest(first, destinations=[dicom("other", 1)], routes=to("other"), loops=loops)
    two = RouterUnderTest(
        second, destinations=[dicom("other", one.port)], routes=to("other"), loops=loops
    )
    site = (first / "site.yaml").read_text()
    (first / "site.yaml").write_text(site.replace("port: 1\n", f"port: {two.port}\n"))
    for router in (one, two):
        text = (router.folder / "site.yaml").read_text()
        (router.folder / "site.yaml").write_text(
            text.replace("ae_title: OTHER", "ae_title: ROUTER")
        )
    with one, two:
        with Modality(one.port, threads=1) as modality:
            wait_until(lambda: len(modality.acknowledged.data_sets) >= 1, "one object")
        held = "SELECT count(*) FROM objects WHERE state = 'held' AND reason = 'loop'"
        uids = len(modality.acknowledged.data_sets)
        wait_until(lambda: one.count(held) + two.count(held) >= uids, "the loop to be held")
        pause(1.0)
        receptions = one.count("SELECT count(*) FROM objects") + two.count(
            "SELECT count(*) FROM objects"
        )
        alarms = sum(_figure(router, "dicom_router_loops_total") for router in (one, two))
    assert receptions <= uids * 2 * 4
    assert alarms >= uids, "the alert RoutersInACircle has nothing to go by"


def _figure(router: RouterUnderTest, name: str) -> float:
    """The sum of a metric over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{router.metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))
    )
