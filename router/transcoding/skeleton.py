"""An object without its pixel data: the header, edited, in the VR form of its new syntax.

The header is small and is worked on in memory; pixel data is put back between its two parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.transcoding.errors import CannotTranscode
from rules.encoded.data_set import EncodedDataSet, Piece
from rules.encoded.draft import SIGNATURES, Draft
from rules.encoded.forms import EXPLICIT, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Form
from rules.encoded.level import Element, Level
from rules.encoded.pictures import PIXEL_DATA
from rules.encoded.reencode import CannotReencode, reencode
from rules.tags import Tag

LARGEST = 256 << 20
"""Bytes of a header: enhanced objects with ten thousands of frames have tens of megabytes."""
_GROUP_LENGTH = 0x7FE00000
_NESTED = b"\xe0\x7f\x10\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """What stands before pixel data and what behind it."""

    before: bytes
    after: bytes


def explicit_header(
    data_set: EncodedDataSet, pieces: Sequence[Piece], pixels: Element | None
) -> EncodedDataSet:
    """The edited object without its pixel data, in Explicit VR Little Endian."""
    content = _without(data_set, pieces, pixels)
    form = data_set.root.form
    if form == EXPLICIT:
        header = EncodedDataSet.read(content, EXPLICIT_LITTLE)
    else:
        header = EncodedDataSet.read(content, _NATIVE_OF.get(form.order + str(form.implicit), ""))
        header = EncodedDataSet.read(_joined(header, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    if _NESTED in header.source and _has_nested_fragments(header, header.root):
        raise CannotTranscode("a picture inside a sequence is compressed, too")
    return header


def skeleton(draft: Draft, target: Form) -> Skeleton:
    """The drafted header in the form of its new syntax. What was signed is not there any more
    (PS3.3 C.12.1.1.3.1), so signatures go, as does the length of the group of pixel data."""
    for tag in (*SIGNATURES, _GROUP_LENGTH):
        draft.remove(Tag(tag >> 16, tag & 0xFFFF))
    content = b"".join(
        piece
        if isinstance(piece, bytes)
        else draft.data_set.source[piece.offset : piece.offset + piece.length]
        for piece in draft.pieces()
    )
    data_set = EncodedDataSet.read(content, EXPLICIT_LITTLE)
    if target.implicit:
        content = _joined(data_set, IMPLICIT_LITTLE)
        data_set = EncodedDataSet.read(content, IMPLICIT_LITTLE)
    data_set.root.complete()
    position = data_set.root.position
    return Skeleton(before=content[:position], after=content[position:])


_NATIVE_OF = {"<True": IMPLICIT_LITTLE, ">False": EXPLICIT_BIG, ">True": EXPLICIT_BIG}


def _joined(data_set: EncodedDataSet, syntax: str) -> bytes:
    try:
        pieces = reencode(data_set, syntax)
    except CannotReencode as error:
        raise CannotTranscode(str(error)) from None
    return b"".join(
        piece
        if isinstance(piece, bytes)
        else data_set.source[piece.offset : piece.offset + piece.length]
        for piece in pieces
    )


def _without(data_set: EncodedDataSet, pieces: Sequence[Piece], pixels: Element | None) -> bytes:
    start, end = (pixels.start, pixels.end) if pixels is not None else (0, 0)
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        if isinstance(piece, bytes):
            parts = [piece]
        else:
            stop = piece.offset + piece.length
            spans = ((piece.offset, min(stop, start)), (max(piece.offset, end), stop))
            if pixels is None:
                spans = ((piece.offset, stop), (0, 0))
            size += sum(max(0, last - first) for first, last in spans)
            if size > LARGEST:
                break
            parts = [bytes(data_set.source[first:last]) for first, last in spans if last > first]
        kept += parts
    if size + sum(map(len, kept)) > 2 * LARGEST:
        raise CannotTranscode(f"its header is larger than {LARGEST} bytes")
    return b"".join(kept)


def _has_nested_fragments(data_set: EncodedDataSet, level: Level) -> bool:
    level.complete_with_pixels()
    for tag, element in level.in_order():
        if tag == PIXEL_DATA and element.is_undefined:
            return True
        if data_set.vr_of(level, tag, element) == "SQ" and any(
            _has_nested_fragments(data_set, item) for item in level.items(element)
        ):
            return True
    return False
