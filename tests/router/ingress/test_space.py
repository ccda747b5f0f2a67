"""The water marks of free space: refuse below the low one, accept again above the high one."""

import pytest
from structlog.testing import capture_logs

from router.ingress.space import ASK_AGAIN_SECONDS, SpaceGuard


class Disk:
    def __init__(self) -> None:
        self.free = 1000
        self.now = 0.0
        self.asked = 0
        self.broken = False

    def free_bytes(self) -> int:
        self.asked += 1
        if self.broken:
            raise OSError("gone")
        return self.free


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def guard(disk: Disk) -> SpaceGuard:
    return SpaceGuard(free_bytes=disk.free_bytes, clock=lambda: disk.now, low=100, high=200)


def ask_later(disk: Disk, guard: SpaceGuard, free: int) -> bool:
    disk.free = free
    disk.now += ASK_AGAIN_SECONDS
    return guard.has_room()


def test_between_the_marks_what_was_said_last_holds(disk: Disk, guard: SpaceGuard) -> None:
    said = [ask_later(disk, guard, free) for free in (150, 100, 99, 150, 199, 200, 150)]
    assert said == [True, True, False, False, False, True, True]


def test_the_system_is_not_asked_for_each_object(disk: Disk, guard: SpaceGuard) -> None:
    for _ in range(1000):
        guard.has_room()
    assert disk.asked == 1


def test_an_object_under_way_is_looked_at_anew(disk: Disk, guard: SpaceGuard) -> None:
    assert guard.has_room()
    disk.free = 10
    assert not guard.has_room_for_more()
    assert not guard.has_room()


def test_a_disk_that_cannot_say_has_no_room(disk: Disk, guard: SpaceGuard) -> None:
    disk.broken = True
    assert not guard.has_room()


def test_the_log_says_once_that_there_is_no_room(disk: Disk, guard: SpaceGuard) -> None:
    with capture_logs() as logged:
        for free in (150, 99, 98, 250, 250, 97):
            ask_later(disk, guard, free)
    errors = [event for event in logged if event["log_level"] == "error"]
    assert [event["free_bytes"] for event in errors] == [99, 97]
    assert all("A700" in event["event"] for event in errors)
