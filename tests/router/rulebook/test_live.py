"""What changes without a restart, and what is said of the rest."""

import re
from pathlib import Path

import pytest

from router.config import Site
from router.rulebook.live import LIVE, changed, lacks_threads, need_restart

BASE = {"listeners": [{"name": "main", "ae_title": "ROUTER"}]}
PAGE = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")


def site(**settings: object) -> Site:
    return Site.model_validate({**BASE, **settings})


def test_the_page_names_what_changes_without_a_restart() -> None:
    sentence = re.search(r"\*\*Of the site's file\*\*,(.*?) change\s", PAGE, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == list(LIVE)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"on_no_match": "discard", "loops": {"receptions": 9}}, []),
        ({"log": {"level": "debug"}, "duplicates": "refuse"}, ["duplicates", "log"]),
        ({"workers": {"egress": 9}}, ["workers"]),
        ({"destinations": [{"name": "a", "folder": {"path": "a", "writers": 4}}]}, []),
    ],
)
def test_what_waits_for_a_restart_is_named(settings: dict[str, object], named: list[str]) -> None:
    assert need_restart(site(), site(**settings)) == named


def test_destinations_may_want_more_threads_than_there_are() -> None:
    several = [{"name": f"d{n}", "folder": {"path": "a", "writers": 4}} for n in range(8)]
    assert not lacks_threads(site(), site(destinations=several[:4]))
    assert lacks_threads(site(), site(destinations=several))
    assert not lacks_threads(site(destinations=several[:4]), site(destinations=several))
    # Who says how many has been told that the setting waits for a restart.
    assert not lacks_threads(site(), site(workers={"egress": 9}))


def test_the_rest_stays_as_it_was_at_the_start() -> None:
    now = changed(site(), site(on_no_match="discard", duplicates="refuse"))
    assert (now.on_no_match, now.duplicates) == ("discard", "route")
