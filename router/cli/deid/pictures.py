"""The first picture of an object as a PNG, before and after rectangles are made black."""

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from router.config import Codecs
from router.transcoding.errors import CannotTranscode
from router.transcoding.frames import OldFrames, changed
from router.transcoding.processes import CodecProcesses
from router.transcoding.work import Box, Work
from rules.encoded.forms import EXPLICIT_LITTLE
from rules.encoded.pictures import NoPicture, Picture, pixel_element, read_picture

if TYPE_CHECKING:
    from rules.encoded.data_set import EncodedDataSet

WIDEST = 640
"""Pixels of a picture on the page: a preview, and no copy."""


def pictures_of(
    data_set: "EncodedDataSet", boxes: tuple[Box, ...], *, clear_unused: bool = False
) -> tuple[bytes, bytes] | None:
    """PNGs of the first frame as it is, and with the boxes black and unused bits cleared; None
    where there is no picture.

    CannotTranscode where it cannot be decoded.
    """
    element = pixel_element(data_set)
    if element is None:
        return None
    try:
        picture = read_picture(data_set)
    except NoPicture as error:
        raise CannotTranscode(str(error)) from None
    frame = next(iter(OldFrames(data_set, element, picture)))
    codecs = CodecProcesses(Codecs(processes=1))
    try:
        work = Work(picture=picture, source=data_set.transfer_syntax_uid, target=EXPLICIT_LITTLE)
        done = codecs.carry_out(work, frame)
    finally:
        codecs.close()
    native = replace(picture, photometric=done.photometric, planar=0)
    after = changed(done.data, native, boxes, clear_unused=clear_unused)
    return png_of(done.data, native), png_of(bytes(after), native)


def png_of(frame: bytes, picture: Picture) -> bytes:
    """A native frame with its colours interleaved, from its lowest value to its highest."""
    kind = np.dtype(f"<{'i' if picture.is_signed else 'u'}{picture.sample_bytes}")
    count = picture.rows * picture.columns * picture.samples
    samples: Any = np.frombuffer(frame, kind, count).astype(np.float64)
    samples = samples.reshape(picture.rows, picture.columns, picture.samples)
    step = max(1, -(-max(picture.rows, picture.columns) // WIDEST))
    samples = samples[::step, ::step]
    if picture.samples == 1:
        low, high = float(samples.min()), float(samples.max())
        samples = (samples - low) * (255 / ((high - low) or 1))
        if picture.photometric == "MONOCHROME1":
            samples = 255 - samples
    else:
        samples = samples / 2 ** (picture.bits_stored - 8)
        if picture.photometric.startswith("YBR"):
            samples = _rgb(samples)
    return _png(samples.clip(0, 255).astype(np.uint8))


def _rgb(samples: Any) -> Any:
    """PS3.3 C.7.6.3.1.2."""
    light, blue, red = samples[..., 0], samples[..., 1] - 128, samples[..., 2] - 128
    return np.stack(
        (light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue), -1
    )


def _png(samples: Any) -> bytes:
    """Rows, columns and 1 or 3 samples of 8 bits as PNG."""
    rows, columns, count = samples.shape
    lines = b"".join(b"\0" + line.tobytes() for line in samples)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0 if count == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
