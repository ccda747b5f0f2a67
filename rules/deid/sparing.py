"""What a profile decides itself, so that the table does not: what its edits write, and `keep`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rules.deid.profile import Profile
from rules.editing.schema import (
    Copy,
    Edit,
    Lower,
    Move,
    Prefix,
    Replace,
    Set,
    SetIfMissing,
    Strip,
    Suffix,
    Upper,
)
from rules.editing.schema_keyed import Hash, NewUid, ShiftDates
from rules.editing.schema_lookup import Lookup, Map
from rules.editing.schema_structure import AddItem
from rules.encoded.draft import Draft
from rules.tags import AttributePath, Tag, TagPattern


class Spared:
    """Attributes of one draft, by level and number."""

    def __init__(self, draft: Draft, profile: Profile) -> None:
        self._draft = draft
        self._patterns = [one for one in profile.keep if isinstance(one, TagPattern)]
        self._attributes: dict[tuple[int, int], Draft] = {}
        self._opened: dict[tuple[int, int], Draft] = {}
        self._items: dict[int, Draft] = {}
        for one in profile.keep:
            if isinstance(one, AttributePath):
                self._spare(one)

    def carry_out(self, edit: Edit, apply: Callable[[Edit, Draft], None]) -> None:
        """Do an edit of the profile, and spare what it wrote."""
        apply(edit, self._draft)
        for path in _written_by(edit):
            self._spare(path)
        if isinstance(edit, AddItem):
            to = edit.adding.to
            self._open(to.steps)
            for level in self._draft.at(to.steps[:-1]):
                item = level.items(level.claim(to.tag))[-1]
                self._items[id(item)] = item

    def has(self, draft: Draft, number: int) -> bool:
        """Whether the attribute itself is spared."""
        return (id(draft), number) in self._attributes or any(
            pattern.matches(number) for pattern in self._patterns
        )

    def holds(self, draft: Draft, number: int) -> bool:
        """Whether something below it is: the sequence stays, and is gone through."""
        return (id(draft), number) in self._opened

    def is_whole(self, item: Draft) -> bool:
        """An item that the profile made."""
        return id(item) in self._items

    def _spare(self, path: AttributePath) -> None:
        self._open(path.steps[:-1])
        for level in self._draft.at(path.steps[:-1]):
            number = level.number(path.tag)
            if number is not None:
                self._attributes[id(level), number] = level

    def _open(self, steps: tuple[Tag, ...]) -> None:
        for depth, step in enumerate(steps):
            for level in self._draft.at(steps[:depth]):
                number = level.number(step)
                if number is not None:
                    self._opened[id(level), number] = level


def _written_by(edit: Edit) -> Iterator[AttributePath]:
    match edit:
        case Set() | SetIfMissing() | Prefix() | Suffix():
            yield from edit.values
        case Copy() | Move():
            yield edit.ends.target
        case Replace():
            yield edit.replacement.tag
        case Upper() | Lower() | Strip():
            yield from edit.paths
        case Lookup() | Map():
            yield edit.replacing.tag
        case Hash():
            yield from edit.hashing.tag
        case NewUid():
            yield from edit.renumbering.tag
        case ShiftDates():
            yield from edit.shifting.tag
        case _:
            return
