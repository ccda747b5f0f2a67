"""The two edits that change pixels, as models: `transfer_syntax` and `burn`.

rules/ carries out neither: `apply_edits` hands them on (`Edited.pixel_edits`, in the order of the
file, after all edits of the header), since they need codecs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)

from rules.documents.problems import Mistake, suggest
from rules.documents.reading import Section
from rules.uids import uid_named


@dataclass(frozen=True, slots=True)
class Target:
    """A transfer syntax that objects can be brought into. `amount`: how its loss is given."""

    keyword: str
    loss: Literal["never", "allowed", "always"] = "never"
    amount: Literal["quality", "ratio", "error"] | None = None


TARGETS: Final = {
    "1.2.840.10008.1.2": Target("ImplicitVRLittleEndian"),
    "1.2.840.10008.1.2.1": Target("ExplicitVRLittleEndian"),
    "1.2.840.10008.1.2.1.99": Target("DeflatedExplicitVRLittleEndian"),
    "1.2.840.10008.1.2.5": Target("RLELossless"),
    "1.2.840.10008.1.2.4.50": Target("JPEGBaseline8Bit", "always", "quality"),
    "1.2.840.10008.1.2.4.57": Target("JPEGLossless"),
    "1.2.840.10008.1.2.4.70": Target("JPEGLosslessSV1"),
    "1.2.840.10008.1.2.4.80": Target("JPEGLSLossless"),
    "1.2.840.10008.1.2.4.81": Target("JPEGLSNearLossless", "always", "error"),
    "1.2.840.10008.1.2.4.90": Target("JPEG2000Lossless"),
    "1.2.840.10008.1.2.4.91": Target("JPEG2000", "allowed", "ratio"),
    "1.2.840.10008.1.2.4.201": Target("HTJ2KLossless"),
    "1.2.840.10008.1.2.4.202": Target("HTJ2KLosslessRPCL"),
    "1.2.840.10008.1.2.4.203": Target("HTJ2K", "allowed", "ratio"),
}
_AMOUNTS: Final = {"quality": "{quality: 90}", "ratio": "{ratio: 10}", "error": "{error: 2}"}


def _target(value: object) -> object:
    """The UID of a syntax by UID, keyword or name; only those that can be written."""
    if not isinstance(value, str):
        raise Mistake("expected a transfer syntax")
    uid = uid_named(value, "Transfer Syntax")
    if uid in TARGETS:
        return uid
    keywords = [target.keyword for target in TARGETS.values()]
    if uid is None:
        near = suggest(value, keywords)
        raise Mistake(f"{value!r} is not a transfer syntax: write its name or UID", suggestion=near)
    raise Mistake(f"{value} cannot be written; possible are {', '.join(keywords)}")


class Lossy(Section):
    """How much may be lost: exactly one of these, the one that the syntax knows."""

    quality: int | None = Field(None, ge=1, le=100, description="of JPEG")
    ratio: float | None = Field(None, gt=1, le=1000, description="how much smaller: JPEG 2000")
    error: int | None = Field(None, ge=1, le=255, description="of a pixel's value: JPEG-LS")

    @model_validator(mode="after")
    def _one(self) -> Lossy:
        if len([word for word in _AMOUNTS if getattr(self, word) is not None]) != 1:
            raise Mistake("expected one of quality, ratio, error", suggestion="{quality: 90}")
        return self


class Transcoding(Section):
    """`to`: the UID of a syntax in TARGETS. Without `lossy` no pixel changes its value."""

    to: Annotated[str, BeforeValidator(_target)]
    lossy: Lossy | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return {"to": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _loss_is_meant(self) -> Transcoding:
        target = TARGETS[self.to]
        wanted = f"lossy: {_AMOUNTS[target.amount]}" if target.amount else ""
        if self.lossy is None and target.loss == "always":
            message = f"{target.keyword} loses what pixels hold: say how much may be lost"
            raise Mistake(message, at=("to",), suggestion=wanted)
        if self.lossy is not None and target.amount is None:
            raise Mistake(f"{target.keyword} loses nothing: leave this out", at=("lossy",))
        if self.lossy is not None and getattr(self.lossy, target.amount or "") is None:
            raise Mistake(f"{target.keyword} has another measure", at=("lossy",), suggestion=wanted)
        return self


def _rectangle(value: object) -> object:
    if isinstance(value, list | tuple) and len(value) == 4:
        return tuple(value)
    raise Mistake("expected the four numbers of a rectangle: [x, y, width, height]")


Rectangle = Annotated[
    tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt], BeforeValidator(_rectangle)
]
"""x and y of the upper left corner, counted from 0, then width and height, all in pixels."""

_FRAMES = re.compile(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?")


def _frames(value: object) -> object:
    """`3` or `3-7` as the first and the last of them."""
    if isinstance(value, tuple):
        return value
    found = _FRAMES.fullmatch(str(value))
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise Mistake(f"{value!r} names no frames: write 1, or 3-7, counted from 1")
    return int(found[1]), int(found[2] or found[1])


def _as_written(value: tuple[int, int], _: SerializerFunctionWrapHandler) -> str:
    return f"{value[0]}-{value[1]}"


Frames = Annotated[
    tuple[int, int], BeforeValidator(_frames), WrapSerializer(_as_written, return_type=str)
]


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _not_empty(value: tuple[Rectangle, ...]) -> tuple[Rectangle, ...]:
    # Not min_length: it would also complain about a list whose only item is faulty.
    if not value:
        raise Mistake("expected at least one", suggestion="[[0, 0, 512, 40]]")
    return value


class Burning(Section):
    """Rectangles made black: in all frames, or in some (counted from 1; first and last)."""

    rectangles: Annotated[tuple[Rectangle, ...], AfterValidator(_not_empty)]
    frames: Annotated[tuple[Frames, ...], BeforeValidator(_several)] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, list) and value and isinstance(value[0], str):
            raise Mistake("expected a list of rectangles", suggestion=f"[[{', '.join(value)}]]")
        return {"rectangles": value} if isinstance(value, list) else value


class TransferSyntax(Section):
    """Send the object in this transfer syntax: decompressed, compressed, or both in turn. One in
    that syntax already is left as it is, as is one without pixel data to compress."""

    transcoding: Transcoding = Field(alias="transfer_syntax")


class Burn(Section):
    """Make rectangles of every picture black; what lies beyond its edges counts for nothing."""

    burning: Burning = Field(alias="burn")


@dataclass(frozen=True, slots=True)
class ClearUnusedBits:
    """Make the bits of each sample that the picture does not use zero, or copies of the sign.

    Nobody writes it: de-identification asks for it where an overlay lies in such bits."""
