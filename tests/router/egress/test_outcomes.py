"""What a peer's answer comes to."""

import errno
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.egress import outcomes
from router.egress.outcomes import Charge, Result

DELIVERED = (0x0000, 0x0001, 0xB000, 0xB006, 0xB007, 0xB123, 0x0107, 0x0116, 0x0111)
HELD = (0xA900, 0xA9FF, 0x0122, 0x0124, 0x0117, 0x0118, 0x0119, 0x0105, 0x0106, 0x0120, 0x0121)
UNSUPPORTED = (0x0211, 0x0212)


@pytest.mark.parametrize("status", DELIVERED)
def test_success_warnings_and_duplicates_are_delivered(status):
    outcome = outcomes.of_status(status)
    assert outcome.result is Result.DELIVERED
    assert outcome.status == status


@pytest.mark.parametrize("status", HELD + UNSUPPORTED)
def test_what_no_repetition_can_cure_is_held(status):
    assert outcomes.of_status(status).result is Result.HOLD


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0213])
def test_a_peer_out_of_resources_is_not_the_objects_fault_until_shown(status):
    outcome = outcomes.of_status(status)
    assert outcome.result is Result.RETRY_LATER
    assert outcome.charge is Charge.EITHER


@pytest.mark.parametrize("status", [0xC000, 0xC123, 0xCFFF, 0xFE00, 0x1234, 0xFF00])
def test_dubious_refusals_are_tried_a_few_times(status):
    outcome = outcomes.of_status(status)
    assert (outcome.result, outcome.charge) == (Result.RETRY_LATER, Charge.DELIVERY)
    assert outcome.few_attempts


def test_a_processing_failure_is_tried_for_as_long_as_the_destination_allows():
    outcome = outcomes.of_status(0x0110)
    assert (outcome.result, outcome.few_attempts) == (Result.RETRY_LATER, False)


@given(st.integers(min_value=0, max_value=0xFFFF))
def test_every_status_has_an_outcome_with_a_bounded_reason(status):
    outcome = outcomes.of_status(status)
    assert outcome.reason in outcomes.REASONS
    assert outcome.status == status
    assert re.fullmatch(r"[a-z_]{3,40}", outcome.reason)


def test_a_lost_association_is_charged_to_whoever_proves_guilty():
    lost = outcomes.of_lost_association("aborted", "the peer aborted")
    assert lost.charge is Charge.EITHER
    assert lost.proven(object_is_sick=True).charge is Charge.DELIVERY
    assert lost.proven(object_is_sick=True).few_attempts
    assert lost.proven(object_is_sick=False).charge is Charge.DESTINATION


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "folder_full"),
        (errno.EACCES, "folder_forbidden"),
        (errno.ENOENT, "folder_missing"),
        (errno.EIO, "folder_failed"),
    ],
)
def test_a_sick_folder_is_the_destinations_fault(number, reason):
    outcome = outcomes.of_file_error(OSError(number, "words", "/out/DOE^JANE/1.dcm"))
    assert (outcome.reason, outcome.charge) == (reason, Charge.DESTINATION)
    assert "DOE" not in outcome.words


def test_a_name_the_file_system_refuses_is_the_deliverys_fault():
    outcome = outcomes.of_file_error(OSError(errno.ENAMETOOLONG, "File name too long"))
    assert outcome.result is Result.HOLD
