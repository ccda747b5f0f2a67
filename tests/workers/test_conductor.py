"""The conductor: acts while it leads, and says so."""

from __future__ import annotations

import threading
from collections.abc import Callable

from prometheus_client import REGISTRY

from workers.duties import Duty, Leadership, Rounds


def leading() -> float | None:
    return REGISTRY.get_sample_value("dicom_router_leading")


class Lease:
    """The leader's lease, as the test gives and takes it."""

    def __init__(self) -> None:
        self.ours = True
        self.acted = threading.Event()
        self.retired = threading.Event()

    def conductor(self) -> Rounds:
        return conductor(self, lambda: self.ours)


def conductor(lease: Lease, take: Callable[[], bool]) -> Rounds:
    leadership = Leadership(take, retired=lease.retired.set, renew_every=0.001)
    duty = Duty(name="act", every=0.001, act=lease.acted.set)
    return Rounds([duty], name="conductor", when=leadership.held)


def test_who_leads_acts_and_says_so_and_who_lost_it_retires() -> None:
    lease = Lease()
    rounds = lease.conductor()
    rounds.start()
    try:
        assert lease.acted.wait(10)
        assert leading() == 1
        assert not lease.retired.is_set()
        lease.ours = False
        assert lease.retired.wait(10)
        assert leading() == 0
    finally:
        rounds.stop()


def test_who_never_led_has_nothing_to_retire_from() -> None:
    lease = Lease()
    lease.ours = False
    asked = threading.Event()

    def refused() -> bool:
        asked.set()
        return False

    rounds = conductor(lease, refused)
    rounds.start()
    assert asked.wait(10)
    rounds.stop()
    assert leading() == 0
    assert not lease.retired.is_set()
    assert not lease.acted.is_set()


def test_a_duty_that_takes_long_is_done_less_often() -> None:
    duty = Duty(name="count", every=10.0, act=lambda: None, share=0.01)
    assert duty.due_again(100.0, 100.01) == 110.01
    assert duty.due_again(100.0, 101.0) == 201.0
