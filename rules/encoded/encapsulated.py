"""Encapsulated pixel data (PS3.5 A.4): which fragments make which frame, and offset tables.

Positions only; no fragment is read but for its first bytes, where nothing else tells frames apart.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from rules.encoded.data_set import MalformedDataSet, Slice, Source
from rules.encoded.forms import ITEM, SEQUENCE_END, UNDEFINED
from rules.encoded.level import Element

Fragments: TypeAlias = tuple[Slice, ...]
"""The fragments of one frame, in order."""

_HEAD = struct.Struct("<HHL")
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
"""The first bytes of a JPEG or JPEG-LS image and of a JPEG 2000 codestream."""


class CannotSplit(Exception):
    """Nothing tells which fragments belong to which frame."""


def frames_of(
    source: Source, element: Element, frames: int, extended: Sequence[int] = ()
) -> list[Fragments]:
    """The fragments of each of `frames` frames. CannotSplit where they cannot be told apart,
    MalformedDataSet where the element holds something other than fragments.

    `extended` is the Extended Offset Table. A table that contradicts the fragments is ignored.
    """
    table, fragments = items_of(source, element)
    if not fragments or not frames:
        raise CannotSplit("the pixel data has no frames")
    if frames == 1:
        return [tuple(fragments)]
    for offsets in (extended, table):
        if len(offsets) == frames and (found := _by_offsets(fragments, offsets)):
            return found
    if len(fragments) == frames:
        return [(one,) for one in fragments]
    starts = [n for n, one in enumerate(fragments) if _begins_frame(source, one)]
    if len(starts) != frames or starts[0] != 0:
        raise CannotSplit(f"{len(fragments)} fragments cannot be told to be {frames} frames")
    return _cut(fragments, starts)


def fragments_of(source: Source, element: Element) -> list[Slice]:
    """All fragments, whatever frame they belong to. MalformedDataSet where it holds something
    other than fragments."""
    return items_of(source, element)[1]


def items_of(source: Source, element: Element) -> tuple[tuple[int, ...], list[Slice]]:
    """The Basic Offset Table and the fragments behind it."""
    table: tuple[int, ...] | None = None
    fragments: list[Slice] = []
    position = element.value
    while position < element.stop:
        if position + 8 > element.stop:
            raise MalformedDataSet(position, "a fragment is cut off")
        group, number, length = _HEAD.unpack_from(source, position)
        tag, start = group << 16 | number, position + 8
        if tag == SEQUENCE_END:
            break
        if tag != ITEM or length == UNDEFINED or start + length > element.stop:
            raise MalformedDataSet(position, "pixel data holds something other than fragments")
        if table is None:
            whole = length - length % 4
            table = struct.unpack(f"<{whole // 4}L", bytes(source[start : start + whole]))
        else:
            fragments.append(Slice(start, length))
        position = start + length
    return table or (), fragments


def _by_offsets(fragments: list[Slice], offsets: Sequence[int]) -> list[Fragments]:
    """Offsets count from the first fragment's item tag; none where they hit no fragment."""
    first = fragments[0].offset
    known = {fragment.offset - first: n for n, fragment in enumerate(fragments)}
    starts = [known.get(offset, -1) for offset in offsets]
    if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
        return []
    return _cut(fragments, starts)


def _cut(fragments: list[Slice], starts: list[int]) -> list[Fragments]:
    ends = [*starts[1:], len(fragments)]
    return [tuple(fragments[start:end]) for start, end in zip(starts, ends, strict=True)]


def _begins_frame(source: Source, fragment: Slice) -> bool:
    head = bytes(source[fragment.offset : fragment.offset + 4])
    return head.startswith(_STARTS)


def encode_offset_table(offsets: Sequence[int]) -> bytes:
    """The item before the first fragment; empty where an offset is beyond its 32 bits."""
    if offsets and offsets[-1] > 0xFFFFFFFF:
        offsets = ()
    table = struct.pack(f"<{len(offsets)}L", *offsets)
    return _HEAD.pack(0xFFFE, 0xE000, len(table)) + table


def encode_fragment_head(length: int) -> bytes:
    return _HEAD.pack(0xFFFE, 0xE000, length)


SEQUENCE_DELIMITER = _HEAD.pack(0xFFFE, 0xE0DD, 0)
