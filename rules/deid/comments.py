"""Comments within compressed frames: texts of whoever encoded them, which no attribute names.

They are blanked where they stand, so that no length and no offset changes and decoders see the
same picture: wherever they are in JPEG and JPEG-LS (ITU-T T.81 B.2.4.5), in JPEG 2000 (ITU-T T.800
A.9.2) and in the boxes around that (annex I); and so is what stands behind a picture's end.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from rules.encoded.data_set import Piece, Slice
from rules.encoded.encapsulated import fragments_of, items_of
from rules.encoded.forms import Source
from rules.encoded.level import Element

Span: TypeAlias = tuple[int, int]
"""First byte of a codestream, and the one behind the last."""

_JPEG: Final = b"\xff\xd8\xff"
_JPEG_2000: Final = b"\xff\x4f\xff\x51"
_BOXES: Final = b"\0\0\0\x0cjP  "
_NEEDED_BOXES: Final = frozenset({b"jP  ", b"ftyp", b"rreq", b"jp2h", b"jp2c"})
_COMMENT: Final = 0xFE
_APPLICATION: Final = frozenset({0xE1, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, *range(0xE9, 0xEE), 0xEF})
"""Exif and others; not those that say how to decode: JFIF, ICC, SPIFF and HP (0xE8), Adobe."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT: Final = re.compile(rb"\xff+(?=[\xc0-\xcf\xd8-\xfe])")
"""A marker that ends coded data: what is coded has only stuffed bytes and restarts behind FF."""
_SCAN, _END = 0xDA, 0xD9
_COMMENT_2000, _TILE, _DATA, _END_2000 = 0x64, 0x90, 0x93, 0xD9
_LARGE: Final = 1 << 20


def comments_in(source: Source, element: Element) -> list[Slice]:
    """Where encapsulated pixel data has comments that are not blank already; in order.

    MalformedDataSet where it holds something other than fragments.
    """
    found: list[Slice] = []
    for stream in _streams(source, fragments_of(source, element)):
        parts = [bytes(source[part.offset : part.offset + part.length]) for part in stream]
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        for first, end in _spans(data):
            if data[first:end].strip(b" \0\xff"):
                found += _slices(stream, first, end)
        _let_go(source, stream)
    return found


def has_sound_table(source: Source, element: Element) -> bool:
    """Whether the Basic Offset Table holds offsets, and nothing else that is as long."""
    table, fragments = items_of(source, element)
    end = sum(fragment.length + 8 for fragment in fragments)
    return all(offset < end for offset in table)


def blanked(pieces: Sequence[Piece], comments: Iterable[Slice]) -> tuple[Piece, ...]:
    """The pieces with blanks in place of these ranges of the source."""
    ranges = list(comments)
    made: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            made.append(piece)
            continue
        at, end = piece.offset, piece.offset + piece.length
        for one in ranges:
            if at <= one.offset and one.offset + one.length <= end:
                if one.offset > at:
                    made.append(Slice(at, one.offset - at))
                made.append(b" " * one.length)
                at = one.offset + one.length
        if end > at:
            made.append(Slice(at, end - at))
    return tuple(made)


def _streams(source: Source, fragments: Sequence[Slice]) -> Iterator[list[Slice]]:
    """Fragments that belong together: a codestream may be cut anywhere (PS3.5 A.4)."""
    stream: list[Slice] = []
    for fragment in fragments:
        start = bytes(source[fragment.offset : fragment.offset + 8])
        if stream and start.startswith((_JPEG, _JPEG_2000, _BOXES)):
            yield stream
            stream = []
        stream.append(fragment)
    if stream:
        yield stream


def _slices(stream: Sequence[Slice], first: int, end: int) -> Iterator[Slice]:
    """A span of a stream in the source."""
    before = 0
    for part in stream:
        start, stop = max(first - before, 0), min(end - before, part.length)
        if start < stop:
            yield Slice(part.offset + start, stop - start)
        before += part.length


def _spans(data: bytes) -> Iterator[Span]:
    """What is blanked in codestreams that follow each other. Nothing in what is none."""
    if data.startswith(_BOXES):
        yield from _boxes(data)
        return
    at = 0
    while at < len(data):
        if data.startswith(_JPEG, at):
            at = yield from _jpeg(data, at + 2)
        elif data.startswith(_JPEG_2000, at):
            at = yield from _jpeg_2000(data, at, len(data))
        elif at == 0:
            return
        else:
            starts = (data.find(_JPEG, at), data.find(_JPEG_2000, at))
            following = min((start for start in starts if start > at), default=len(data))
            yield at, following
            at = following


def _jpeg(data: bytes, at: int) -> Generator[Span, None, int]:
    """From the first segment on; where the picture ends."""
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _END:
            return at + 2
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            break
        if (marker == _COMMENT or marker in _APPLICATION) and length > 2:
            yield at + 4, at + 2 + length
        at += 2 + length
        if marker == _SCAN:
            following = _NEXT.search(data, at)
            if following is None:
                break
            at = following.end() - 1
    return len(data)


def _jpeg_2000(data: bytes, start: int, end: int) -> Generator[Span, None, int]:
    """Its main header and those of its tiles' parts; where the picture ends."""
    at, tile = start + 2, 0
    while at + 4 <= end and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _DATA:
            at = tile or max(data.rfind(b"\xff\xd9", at, end), at + 2)
            continue
        if marker == _END_2000:
            return at + 2
        if length < 2 or at + 2 + length > end:
            return end
        if marker == _TILE:
            size = int.from_bytes(data[at + 6 : at + 10], "big")
            if size and not at + 12 < at + size <= end:
                return end
            tile = at + size if size else 0
        elif marker == _COMMENT_2000 and length > 4:
            yield at + 6, at + 2 + length  # after what kind of text it is
        at += 2 + length
    return at + 2 if data[at : at + 2] == b"\xff\xd9" else end


def _boxes(data: bytes) -> Iterator[Span]:
    """A codestream in a file of its own, with boxes for anything around it."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        stop = at + size if head <= size <= len(data) - at else len(data)
        if kind == b"jp2c":
            end = yield from _jpeg_2000(data, at + head, stop)
            yield end, stop
        elif kind not in _NEEDED_BOXES:
            yield at + head, stop
        at = stop


def _let_go(source: Source, stream: Sequence[Slice]) -> None:
    """Unmap what was read of a mapped file, so that memory does not grow with the frames."""
    start, end = stream[0].offset, stream[-1].offset + stream[-1].length
    if isinstance(source, mmap.mmap) and end - start >= _LARGE:
        first = start - start % mmap.PAGESIZE
        source.madvise(mmap.MADV_DONTNEED, first, end - first)
