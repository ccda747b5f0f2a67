"""When a delivery is tried again, and when it is not."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from router.config import Probe, Retry
from router.egress import outcomes
from router.egress.outcomes import Charge, Outcome, Result
from router.egress.retry import decide, wait

RETRY = Retry(first=30.0, factor=2.0, most=600.0, give_up_after=3600.0, object_attempts=3)
BUSY = outcomes.of_status(0x0110)
MIDDLE = 0.5  # no spread


def test_waits_grow_to_the_most_and_stay_there():
    waits = [round(wait(RETRY, n, MIDDLE)) for n in range(1, 8)]
    assert waits == [30, 60, 120, 240, 480, 600, 600]
    assert round(wait(Probe(), 1, MIDDLE)) == 15


@given(st.integers(min_value=-1, max_value=10**9), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_spread_by_a_fifth_and_never_overflows(failures, chance):
    middle = wait(RETRY, failures, MIDDLE)
    assert 0.79 * middle <= wait(RETRY, failures, chance) <= 1.21 * middle


def test_each_final_result_has_its_state():
    for outcome, state in (
        (outcomes.delivered(), "delivered"),
        (outcomes.hold("x", "x"), "held"),
        (Outcome(result=Result.GIVE_UP, reason="x", words="x"), "failed"),
    ):
        decision = decide(outcome, attempts=0, age=0, retry=RETRY, chance=MIDDLE)
        assert (decision.state, decision.attempts, decision.wait) == (state, 1, None)


def test_a_failure_of_the_delivery_costs_an_attempt_and_a_growing_wait():
    decision = decide(BUSY, attempts=1, age=100, retry=RETRY, chance=MIDDLE)
    assert (decision.state, decision.attempts, decision.wait) == ("waiting", 2, 60)


def test_a_failure_of_the_destination_costs_the_delivery_nothing():
    down = outcomes.of_no_association("connect_failed", "nobody answers")
    decision = decide(down, attempts=7, age=10**9, retry=RETRY, chance=MIDDLE)
    assert (decision.state, decision.attempts, decision.wait) == ("waiting", 7, 0)


def test_an_object_the_peer_cannot_understand_is_given_up_after_a_few_attempts():
    outcome = outcomes.of_status(0xC000)
    states = [
        decide(outcome, attempts=n, age=1, retry=RETRY, chance=MIDDLE).state for n in range(4)
    ]
    assert states == ["waiting", "waiting", "failed", "failed"]


def test_a_delivery_that_keeps_failing_is_given_up_by_age():
    assert decide(BUSY, attempts=90, age=3599, retry=RETRY, chance=0).state == "waiting"
    aged = decide(BUSY, attempts=90, age=3600, retry=RETRY, chance=0)
    assert aged.state == "failed"
    assert "given up" in aged.words


@given(
    st.integers(0, 0xFFFF),
    st.sampled_from(Charge),
    st.integers(0, 10**6),
    st.floats(0, 10**9),
)
def test_every_outcome_leads_to_one_state_and_waits_only_when_waiting(status, charge, tries, age):
    outcome = replace(outcomes.of_status(status), charge=charge)
    decision = decide(outcome, attempts=tries, age=age, retry=RETRY, chance=MIDDLE)
    assert (decision.state == "waiting") == (decision.wait is not None)
    assert decision.attempts - tries in (0, 1)
