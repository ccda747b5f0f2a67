"""Black rectangles, and unused bits, in native pixel data, where no codec is needed: bytes are
written over."""

from __future__ import annotations

from collections.abc import Iterable

from rules.encoded.pictures import Picture

Rectangle = tuple[int, int, int, int]
"""x, y of the upper left corner from 0, width, height, in pixels."""


def black(photometric: str, picture: Picture) -> tuple[int, ...]:
    """The samples of a black pixel. For a palette and signed values it is 0, whatever that shows:
    the same everywhere, which is what hides."""
    if photometric == "MONOCHROME1":
        return ((1 << picture.bits_stored - picture.is_signed) - 1,)
    if photometric.startswith("YBR_FULL"):
        middle = 1 << picture.bits_stored - 1
        return 0, middle, middle
    return (0,) * picture.samples


def blacken(frame: bytearray, picture: Picture, boxes: Iterable[Rectangle], order: str) -> None:
    """Write black over the rectangles of one native frame; what lies beyond its edges counts for
    nothing. `order`: < or >, the byte order of the samples. Not for subsampled colours."""
    size = picture.sample_bytes
    codes = [
        value.to_bytes(size, "little" if order == "<" else "big")
        for value in black(picture.photometric, picture)
    ]
    by_plane = picture.planar == 1 and picture.samples > 1
    pixel = size if by_plane else size * picture.samples
    planes = [(n, code) for n, code in enumerate(codes)] if by_plane else [(0, b"".join(codes))]
    for x, y, width, height in boxes:
        columns = min(width, picture.columns - x)
        if columns <= 0:
            continue
        for plane, code in planes:
            line = code * columns
            for row in range(y, min(y + height, picture.rows)):
                start = ((plane * picture.rows + row) * picture.columns + x) * pixel
                frame[start : start + len(line)] = line


_PIECE = 1 << 16
"""Samples at a time: as one large number, which takes one operation for all of them."""


def unused_below(picture: Picture) -> int:
    """How many bits of a sample lie below those of the picture."""
    return picture.high_bit + 1 - picture.bits_stored


def clear(frame: bytes, picture: Picture) -> bytes:
    """A native frame in little endian with nothing in the bits that the picture does not use:
    zero, and above a signed value copies of its sign (PS3.5 8.1.1)."""
    size, allocated = picture.sample_bytes, picture.bits_allocated
    used = ((1 << picture.bits_stored) - 1) << unused_below(picture)
    sign = 1 << picture.high_bit
    cleared = []
    for start in range(0, len(frame), _PIECE * size):
        piece = frame[start : start + _PIECE * size]
        count = len(piece) // size
        number = int.from_bytes(piece, "little") & _repeated(used, size, count)
        if picture.is_signed:
            signs = number & _repeated(sign, size, count)
            for shift in range(1, allocated - picture.high_bit):
                number |= signs << shift
        cleared.append(number.to_bytes(len(piece), "little"))
    return b"".join(cleared)


def _repeated(value: int, size: int, count: int) -> int:
    return int.from_bytes(value.to_bytes(size, "little") * count, "little")
