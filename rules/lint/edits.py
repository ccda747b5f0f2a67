"""Edits that undo each other, do nothing, hold objects unawares, or give all the same identity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from rules.editing.schema_structure import Remove
from rules.lint.findings import Finding, at
from rules.lint.wanted import Wanted, wanted
from rules.routes import CompiledRoute
from rules.tags import AttributePath

IDENTITY = {
    "SOPInstanceUID": "every object would get the same identity, and replace the last",
    "SeriesInstanceUID": "the objects of all series would be in one",
    "StudyInstanceUID": "the objects of all patients would be in one study",
}
ALWAYS = frozenset(
    {*IDENTITY, "SOPClassUID", "Modality", "PatientID", "PatientName", "StudyDate", "StudyTime"}
)
"""What every object has to have, and practically every one has (PS3.3 A.1.3, types 1 and 2)."""


def of_edits(route: CompiledRoute) -> Iterator[Finding]:
    """All that is odd in the edits of one route."""
    conditions = wanted(route)
    yield from _same_identity(route)
    yield from _undone(route)
    yield from _told_anyway(route)
    yield from _on_what_is_absent(route, conditions)
    yield from _may_hold(route, conditions)
    yield from _without_effect(route, conditions)


def _same_identity(route: CompiledRoute) -> Iterator[Finding]:
    for index, edit in enumerate(route.route.edits):
        if isinstance(edit, Set):
            for path, template in edit.values.items():
                message = IDENTITY.get(str(path))
                if message is not None and template.is_constant:
                    place = ("edits", index, "set", str(path))
                    fix = 'Use a field, such as "{SOPInstanceUID}.1", or new_uid'
                    yield at(route, place, "same-identity", message, fix=fix)


def _undone(route: CompiledRoute) -> Iterator[Finding]:
    """What an edit writes, and a later one throws away unread."""
    edits = route.route.edits
    for index, edit in enumerate(edits):
        for path in _written(edit):
            for later in edits[index + 1 :]:
                if _reads(later, path):
                    break
                if path in _thrown_away(later):
                    word = _word(later)
                    message = f"{path} is written here, and thrown away by a later {word}"
                    fix = "Drop one of the two, or exchange them"
                    yield at(route, ("edits", index), "undone-edit", message, fix=fix)
                    break


def _told_anyway(route: CompiledRoute) -> Iterator[Finding]:
    """Pseudonyms on a route that records what was there before."""
    for index, edit in enumerate(route.route.edits):
        if route.route.record and isinstance(edit, Hash | NewUid | ShiftDates):
            message = "the object would still say what its values were (0400,0561)"
            fix = "Write `record: false` beside edits"
            yield at(route, ("edits", index), "pseudonym-undone", message, fix=fix)


def _word(edit: Edit) -> str:
    (name,) = [info.alias or name for name, info in type(edit).model_fields.items()]
    return name


def _written(edit: Edit) -> tuple[AttributePath, ...]:
    match edit:
        case Set() | SetIfMissing() | Prefix() | Suffix():
            return tuple(edit.values)
        case Copy() | Move():
            return (edit.ends.target,)
        case Upper() | Lower() | Strip():
            return edit.paths
        case Replace():
            return (edit.replacement.tag,)
        case _:
            return ()


def _thrown_away(edit: Edit) -> tuple[AttributePath, ...]:
    match edit:
        case Set():
            return tuple(edit.values)
        case Copy() | Move():
            return (edit.ends.target,)
        case Remove():
            return tuple(one for one in edit.targets if isinstance(one, AttributePath))
        case _:
            return ()


def _reads(edit: Edit, path: AttributePath) -> bool:
    """Whether an edit may look at the attribute before it is written anew; those that reach
    wherever they reach (lookup, hash, shift_dates …) do."""
    match edit:
        case Set():
            return any(path in template.fields for template in edit.values.values())
        case SetIfMissing() | Prefix() | Suffix():
            fields = any(path in template.fields for template in edit.values.values())
            return fields or path in edit.values
        case Copy() | Move():
            return path == edit.ends.source
        case Remove():
            return False
        case Upper() | Lower() | Strip() | Replace():
            return path in _written(edit)
        case _:
            return True


def _on_what_is_absent(route: CompiledRoute, conditions: Sequence[Wanted]) -> Iterator[Finding]:
    absent = {
        each.fact.path for each in conditions if each.must and each.condition.present is False
    }
    for index, edit in enumerate(route.route.edits):
        match edit:
            case Prefix() | Suffix():
                paths = tuple(edit.values)
            case Upper() | Lower() | Strip():
                paths = edit.paths
            case Replace():
                paths = (edit.replacement.tag,)
            case Remove():
                paths = tuple(one for one in edit.targets if isinstance(one, AttributePath))
            case _:
                paths = ()
        for path in paths:
            if path in absent:
                message = f"does nothing: {path} is absent, as `when` wants it"
                fix = "Drop it, or use set"
                yield at(route, ("edits", index), "useless-edit", message, fix=fix)


def _may_hold(route: CompiledRoute, conditions: Sequence[Wanted]) -> Iterator[Finding]:
    """Fields, copies and moves of an attribute that not every object needs to have."""
    sure = {
        each.fact.path
        for each in conditions
        if each.must and each.condition.present is not False and each.condition.words
    }
    for index, edit in enumerate(route.route.edits):
        for path in _needed(edit):
            if path not in sure and str(path) not in ALWAYS:
                message = f"an object without {path} is held: `when` does not ask for it"
                fix = f"Write {path}: {{present: true}} under when, if others should pass by"
                yield at(route, ("edits", index), "may-hold", message, fix=fix, level="hint")
        sure |= set(_written(edit)) if isinstance(edit, Set | SetIfMissing | Copy | Move) else set()


def _needed(edit: Edit) -> list[AttributePath]:
    match edit:
        case Set() | SetIfMissing() | Prefix() | Suffix():
            fields = [field for one in edit.values.values() for field in one.fields]
            return list(dict.fromkeys(fields))
        case Copy() | Move():
            return [edit.ends.source]
        case _:
            return []


def _without_effect(route: CompiledRoute, conditions: Sequence[Wanted]) -> Iterator[Finding]:
    """`set` to the value that the object must have anyway."""
    values = {
        str(each.fact.path): each.condition.value
        for each in conditions
        if each.must and each.fact.path is not None and each.condition.value is not None
    }
    for index, edit in enumerate(route.route.edits):
        if isinstance(edit, Set):
            for path, template in edit.values.items():
                if template.is_constant and values.get(str(path)) == template.text:
                    message = f"does nothing: `when` wants {path} to be this already"
                    place = ("edits", index, "set", str(path))
                    yield at(route, place, "useless-edit", message, fix="Drop it", level="hint")
