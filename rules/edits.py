"""Carries out the edits of a route on an encoded data set, by splicing.

What an edit touches is encoded anew; all the rest is passed on by reference. All of a route's
edits are done or none: EditFailed, and nothing is sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from rules.draft import Draft, EditFailed
from rules.edits_pixels import Burn, TransferSyntax
from rules.edits_schema import (
    Copy,
    Edit,
    Lower,
    Move,
    Prefix,
    Remove,
    Replace,
    Set,
    SetIfMissing,
    Strip,
    Suffix,
    Upper,
)
from rules.encoded import EncodedDataSet, Piece
from rules.encoded_forms import DEFLATED
from rules.recording import Recording, record_originals
from rules.tags import AttributePath, Tag, TagPattern
from rules.templates import Template

__all__ = ["EditFailed", "Edited", "PixelEdit", "Recording", "apply_edits"]

PixelEdit: TypeAlias = TransferSyntax | Burn

_SOP_CLASS_UID = Tag(0x0008, 0x0016)
_SOP_INSTANCE_UID = Tag(0x0008, 0x0018)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """An edited data set: the pieces one after the other. `changed` names what is different at
    the top level, without what records the change; empty: the object is as it came.
    `pixel_edits` are still to be carried out, on what the pieces are, in this order."""

    pieces: tuple[Piece, ...]
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    changed: tuple[str, ...]
    pixel_edits: tuple[PixelEdit, ...] = ()


def apply_edits(
    edits: Sequence[Edit], data_set: EncodedDataSet, *, record: Recording | None
) -> Edited:
    """The data set with the edits done in order, each seeing what those before it did.

    EditFailed where one cannot be carried out, MalformedDataSet where the header makes no sense.
    Digital signatures do not outlast a change of what they may sign.
    With a Recording, the previous values go into the Original Attributes Sequence.
    """
    data_set.root.complete()
    draft = Draft(data_set, data_set.root, data_set.charset)
    for edit in edits:
        _apply(edit, draft)
    draft.drop_signatures()
    changed = draft.changed()
    if record is not None and changed:
        record_originals(draft, record, changed)
    return Edited(
        pieces=_pieces(draft, data_set),
        sop_class_uid=_uid(draft, _SOP_CLASS_UID),
        sop_instance_uid=_uid(draft, _SOP_INSTANCE_UID),
        transfer_syntax_uid=data_set.transfer_syntax_uid,
        changed=tuple(str(Tag(tag >> 16, tag & 0xFFFF)) for tag in changed),
        pixel_edits=tuple(edit for edit in edits if isinstance(edit, PixelEdit)),
    )


def _apply(edit: Edit, draft: Draft) -> None:
    match edit:
        case Set() | SetIfMissing():
            for path, template in edit.values.items():
                _set(draft, path, template, only_missing=isinstance(edit, SetIfMissing))
        case Prefix() | Suffix():
            for path, template in edit.values.items():
                _affix(draft, path, template, before=isinstance(edit, Prefix))
        case Remove():
            for target in edit.targets:
                _remove(draft, target)
        case Copy():
            _copy(draft, edit.ends.source, edit.ends.target)
        case Move():
            _copy(draft, edit.ends.source, edit.ends.target)
            draft.remove(edit.ends.source.tag)
        case Replace():
            _change(draft, (edit.replacement.tag,), edit.replacement.apply)
        case Upper() | Lower() | Strip():
            _change(draft, edit.paths, _LETTERS[type(edit)])
        case TransferSyntax() | Burn():
            pass  # the caller's, after all others
        case _:
            assert_never(edit)


_LETTERS: dict[type, Callable[[str], str]] = {Upper: str.upper, Lower: str.lower, Strip: str.strip}


def _set(draft: Draft, path: AttributePath, template: Template, *, only_missing: bool) -> None:
    text = _rendered(draft, template)
    for level in draft.at(path.steps[:-1]):
        current = level.current(path.tag) if only_missing else None
        if current is None or not current.data.strip(b" \0"):
            level.write_text(path.tag, text)


def _remove(draft: Draft, target: AttributePath | TagPattern) -> None:
    if isinstance(target, TagPattern):
        draft.remove_matching(target)
        return
    for level in draft.at(target.steps[:-1]):
        level.remove(target.tag)


def _copy(draft: Draft, source: AttributePath, target: AttributePath) -> None:
    value = draft.current(source.tag)
    if value is None:
        raise EditFailed(f"{source} is absent")
    number = draft.number(target.tag)
    if number is not None and value.vr == draft.vr_for(target.tag, number):
        draft.write(number, value)
    else:
        draft.write_text(target.tag, "\\".join(draft.values(source.tag) or ()))


def _affix(draft: Draft, path: AttributePath, template: Template, *, before: bool) -> None:
    text = _rendered(draft, template)
    _change(draft, (path,), lambda value: text + value if before else value + text)


def _change(draft: Draft, paths: Sequence[AttributePath], change: Callable[[str], str]) -> None:
    """Every value that is not empty becomes what `change` makes of it."""
    for path in paths:
        for level in draft.at(path.steps[:-1]):
            values = level.values(path.tag)
            if values:
                changed = [change(value) if value else value for value in values]
                level.write_text(path.tag, "\\".join(changed))


def _rendered(draft: Draft, template: Template) -> str:
    return template.render(lambda path: _field(draft, path))


def _field(draft: Draft, path: AttributePath) -> str:
    """What a field of a template stands for; of several items their values, one after another."""
    found = [level.values(path.tag) for level in draft.at(path.steps[:-1])]
    present = [values for values in found if values is not None]
    if not present:
        raise EditFailed(f"{path} is absent")
    return "\\".join(value for values in present for value in values)


def _uid(draft: Draft, tag: Tag) -> str:
    values = draft.values(tag)
    if not values:
        raise EditFailed(f"the object has no {tag}")
    return values[0]


def _pieces(draft: Draft, data_set: EncodedDataSet) -> tuple[Piece, ...]:
    pieces = tuple(draft.pieces())
    if data_set.transfer_syntax_uid != DEFLATED:
        return pieces
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = b"".join(
        deflater.compress(
            piece if isinstance(piece, bytes) else data_set.view(piece.offset, piece.length)
        )
        for piece in pieces
    )
    deflated += deflater.flush()
    return (deflated + b"\0" * (len(deflated) % 2),)
