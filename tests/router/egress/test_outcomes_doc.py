"""docs/outcomes.md is what the code does, and a site may say what a status means."""

import pytest

from router.config import Destination
from router.config_destinations import DicomDestination
from router.egress import outcomes
from router.egress.outcomes import Charge, Result
from scripts import outcomes_page


def test_the_page_is_current() -> None:
    assert outcomes_page.PAGE.read_text(encoding="utf-8") == outcomes_page.page(), (
        "run python -m scripts.outcomes_page"
    )


@pytest.mark.parametrize(
    ("word", "result"),
    [
        ("delivered", Result.DELIVERED),
        ("retry", Result.RETRY_LATER),
        ("fail", Result.GIVE_UP),
        ("hold", Result.HOLD),
    ],
)
def test_a_site_says_what_a_status_means(word: str, result: Result) -> None:
    outcome = outcomes.of_status(0xC000, {0xC000: word})
    assert (outcome.result, outcome.charge, outcome.status) == (result, Charge.DELIVERY, 0xC000)
    assert "C000" in outcome.words
    assert outcomes.of_status(0xC001, {0xC000: word}) == outcomes.of_status(0xC001)


def made(**outcomes: str) -> Destination:
    dicom = DicomDestination(ae_title="PACS", host="pacs")
    return Destination.model_validate({"name": "pacs", "dicom": dicom, "outcomes": outcomes})


def test_statuses_are_four_hexadecimal_digits_in_quotes() -> None:
    assert made(C000="hold").outcomes == {0xC000: "hold"}
    with pytest.raises(ValueError, match="four hexadecimal digits in quotes"):
        made(**{"111": "delivered"})
    with pytest.raises(ValueError, match="'delivered', 'retry', 'fail' or 'hold'"):
        made(C000="lost")
