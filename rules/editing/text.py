"""Carries out the edits of texts on a draft: what is written, where from, and how it is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rules.editing.schema_lookup import LookupTable, MappedValues
from rules.editing.templates import Template
from rules.encoded.draft import Draft, EditFailed
from rules.tags import AttributePath


def set_text(draft: Draft, path: AttributePath, template: Template, *, only_missing: bool) -> None:
    text = rendered(draft, template)
    for level in draft.at(path.steps[:-1]):
        current = level.current(path.tag) if only_missing else None
        if current is None or not current.data.strip(b" \0"):
            level.write_text(path.tag, text)


def copy_text(draft: Draft, source: AttributePath, target: AttributePath) -> None:
    """The bytes where both have the same VR at the top level, else the text. EditFailed where the
    source is absent."""
    value = None if source.is_nested or target.is_nested else draft.current(source.tag)
    number = draft.number(target.tag)
    if value is not None and number is not None and value.vr == draft.vr_for(target.tag, number):
        draft.write(number, value)
        return
    text = _field(draft, source)
    for level in draft.at(target.steps[:-1]):
        level.write_text(target.tag, text)


def look_up(draft: Draft, replacing: LookupTable | MappedValues) -> None:
    """What stands for the value of `from`, or for every value of the attribute itself."""
    rows = replacing.rows
    tag = replacing.tag.tag
    whole = None if replacing.source is None else _whole(draft, replacing.source)
    for level in draft.at(replacing.tag.steps[:-1]):
        values = level.values(tag) if whole is None else whole
        found = [rows.get(value.strip(), _MISSING) for value in values or ("",)]
        if _MISSING not in found:
            level.write_text(tag, "\\".join(found))
            continue
        match replacing.missing:
            case "hold":
                asked = replacing.source or replacing.tag
                raise EditFailed(f"{asked}: {replacing.name} has nothing for its value")
            case "remove":
                level.remove(tag)
            case "keep":
                if whole is None and values:
                    pairs = zip(values, found, strict=True)
                    kept = [old if new == _MISSING else new for old, new in pairs]
                    level.write_text(tag, "\\".join(kept))
            case Template() as template:
                text = rendered(draft, template)
                if whole is None:
                    text = "\\".join(text if new == _MISSING else new for new in found)
                level.write_text(tag, text)


_MISSING = "\0"
"""Stands for a row that is not there; no row holds it."""


def _whole(draft: Draft, path: AttributePath) -> tuple[str, ...]:
    """The values as one text; of several items those of all."""
    try:
        return (_field(draft, path),)
    except EditFailed:
        return ("",)


def affix(draft: Draft, path: AttributePath, template: Template, *, before: bool) -> None:
    text = rendered(draft, template)
    change_text(draft, (path,), lambda value: text + value if before else value + text)


def change_text(draft: Draft, paths: Sequence[AttributePath], change: Callable[[str], str]) -> None:
    """Every value that is not empty becomes what `change` makes of it."""
    for path in paths:
        for level in draft.at(path.steps[:-1]):
            values = level.values(path.tag)
            if values:
                changed = [change(value) if value else value for value in values]
                level.write_text(path.tag, "\\".join(changed))


def rendered(draft: Draft, template: Template) -> str:
    return template.render(lambda path: _field(draft, path))


def _field(draft: Draft, path: AttributePath) -> str:
    """What a field of a template stands for; of several items their values, one after another."""
    found = [level.values(path.tag) for level in draft.at(path.steps[:-1])]
    present = [values for values in found if values is not None]
    if not present:
        raise EditFailed(f"{path} is absent")
    return "\\".join(value for values in present for value in values)
