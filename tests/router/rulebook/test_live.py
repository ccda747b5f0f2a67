"""What changes without a restart, and what is said of the rest."""

import re
from pathlib import Path

import pytest

from router.config import Site
from router.rulebook.live import LIVE, changed, need_restart

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
        ({"destinations": [{"name": "a", "folder": {"path": "a", "writers": 4}}]}, ["workers"]),
    ],
)
def test_what_waits_for_a_restart_is_named(settings: dict[str, object], named: list[str]) -> None:
    assert need_restart(site(), site(**settings)) == named


def test_the_rest_stays_as_it_was_at_the_start() -> None:
    now = changed(site(), site(on_no_match="discard", duplicates="refuse"))
    assert (now.on_no_match, now.duplicates) == ("discard", "route")
