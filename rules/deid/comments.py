"""Comments within compressed frames: texts of whoever encoded them, which no attribute names.

They are blanked where they stand, so that no length and no offset changes and decoders see the
same picture. JPEG and JPEG-LS (ITU-T T.81 B.2.4.5), JPEG 2000 (ITU-T T.800 A.9.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rules.encapsulated import fragments_of
from rules.encoded import Piece, Slice
from rules.encoded_forms import Source
from rules.encoded_level import Element

_JPEG: Final = b"\xff\xd8\xff"
_JPEG_2000: Final = b"\xff\x4f\xff\x51"
_COMMENT: Final = 0xFE
_APPLICATION: Final = frozenset({0xE1, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, *range(0xE9, 0xEE), 0xEF})
"""Exif and others; not those that say how to decode: JFIF, ICC, SPIFF and HP (0xE8), Adobe."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_LAST: Final = frozenset({0xDA, 0xD9})
_COMMENT_2000: Final = 0x64
_FIRST_TILE: Final = 0x90
_MOST: Final = 1000
"""Segments of one header: real ones have ten."""


def comments_in(source: Source, element: Element) -> list[Slice]:
    """Where encapsulated pixel data has comments that are not blank already; in order.

    MalformedDataSet where it holds something other than fragments.
    """
    found: list[Slice] = []
    for fragment in fragments_of(source, element):
        start = bytes(source[fragment.offset : fragment.offset + 4])
        if start.startswith(_JPEG):
            found += _segments(source, fragment, is_2000=False)
        elif start == _JPEG_2000:
            found += _segments(source, fragment, is_2000=True)
    return [one for one in found if bytes(source[one.offset : one.offset + one.length]).strip(b" ")]


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


def _segments(source: Source, fragment: Slice, *, is_2000: bool) -> Iterator[Slice]:
    """The texts of the comments before the first scan or tile. What makes no sense ends it."""
    at, end = fragment.offset + 2, fragment.offset + fragment.length
    for _ in range(_MOST):
        head = bytes(source[at : min(at + 4, end)])
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF or (marker in _ALONE and not is_2000):
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _FIRST_TILE if is_2000 else marker in _LAST:
            return
        length = int.from_bytes(head[2:], "big")
        if length < 2 or at + 2 + length > end:
            return
        if is_2000 and marker == _COMMENT_2000 and length > 4:
            yield Slice(at + 6, length - 4)  # after what kind of text it is
        elif not is_2000 and (marker == _COMMENT or marker in _APPLICATION) and length > 2:
            yield Slice(at + 4, length - 2)
        at += 2 + length
