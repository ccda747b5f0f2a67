"""What identifies in an object, read before it is taken out: to be found in its free texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rules.deid.actions import Plan
from rules.deid.cleaning import Vocabulary
from rules.deid.table import row_of
from rules.encoded.draft import Draft, EditFailed
from rules.tags import Tag

_TELLING: Final = frozenset({"LO", "SH"})


def gathered(draft: Draft, plan: Plan) -> Vocabulary:
    """Of every level."""
    names: list[str] = []
    others: list[str] = []
    for vr, value in _identifying(draft, plan):
        (names if vr == "PN" else others).append(value)
    return Vocabulary(names, others)


def _identifying(draft: Draft, plan: Plan) -> Iterator[tuple[str, str]]:
    """VR and each value of the names, numbers and places that the profile does not keep."""
    for level, number, vr in draft.every():
        if vr != "PN" and (vr not in _TELLING or row_of(number) is None):
            continue
        if plan.code(number, vr) in ("K", "C"):
            continue
        try:
            values = level.values(Tag(number >> 16, number & 0xFFFF))
        except EditFailed:
            continue
        for value in values or ():
            if value:
                yield vr, value
