"""The few bytes of a codestream that say what its pixels are: size, precision, sign, colours.

Header fields of the object are often wrong about these; the codestream itself cannot be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from router.transcoding.errors import CodecFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """`is_ycc`: what the markers of a JPEG say of its three colours; None: nothing."""

    rows: int
    columns: int
    samples: int
    precision: int
    is_signed: bool = False
    is_ycc: bool | None = None
    is_reversible: bool = True


def read_codestream(data: bytes) -> Codestream:
    """What the codestream says; CodecFailed where it is none."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        start = data.find(b"\xff\x4f\xff\x51", 0, 1 << 16)  # behind the boxes of a JP2 file
        if start >= 0:
            return _jpeg_2000(data, start)
    except (struct.error, IndexError):
        pass
    raise CodecFailed("a frame has no header of its codec")


_NOT_A_FRAME = (0xC4, 0xC8, 0xCC)


def _jpeg(data: bytes) -> Codestream:
    ycc: bool | None = None
    for marker, start in _segments(data, 2):
        if marker == 0xE0 and data[start : start + 4] == b"JFIF" and ycc is None:
            ycc = True
        elif marker == 0xEE and data[start : start + 5] == b"Adobe":
            ycc = data[start + 11] == 1
        elif (0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME) or marker == 0xF7:
            precision, rows, columns, samples = struct.unpack_from(">BHHB", data, start)
            names = bytes(data[start + 6 + 3 * n] for n in range(samples))
            if names.upper() == b"RGB":
                ycc = False
            reversible = marker in (0xC3, 0xC7, 0xCB, 0xCF, 0xF7)
            return Codestream(
                rows=rows,
                columns=columns,
                samples=samples,
                precision=precision,
                is_ycc=ycc,
                is_reversible=reversible,
            )
    raise CodecFailed("a frame has no header of its codec")


def _jpeg_2000(data: bytes, start: int) -> Codestream:
    right, lower, left, upper = struct.unpack_from(">4L", data, start + 8)
    samples, depth = struct.unpack_from(">HB", data, start + 40)
    reversible = False
    for marker, at in _segments(data, start + 2):
        if marker == 0x52:
            reversible = data[at + 9] == 1
        if marker in (0x90, 0x93):
            break
    return Codestream(
        rows=lower - upper,
        columns=right - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        is_signed=bool(depth & 0x80),
        is_reversible=reversible,
    )


def _segments(data: bytes, position: int) -> Iterator[tuple[int, int]]:
    """Each marker and where its content begins."""
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker == 0xFF:  # fill bytes
            position += 1
            continue
        yield marker, position + 4
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
