"""The frames of an object's pixel data, one at a time, and the file that new ones go into."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from router.transcoding.errors import CannotTranscode
from router.transcoding.scratch import Scratch
from router.transcoding.work import Box
from rules.encoded.blackening import blacken, clear
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.encapsulated import (
    CannotSplit,
    Fragments,
    encode_fragment_head,
    encode_offset_table,
    frames_of,
)
from rules.encoded.level import Element
from rules.encoded.pictures import Picture

LARGEST_FRAME = 1 << 30
"""Bytes of one frame: it is in memory, in its old and its new form."""
_EXTENDED_OFFSETS = 0x7FE00001
_CODES = {2: "H", 4: "I"}


@dataclass(frozen=True, slots=True)
class OldFrames:
    """The frames as they came, read one by one. CannotTranscode where they are not what the
    header says."""

    data_set: EncodedDataSet
    element: Element
    picture: Picture

    def __iter__(self) -> Iterator[bytes]:
        return self._encapsulated() if self.element.is_undefined else self._native()

    def _encapsulated(self) -> Iterator[bytes]:
        for fragments in self._split():
            length = sum(fragment.length for fragment in fragments)
            if length > LARGEST_FRAME:
                raise CannotTranscode(f"a frame has over {LARGEST_FRAME} bytes")
            yield b"".join(self._read(one.offset, one.length) for one in fragments)

    def _split(self) -> list[Fragments]:
        extended: tuple[int, ...] = ()
        table = self.data_set.element(_EXTENDED_OFFSETS)
        if table is not None:
            data = array("Q", self._read(table.value, (table.stop - table.value) // 8 * 8))
            extended = tuple(data)
        try:
            return frames_of(self.data_set.source, self.element, self.picture.frames, extended)
        except CannotSplit as error:
            raise CannotTranscode(str(error)) from None

    def _native(self) -> Iterator[bytes]:
        length = self.picture.native_frame_length
        if length > LARGEST_FRAME:
            raise CannotTranscode(f"a frame has over {LARGEST_FRAME} bytes")
        have = self.element.stop - self.element.value
        if have < length * self.picture.frames:
            raise CannotTranscode("pixel data is shorter than the header says")
        size = self._swapped_size(length)
        for number in range(self.picture.frames):
            frame = self._read(self.element.value + number * length, length)
            if size > 1:
                words = array(_CODES[size], frame)
                words.byteswap()
                frame = words.tobytes()
            yield frame

    def _swapped_size(self, length: int) -> int:
        """Bytes that trade places: whole samples, and words where bytes stand in words."""
        if self.data_set.root.form.order == "<":
            return 1
        size = self.picture.sample_bytes
        if size == 1 and self.element.vr == b"OW":
            size = 2
        if length % size:
            raise CannotTranscode("frames of odd length in words of big endian")
        return size

    def _read(self, offset: int, length: int) -> bytes:
        with self.data_set.view(offset, length) as view:
            return bytes(view)


@dataclass(slots=True)
class NewFrames:
    """Frames on their way into a file, as fragments or as they are."""

    scratch: Scratch
    is_native: bool
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, frame: bytes | bytearray) -> None:
        """One frame more; OSError when the disk is full."""
        if not self.is_native:
            padding = b"\0" * (len(frame) % 2)
            if len(frame) + len(padding) > 0xFFFFFFFE:
                raise CannotTranscode("a frame is too long for a fragment")
            self.offsets.append(self.scratch.size)
            self.lengths.append(len(frame))
            self.scratch.write(encode_fragment_head(len(frame) + len(padding)))
            self.scratch.write(frame)
            self.scratch.write(padding)
        else:
            self.scratch.write(frame)

    def finish(self) -> bytes:
        """What stands before the frames: the offset table. Native frames get their padding."""
        if not self.is_native:
            return encode_offset_table(self.offsets)
        if self.scratch.size % 2:
            self.scratch.write(b"\0")
        return b""


def changed(
    frame: bytes, picture: Picture, boxes: tuple[Box, ...], *, clear_unused: bool
) -> bytes | bytearray:
    """A native frame in little endian without what is in unused bits, and with black rectangles."""
    if clear_unused:
        frame = clear(frame, picture)
    if not boxes:
        return frame
    black = bytearray(frame)
    blacken(black, picture, boxes, "<")
    return black
