"""Which associations are kept, lent and closed."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import REGISTRY

from router import metrics
from router.egress.contexts import MOST_CONTEXTS, Negotiated
from router.egress.pool import Keep, Line, Memory, Pool, WindowFull, plan

CT, MR = ("1.2.1", "1.2"), ("1.2.2", "1.2")
KEY = ("pacs", None)


@dataclass
class Wire:
    """An association without a peer."""

    messages_sent: int = 0
    is_alive: bool = True
    ended: str = ""
    slow: threading.Event | None = None

    def alive(self) -> bool:
        return self.is_alive

    def release(self) -> None:
        if self.slow is not None:
            self.slow.wait(20)
        self.ended = self.ended or "released"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def store(self, context_id, **_):
        raise NotImplementedError


def line(keep, *, pair=CT, idle_since=None, **wire) -> Any:
    return Line(
        id="a",
        association=Wire(**wire),
        negotiated=Negotiated(frozenset([pair]), {pair: 1}),
        keep=keep,
        idle_since=idle_since,
    )


def takes(pair):
    return lambda one: one.negotiated.was_asked(pair)


KEEP = Keep(window=2, idle=30, reuse=100)


def test_the_line_used_last_is_used_again_so_that_the_others_can_age():
    old, young = line(KEEP, idle_since=1), line(KEEP, idle_since=2)
    assert plan([young, old], 0, KEEP, 3, takes(CT)).use is young


def test_expired_lines_are_closed_and_never_used():
    old = line(KEEP, idle_since=0)
    decision = plan([old], 0, KEEP, 30, takes(CT))
    assert (decision.use, decision.close, decision.may_open) == (None, (old,), True)


def test_idle_lines_of_no_use_make_room_for_a_new_one():
    first, second = line(KEEP, idle_since=1), line(KEEP, idle_since=2)
    decision = plan([second, first], 0, KEEP, 3, takes(MR))
    assert (decision.use, decision.close, decision.may_open) == (None, (first,), True)


def test_a_window_that_is_lent_opens_nothing():
    assert plan([], 2, KEEP, 3, takes(CT)) == plan([], 3, KEEP, 3, takes(MR))
    assert not plan([], 2, KEEP, 3, takes(CT)).may_open


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from([CT, MR])), max_size=6),
    st.integers(0, 6),
    st.integers(1, 6),
    st.floats(0, 100),
)
def test_a_plan_never_exceeds_the_window(idle, lent, window, now):
    keep = Keep(window=window, idle=30, reuse=10)
    lines = [line(keep, pair=pair, idle_since=since) for since, pair in idle]
    decision = plan(lines, lent, keep, now, takes(CT))
    left = len(lines) - len(decision.close)
    if decision.may_open:
        assert lent + left + 1 <= window
    if decision.use is not None:
        assert decision.use not in decision.close
        assert not decision.use.expired(now)
        assert decision.use.negotiated.was_asked(CT)
    assert len({id(one) for one in decision.close}) == len(decision.close)


def open_gauge():
    """What Prometheus is told of open associations."""
    name = "dicom_router_destination_associations_open"
    return REGISTRY.get_sample_value(name, {"destination": KEY[0]}) or 0


class PoolMachine(RuleBasedStateMachine):
    """Any course of borrowing, returning, losing and waiting keeps the window."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.pool = Pool(clock=lambda: self.now)
        self.lent: list[Any] = []
        self.all: list[Any] = []
        metrics.DESTINATION_ASSOCIATIONS_OPEN.clear()

    @rule(pair=st.sampled_from([CT, MR]), fails=st.booleans())
    def borrow(self, pair, fails):
        try:
            borrowed = self.pool.borrow(KEY, KEEP, takes(pair))
        except WindowFull:
            assert len(self.lent) == KEEP.window
            return
        if borrowed is None:
            if fails:
                self.pool.not_opened(KEY)
                return
            borrowed = line(KEEP, pair=pair)
            self.pool.opened(KEY)
            self.all.append(borrowed)
        assert borrowed not in self.lent
        self.lent.append(borrowed)

    @precondition(lambda self: self.lent)
    @rule(dies=st.booleans())
    def give_back(self, dies):
        one = self.lent.pop()
        one.association.messages_sent += 40
        if dies:
            one.association.abort()
            self.pool.drop(KEY)
        else:
            self.pool.give(KEY, one)

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds):
        self.now += seconds

    @rule()
    def reap(self):
        self.pool.reap(self.now)
        for thread in threading.enumerate():
            if thread.name == "release":
                thread.join()

    @invariant()
    def the_window_holds(self):
        alive = [one for one in self.all if not one.association.ended]
        assert len(alive) <= KEEP.window
        assert all(not one.association.ended for one in self.lent)
        assert self.pool.at_work(KEY) == len(self.lent)
        assert open_gauge() == len(alive)
        assert (
            repr(self.pool) == f"<Pool: {len(alive) - len(self.lent)} idle, {len(self.lent)} lent>"
        )


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def kept(pool, one, key=KEY):
    pool.borrow(key, one.keep, lambda _: False)
    pool.opened(key)
    pool.give(key, one)


def test_a_worn_line_and_one_that_must_not_idle_are_released():
    pool = Pool()
    worn = line(KEEP, messages_sent=100)
    restless = line(Keep(window=2, idle=0, reuse=10))
    kept(pool, worn)
    kept(pool, restless)
    assert (worn.association.ended, restless.association.ended) == ("released", "released")


def test_settings_that_changed_get_no_line_of_the_old_ones():
    pool = Pool()
    kept(pool, line(KEEP), ("pacs", "old host"))
    assert pool.borrow(("pacs", "new host"), KEEP, takes(CT)) is None
    pool.opened(("pacs", "new host"))
    assert open_gauge() == 2  # the old one ages until it is released


def test_reaping_does_not_wait_for_a_peer_that_does_not_answer():
    pool = Pool(clock=lambda: 0.0)
    answers = threading.Event()
    kept(pool, line(KEEP, slow=answers))
    started = time.monotonic()
    assert pool.reap(31) == 1
    assert time.monotonic() - started < 5
    answers.set()


def test_forgetting_a_destination_aborts_its_idle_lines_and_no_others():
    pool = Pool()
    mine, other = line(KEEP), line(KEEP)
    kept(pool, mine)
    kept(pool, other, ("other", None))
    pool.forget(KEY)
    for thread in threading.enumerate():
        if thread.name == "release":
            thread.join()
    assert (mine.association.ended, other.association.ended) == ("aborted", "")


def test_a_closed_pool_keeps_nothing():
    pool = Pool()
    idle, lent = line(KEEP), line(KEEP)
    kept(pool, idle)
    pool.borrow(KEY, KEEP, takes(MR))
    pool.opened(KEY)
    pool.close()
    pool.give(KEY, lent)
    assert (idle.association.ended, lent.association.ended) == ("released", "released")
    assert repr(pool) == "<Pool: 0 idle, 0 lent>"
    assert open_gauge() == 0


@pytest.mark.parametrize("count", [1, MOST_CONTEXTS, 3 * MOST_CONTEXTS])
def test_only_the_latest_pairs_are_remembered_the_latest_first(count):
    memory = Memory()
    for n in range(count):
        memory.remember([(f"1.{n}", "1.2")])
    pairs = memory.recent_pairs()
    assert len(pairs) == min(count, MOST_CONTEXTS)
    assert pairs[0] == (f"1.{count - 1}", "1.2")
