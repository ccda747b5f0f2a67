"""The same data set in another native transfer syntax: Implicit or Explicit VR Little Endian.

The header is written anew, values of some size (pixel data above all) are passed on by reference
unless their bytes must be swapped. Pixels are never transcoded.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from rules.encoded.data_set import EncodedDataSet, Piece, Slice
from rules.encoded.forms import (
    DEFLATED,
    EXPLICIT,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT,
    IMPLICIT_LITTLE,
    Form,
)
from rules.encoded.level import Element, Level
from rules.encoded.writing import Unfit, encode_head

PIXEL_DATA = 0x7FE00010
BITS_ALLOCATED = 0x00280100
_BY_REFERENCE = 4096
_TARGETS = {IMPLICIT_LITTLE: IMPLICIT, EXPLICIT_LITTLE: EXPLICIT}
_NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
_WORDS = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
"""Bytes of one number, by VR: what changes with the byte order (PS3.5 7.3)."""
_CODES = {2: "H", 4: "I", 8: "Q"}


class CannotReencode(Exception):
    """This object cannot be had in that transfer syntax."""


def reencode(data_set: EncodedDataSet, transfer_syntax_uid: str) -> tuple[Piece, ...]:
    """The data set in that syntax; slices refer to `data_set.source`. CannotReencode for other
    syntaxes and encapsulated pixel data, MalformedDataSet for bytes that make no sense.

    Private elements without a VR become UN, as do values too long for their VR (PS3.5 6.2.2).
    """
    target = _TARGETS.get(transfer_syntax_uid)
    if target is None:
        raise CannotReencode("only Implicit and Explicit VR Little Endian can be written")
    if data_set.transfer_syntax_uid not in _NATIVE:
        raise CannotReencode("its pixel data is encapsulated")
    if data_set.root.form == target:
        return (Slice(data_set.start, len(data_set.source) - data_set.start),)
    return tuple(_joined(_level(data_set, data_set.root, target)))


def _level(data_set: EncodedDataSet, level: Level, target: Form) -> Iterator[Piece]:
    level.complete_with_pixels()
    for tag, element in level.in_order():
        if tag & 0xFFFF:  # group lengths are retired, and would be wrong
            yield from _element(data_set, level, tag, element, target)


def _element(
    data_set: EncodedDataSet, level: Level, tag: int, element: Element, target: Form
) -> Iterator[Piece]:
    vr = data_set.vr_of(level, tag, element)
    if vr == "SQ":
        value = list(_sequence(data_set, level, element, target))
    elif element.is_undefined:
        raise CannotReencode("its pixel data is encapsulated")
    else:
        value = [_value(data_set, level, tag, element, vr)]
    length = sum(_length(piece) for piece in value)
    try:
        yield encode_head(tag, vr, length, target)
    except Unfit:
        yield encode_head(tag, "UN", length, target)
    yield from value


def _sequence(
    data_set: EncodedDataSet, level: Level, element: Element, target: Form
) -> Iterator[Piece]:
    for item in level.items(element):
        pieces = list(_joined(_level(data_set, item, target)))
        yield target.plain.pack(0xFFFE, 0xE000, sum(_length(piece) for piece in pieces))
        yield from pieces


def _value(data_set: EncodedDataSet, level: Level, tag: int, element: Element, vr: str) -> Piece:
    size = _WORDS.get(vr, 1)
    length = element.stop - element.value
    if level.form.order == "<" or size == 1:
        if length >= _BY_REFERENCE:
            return Slice(element.value, length)
        return bytes(level.source[element.value : element.stop])
    if tag == PIXEL_DATA:
        size = _pixel_size(data_set)
    return _swapped(bytes(level.source[element.value : element.stop]), size)


def _pixel_size(data_set: EncodedDataSet) -> int:
    """Pixels of 32 or 64 bits are swapped as a whole, smaller ones as words (PS3.5 8.1.1)."""
    bits = data_set.element(BITS_ALLOCATED)
    if bits is None or bits.stop - bits.value != 2:
        return 2
    allocated = int.from_bytes(bytes(data_set.source[bits.value : bits.stop]), "big")
    return allocated // 8 if allocated in (32, 64) else 2


def _swapped(data: bytes, size: int) -> bytes:
    whole = len(data) - len(data) % size
    words = array(_CODES[size], data[:whole])
    words.byteswap()
    return words.tobytes() + data[whole:]


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """New bytes in a row as one piece."""
    gathered: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            gathered.append(piece)
            continue
        if gathered:
            yield b"".join(gathered)
            gathered.clear()
        yield piece
    if gathered:
        yield b"".join(gathered)
