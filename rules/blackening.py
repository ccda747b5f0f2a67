"""Black rectangles in native pixel data, where no codec is needed: bytes are written over."""

from __future__ import annotations

from collections.abc import Iterable

from rules.pictures import Picture

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
