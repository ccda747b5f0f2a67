"""Which of the standard's codes is meant for an attribute, with the options of a profile.

X remove, Z empty, D a dummy, U another UID, K keep, C clean (PS3.15 table E.1-1a).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rules.deid.table import Option, Row, row_of, type_of
from rules.editing.keyed import NAMING
from rules.encoded.values import TEXT, standard_vr

TEMPORAL: Final = frozenset({"DA", "DT", "TM"})
REMOVED: Final = frozenset({0x4FFE0001})
"""MAC Parameters Sequence: belongs to the signatures, which the table removes."""
_MODIFIED: Final = Option.RETAIN_MODIFIED_DATES
_MOVABLE: Final = TEMPORAL | {"SH", "SQ"}
"""Moving dates by whole days does nothing to times, and to Timezone Offset From UTC (SH)."""
CLEANABLE: Final = (TEXT - {"PN"}) | {"AE", "CS"}
TEXT_VALUE: Final = 0x0040A160
FREE: Final = frozenset({"LT", "ST", "UC", "UT"})
"""What people write at length, in attributes that the table does not name."""
CODING: Final = frozenset(range(0x00080100, 0x00080124))
"""Codes and what they mean."""


class Plan:
    """The codes of a profile. One plan serves any number of objects."""

    __slots__ = ("_codes", "options")

    def __init__(self, options: Collection[Option]) -> None:
        self.options = frozenset(options)
        self._codes: dict[tuple[int, str], str] = {}

    def code(self, tag: int, vr: str) -> str:
        """The code of a standard attribute, a compound one as it stands in the table; by the VR
        where the table says nothing."""
        found = self._codes.get((tag, vr))
        if found is None:
            row = row_of(tag)
            found = self._listed(row, vr) if row is not None else self._unlisted(tag, vr)
            self._codes[tag, vr] = found
        return found

    def by_vr(self, vr: str) -> str:
        """The code of what no table knows, such as a private attribute that is retained."""
        if vr in TEMPORAL:
            if Option.RETAIN_FULL_DATES in self.options:
                return "K"
            return "C" if Option.RETAIN_MODIFIED_DATES in self.options else "D"
        if vr == "UI":
            return "K" if Option.RETAIN_UIDS in self.options else "U"
        return "D" if vr == "PN" else "K"

    def _listed(self, row: Row, vr: str) -> str:
        codes = {
            row.options[option]
            for option in self.options
            if option in row.options and (option is not _MODIFIED or vr in _MOVABLE)
        }
        # Where two options speak, the one that retains less.
        return "C" if "C" in codes else "K" if "K" in codes else row.basic

    def _unlisted(self, tag: int, vr: str) -> str:
        if tag >> 16 <= 0x0007 or tag in REMOVED or standard_vr(tag) is None:
            return "X"  # of a message or a file, or an attribute that nobody knows
        if tag >> 24 == 0x60:
            return "X"  # what describes an overlay that the table removes
        if tag in NAMING:
            return "K"
        code = self.by_vr(vr)
        meant = standard_vr(tag) or vr
        if code == "K" and meant != vr:
            code = self.by_vr(meant)  # a date is one in whatever VR somebody wrote it
            code = "D" if code == "C" else code
        if code != "K" or tag in CODING:
            return code
        if "UR" in (vr, meant):
            return "X"  # servers, and the UIDs of what they have
        is_text = vr in TEXT and meant not in TEXT  # where a number belongs
        return "C" if FREE & {vr, meant} or is_text else "K"


def resolved(code: str, tag: int, *, sop_class_uid: str, sequence: int | None) -> str:
    """One letter for a compound code: what leaves the object valid (PS3.15 E.1.1)."""
    if "/" not in code:
        return code
    if code.endswith("*"):
        return "U"  # what other modules say of references stays true
    first, *others = code.split("/")
    kind = type_of(tag, sop_class_uid=sop_class_uid, sequence=sequence)
    if kind in ("1", "1C"):
        return others[-1]
    if kind in ("2", "2C") and "Z" in code:
        return "Z"
    return others[-1] if kind in ("2", "2C") else first


def is_cleanable(tag: int, vr: str) -> bool:
    """Text of a content tree that is cleaned rather than removed with its attribute."""
    row = row_of(tag)
    return vr in CLEANABLE - {"AE", "CS"} and (
        row is None or Option.CLEAN_DESCRIPTORS in row.options
    )
