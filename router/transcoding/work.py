"""What a codec process is asked for and what it answers: JSON and bytes, nothing executable.

A decoder that was taken over by a malicious file can answer whatever it likes: answers are
plain data, read with suspicion.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import BinaryIO, Final

from rules.encoded.pictures import Picture

HEAD: Final = struct.Struct("<LQ")
"""Lengths of the JSON and of the bytes behind it."""
LONGEST_WORDS: Final = 1 << 20
"""Bytes of JSON: a thousand rectangles need fifty thousand."""

OUT_OF_MEMORY: Final = 3
"""How a process ends that ran out of memory."""

Box = tuple[int, int, int, int]
"""x, y, width, height of a rectangle, in pixels from the upper left corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much may be lost: one of these."""

    quality: int | None = None
    ratio: float | None = None
    error: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One frame: from which syntax, what to make black, into which syntax. `clear_unused`: bits
    outside of Bits Stored. `verify`: decode a lossless result again, and compare."""

    picture: Picture
    source: str
    target: str
    boxes: tuple[Box, ...] = ()
    clear_unused: bool = False
    loss: Loss | None = None
    verify: bool = True

    def words(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One frame that is searched for text. `light`: of each index of a palette; empty for none."""

    picture: Picture
    source: str
    light: bytes = b""

    def words(self) -> dict[str, object]:
        return {"look": True, **asdict(self), "light": self.light.hex()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The frame as it is now. `photometric` is that of the new syntax; `lossy`: the old coding
    may have lost something."""

    data: bytes
    photometric: str
    lossy: bool


def work_of(words: Mapping[str, object]) -> Work:
    """The other direction of `Work.words`."""
    fields = dict(words)
    loss = fields["loss"]
    return Work(
        picture=Picture(**fields["picture"]),  # type: ignore[arg-type]
        source=str(fields["source"]),
        target=str(fields["target"]),
        boxes=tuple(tuple(box) for box in fields["boxes"]),  # type: ignore[attr-defined]
        clear_unused=bool(fields["clear_unused"]),
        loss=Loss(**loss) if isinstance(loss, dict) else None,
        verify=bool(fields["verify"]),
    )


def look_of(words: Mapping[str, object]) -> Look:
    """The other direction of `Look.words`."""
    return Look(
        picture=Picture(**words["picture"]),  # type: ignore[arg-type]
        source=str(words["source"]),
        light=bytes.fromhex(str(words["light"])),
    )


def send(pipe: BinaryIO, words: Mapping[str, object], data: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps(words).encode()
    pipe.write(HEAD.pack(len(text), len(data)))
    pipe.write(text)
    pipe.write(data)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[dict[str, object], bytes] | None:
    """The next message; None at the end."""
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    text_length, length = HEAD.unpack(head)
    return json.loads(pipe.read(text_length)), pipe.read(length)
