"""Who is associated now, counted in one process or in several that share a file."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest

from router.ingress.guests import Guests, OwnGuests, SharedGuests

LIMIT = 3


def enter(guests: Guests, name: str = "ct01") -> bool:
    """Whether there is room for one more."""
    entered = False

    def decide(open_now: Counter[str]) -> str | None:
        nonlocal entered
        entered = open_now.total() < LIMIT
        return name if entered else None

    guests.enter(decide)
    return entered


def counts(guests: Guests) -> Counter[str]:
    seen: Counter[str] = Counter()
    guests.enter(lambda open_now: seen.update(open_now))
    return seen


@pytest.fixture(params=["own", "shared"])
def guests(request: pytest.FixtureRequest, tmp_path: Path) -> Guests:
    return OwnGuests() if request.param == "own" else SharedGuests(tmp_path / "main.json", "0")


def test_so_many_and_no_more_until_one_leaves(guests: Guests) -> None:
    assert [enter(guests) for _ in range(4)] == [True, True, True, False]
    guests.leave("ct01")
    assert enter(guests, "ct02")
    assert +counts(guests) == {"ct01": 2, "ct02": 1}


def test_processes_count_together(tmp_path: Path) -> None:
    one, two = (SharedGuests(tmp_path / "main.json", number) for number in "12")
    assert enter(one)
    assert enter(two, "mr01")
    assert enter(two)
    assert not enter(one)
    assert counts(one) == counts(two) == {"ct01": 2, "mr01": 1}


def test_one_that_starts_anew_has_no_guests(tmp_path: Path) -> None:
    one, two = (SharedGuests(tmp_path / "main.json", number) for number in "12")
    enter(one)
    enter(two)
    SharedGuests(tmp_path / "main.json", "1")
    assert counts(two) == {"ct01": 1}


def test_a_file_that_was_cut_off_is_written_anew(tmp_path: Path) -> None:
    guests = SharedGuests(tmp_path / "main.json", "1")
    enter(guests)
    (tmp_path / "main.json").write_text('{"1": {"ct')
    assert counts(guests) == {"ct01": 1}
    assert enter(guests)


def _come_and_go(file: Path, process: str, rounds: int) -> None:
    guests = SharedGuests(file, process)
    for _ in range(rounds):
        assert counts(guests).total() <= LIMIT
        if enter(guests):
            guests.leave("ct01")


def test_nobody_is_forgotten_when_many_come_and_go_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    file = tmp_path / "main.json"
    processes = [
        context.Process(target=_come_and_go, args=(file, str(number), 300)) for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert not counts(SharedGuests(file, "judge"))
