"""Carries out the edits of a route on an encoded data set, by splicing.

What an edit touches is encoded anew; all the rest is passed on by reference. All of a route's
edits are done or none: EditFailed, and nothing is sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, assert_never

from rules.deid.comments import blanked, comments_in, has_sound_table
from rules.deid.engine import Told, deidentify
from rules.deid.overlays import may_have_overlay_in_unused_bits
from rules.deid.profile import Profile
from rules.deid.regions import boxes_of
from rules.deid.surplus import surplus_of
from rules.editing.keyed import hash_values, renumber, shift_dates
from rules.editing.recoding import to_unicode
from rules.editing.recording import Recording, record_originals
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
from rules.editing.schema_pixels import Burn, Burning, ClearUnusedBits, TransferSyntax
from rules.editing.schema_structure import AddItem, Charset, KeepOnly, Remove
from rules.editing.structure import add_item, keep_only, remove
from rules.editing.text import affix, change_text, copy_text, look_up, rendered, set_text
from rules.encoded.data_set import EncodedDataSet, Piece
from rules.encoded.draft import Draft, EditFailed, NeedsUnicode
from rules.encoded.forms import DEFLATED
from rules.encoded.pictures import pixel_element
from rules.tags import Tag

__all__ = ["EditFailed", "Edited", "PixelEdit", "Recording", "apply_edits"]

PixelEdit: TypeAlias = TransferSyntax | Burn | ClearUnusedBits

_SOP_CLASS_UID = Tag(0x0008, 0x0016)
_SOP_INSTANCE_UID = Tag(0x0008, 0x0018)
_ACCESSION_NUMBER = Tag(0x0008, 0x0050)
_PATIENT_ID = Tag(0x0010, 0x0020)
_STUDY_INSTANCE_UID = Tag(0x0020, 0x000D)
_SERIES_INSTANCE_UID = Tag(0x0020, 0x000E)
_BURNED_IN = Tag(0x0028, 0x0301)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """An edited data set: the pieces one after the other. `changed` names what is different at
    the top level, without what records the change; empty: the object is as it came.
    `pixel_edits` are still to be carried out, on what the pieces are, in this order. What people
    look an object up by is empty where it is absent. `days`: how far a profile moved its dates."""

    pieces: tuple[Piece, ...]
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    changed: tuple[str, ...]
    pixel_edits: tuple[PixelEdit, ...] = ()
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: str = ""
    accession_number: str = ""
    days: int = 0


def apply_edits(
    edits: Sequence[Edit],
    data_set: EncodedDataSet,
    *,
    record: Recording | None,
    profile: Profile | None = None,
    told: Told | None = None,
) -> Edited:
    """The data set with the edits done in order, each seeing what those before it did, and what
    comes of them de-identified by the profile, which tells `told` of every attribute.

    EditFailed where one cannot be carried out, MalformedDataSet where the header makes no sense.
    A text that the object's character set cannot hold brings the whole object into Unicode.
    Digital signatures do not outlast a change of what they may sign.
    With a Recording, the previous values go into the Original Attributes Sequence, unless the
    object is de-identified.
    """
    data_set.root.complete()
    every = (*edits, *(profile.edits if profile is not None else ()))
    in_unicode = any(isinstance(edit, Charset) for edit in every)
    try:
        draft, days = _changed(edits, data_set, profile, told, in_unicode=in_unicode)
    except NeedsUnicode:
        draft, days = _changed(edits, data_set, profile, told, in_unicode=True)
    black = _black(profile, data_set, draft)
    draft.drop_signatures()
    changed = draft.changed()
    if record is not None and changed and profile is None:
        record_originals(draft, record, draft.edited())
    pieces = _pieces(draft, data_set)
    clear = profile is not None and may_have_overlay_in_unused_bits(data_set)
    wanted = (edit for edit in every if isinstance(edit, PixelEdit))
    pixel_edits = (*((ClearUnusedBits(),) if clear else ()), *wanted, *black)
    if profile is not None and _leave_pixels(pixel_edits, data_set):
        pieces, pixel_edits = _without_comments(pieces, data_set), ()
    return Edited(
        pieces=pieces,
        sop_class_uid=_uid(draft, _SOP_CLASS_UID),
        sop_instance_uid=_uid(draft, _SOP_INSTANCE_UID),
        study_instance_uid=_first(draft, _STUDY_INSTANCE_UID),
        series_instance_uid=_first(draft, _SERIES_INSTANCE_UID),
        patient_id=_first(draft, _PATIENT_ID),
        accession_number=_first(draft, _ACCESSION_NUMBER),
        transfer_syntax_uid=data_set.transfer_syntax_uid,
        changed=tuple([_name(tag) for tag in changed]),
        pixel_edits=pixel_edits,
        days=days,
    )


@lru_cache(maxsize=1 << 14)
def _name(number: int) -> str:
    return str(Tag(number >> 16, number & 0xFFFF))


def _changed(
    edits: Sequence[Edit],
    data_set: EncodedDataSet,
    profile: Profile | None,
    told: Told | None,
    *,
    in_unicode: bool,
) -> tuple[Draft, int]:
    draft = Draft(data_set, data_set.root, data_set.charset)
    if in_unicode:
        to_unicode(draft)
    for edit in edits:
        _apply(edit, draft)
    days = deidentify(draft, profile, _apply, told) if profile is not None else 0
    return draft, days


def _black(profile: Profile | None, data_set: EncodedDataSet, draft: Draft) -> tuple[Burn, ...]:
    """What the profile's regions make black in this object; and that no text is left, if any fit
    (PS3.15 E.3.1)."""
    if profile is None or not profile.regions:
        return ()
    boxes = boxes_of(profile.regions, data_set)
    if boxes is None:
        return ()
    draft.write_text(_BURNED_IN, "NO")
    return (Burn(burn=Burning(rectangles=boxes)),) if boxes else ()


def _apply(edit: Edit, draft: Draft) -> None:
    match edit:
        case Set() | SetIfMissing():
            only_missing = isinstance(edit, SetIfMissing)
            for path, template in edit.values.items():
                set_text(draft, path, template, only_missing=only_missing)
        case Prefix() | Suffix():
            for path, template in edit.values.items():
                affix(draft, path, template, before=isinstance(edit, Prefix))
        case Copy() | Move():
            copy_text(draft, edit.ends.source, edit.ends.target)
            if isinstance(edit, Move):
                remove(draft, edit.ends.source)
        case Replace():
            change_text(draft, (edit.replacement.tag,), edit.replacement.apply)
        case Upper() | Lower() | Strip():
            change_text(draft, edit.paths, _LETTERS[type(edit)])
        case Lookup() | Map():
            look_up(draft, edit.replacing)
        case Charset() | TransferSyntax() | Burn():
            pass  # done before all others, or by the caller after them
        case _:
            _apply_to_structure(edit, draft)


def _apply_to_structure(
    edit: Remove | KeepOnly | AddItem | Hash | NewUid | ShiftDates, draft: Draft
) -> None:
    match edit:
        case Remove():
            for target in edit.targets:
                remove(draft, target)
        case KeepOnly():
            keep_only(draft, edit.targets)
        case AddItem():
            adding = edit.adding
            add_item(draft, adding.to, adding.item, lambda text: rendered(draft, text))
        case Hash():
            hash_values(draft, edit.hashing)
        case NewUid():
            renumber(draft, edit.renumbering)
        case ShiftDates():
            shift_dates(draft, edit.shifting)
        case _:
            assert_never(edit)


_LETTERS: dict[type, Callable[[str], str]] = {Upper: str.upper, Lower: str.lower, Strip: str.strip}


def _uid(draft: Draft, tag: Tag) -> str:
    values = draft.values(tag)
    if not values:
        raise EditFailed(f"the object has no {tag}")
    return values[0]


def _first(draft: Draft, tag: Tag) -> str:
    """What cannot be read counts as absent: nobody would look it up by that."""
    try:
        values = draft.values(tag)
    except EditFailed:
        return ""
    return values[0].strip(" \0") if values else ""


def _leave_pixels(edits: Sequence[PixelEdit], data_set: EncodedDataSet) -> bool:
    """Whether no frame is encoded anew: at most, the syntax that is there is asked for."""
    to = [edit.transcoding.to for edit in edits if isinstance(edit, TransferSyntax)]
    return len(to) == len(edits) and to[-1:] in ([], [data_set.transfer_syntax_uid])


def _without_comments(pieces: tuple[Piece, ...], data_set: EncodedDataSet) -> tuple[Piece, ...]:
    """Pixel data without what stands beside the pictures: what an encoder wrote into compressed
    frames, and what follows native ones."""
    element = pixel_element(data_set)
    if element is None:
        return pieces
    if not element.is_undefined:
        surplus = surplus_of(data_set, element)
        return blanked(pieces, [surplus]) if surplus is not None else pieces
    if not has_sound_table(data_set.source, element):
        raise EditFailed("its table of offsets makes no sense")
    return blanked(pieces, comments_in(data_set.source, element))


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
