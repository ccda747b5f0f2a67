"""Text from outside, made fit for a column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ledger.texts import bounded, required


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", ""),
        ("CT01", "CT01"),
        ("abcdefgh", "abcdef"),
        ("a\0b", "ab"),
        ("é\0è", "éè"),
        ("\ud83d", "?"),
        ("患者", "患者"),
    ],
)
def test_what_is_kept(text, kept):
    assert bounded(text, 6) == kept
    assert required(text or "", 6) == (kept or "")


@given(st.text(st.characters(codec=None), max_size=20), st.integers(0, 20))
def test_nothing_is_left_that_a_database_refuses(text, limit):
    kept = bounded(text, limit)
    assert kept is not None
    assert len(kept) <= limit
    assert "\0" not in kept
    kept.encode("utf-8")
