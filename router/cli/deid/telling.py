"""What de-identification did to each attribute of an object, and by which row of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from rules.deid.leaves import Leaf, leaves_of
from rules.deid.profile import Profile
from rules.deid.table import row_of
from rules.edits import Edited, apply_edits
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.draft import Draft

LONGEST: Final = 200
"""Characters of a value that are told."""

DEEDS: Final = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced",
    "U": "new UID",
    "C": "cleaned",
    "K": "kept",
}


PRIVATE = "Private Attributes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One attribute. `row`: the name of its row in table E.1-1; `listed` the code that the row and
    the options give; `done` the letter that was carried out. Empty where the table says nothing,
    and for what the engine wrote. The values are the patient's; None: not there."""

    path: str
    tag: int
    vr: str
    row: str
    listed: str
    done: str
    before: str | None
    after: str | None

    @property
    def deed(self) -> str:
        """What happened, in a word or two."""
        if self.before is None:
            return "added"
        if self.done != "X" and self.after is None:
            return "removed"
        if self.done == "Z" and self.after:
            return "replaced"
        same = self.before == self.after
        return "kept" if same and self.done in ("C", "D", "U", "Z") else DEEDS[self.done or "K"]


def tell(
    original: EncodedDataSet,
    profile: Profile,
    opened: Callable[[EncodedDataSet, Edited], EncodedDataSet],
) -> tuple[list[Told], Edited]:
    """Every value before and after. `opened` makes a data set of the edited pieces.

    EditFailed where the profile refuses the object, MalformedDataSet where it makes no sense.
    """
    codes: dict[tuple[int, int], tuple[str, str]] = {}

    def note(draft: Draft, number: int, listed: str, done: str) -> None:
        if not draft.is_new:
            codes[draft.level.start, number] = listed, done

    edited = apply_edits((), original, record=None, profile=profile, told=note)
    result = opened(original, edited)
    after = {leaf.path: leaf for leaf in leaves_of(result)}
    told = list(_told(original, codes, after))
    known = {one.path for one in told}
    told += [
        Told(
            path=path,
            tag=leaf.tag,
            vr=leaf.vr,
            row="",
            listed="",
            done="",
            before=None,
            after=shown_value(leaf),
        )
        for path, leaf in after.items()
        if path not in known
    ]
    return told, edited


def _told(
    original: EncodedDataSet,
    codes: dict[tuple[int, int], tuple[str, str]],
    after: dict[str, Leaf],
) -> Iterator[Told]:
    for leaf in leaves_of(original):
        found = after.get(leaf.path)
        row = row_of(leaf.tag) if not leaf.tag & 0x10000 else None
        name = row.name if row is not None else PRIVATE if leaf.tag & 0x10000 else ""
        # What is in a sequence that went as a whole was not asked for.
        listed, done = codes.get((leaf.level.start, leaf.tag), ("", "" if found else "X"))
        yield Told(
            path=leaf.path,
            tag=leaf.tag,
            vr=leaf.vr,
            row=name,
            listed=listed,
            done=done,
            before=shown_value(leaf),
            after=shown_value(found) if found is not None else None,
        )


def shown_value(leaf: Leaf) -> str:
    """The values as one text, cut off where they are long."""
    if leaf.stop - leaf.start > 1 << 16:
        return f"<{leaf.stop - leaf.start} bytes>"
    text = "\\".join(leaf.texts())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def tag_text(number: int) -> str:
    """(gggg,eeee)"""
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"
