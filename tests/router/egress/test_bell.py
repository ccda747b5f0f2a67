"""Waking who waits for more work, without a message."""

import threading
from concurrent.futures import Future

from router.egress.bell import Bell
from tests.programs import wait_until

LONG = 60.0


def waiting(bell: Bell, *, beside: int = 0) -> "Future[bool]":
    """Somebody waits in a thread, after so many others."""
    heard: Future[bool] = Future()
    threading.Thread(target=lambda: heard.set_result(bell.wait(LONG)), daemon=True).start()
    wait_until(lambda: len(bell._waiting) == beside + 1, "a place to wait")
    return heard


def test_who_waits_is_woken():
    bell = Bell()
    heard = waiting(bell)
    assert bell.ring()
    assert heard.result(LONG)


def test_who_came_last_is_woken_first_and_only_one():
    bell = Bell()
    first = waiting(bell)
    second = waiting(bell, beside=1)
    assert bell.ring()
    assert second.result(LONG)
    assert not first.done()
    assert bell.ring()
    assert first.result(LONG)


def test_what_rang_while_nobody_waited_is_heard_once_by_the_next():
    bell = Bell()
    assert not bell.ring()
    assert not bell.ring()
    assert bell.wait(LONG)
    assert not bell.wait(0.0)


def test_who_has_gone_is_not_rung_for():
    bell = Bell()
    assert not bell.wait(0.0)
    assert not bell.ring()
