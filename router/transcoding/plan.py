"""What is to be done to the pixels of one object: what is made black, which syntax, what loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.transcoding.work import Box, Loss
from rules.editing.schema_pixels import Burn, ClearUnusedBits, TransferSyntax
from rules.edits import PixelEdit


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackening:
    """Rectangles, in all frames, or in these ranges of them if there are any (first and last,
    counted from 1)."""

    boxes: tuple[Box, ...]
    frames: tuple[tuple[int, int], ...] = ()

    def touches(self, frame: int) -> bool:
        """Whether the frame, counted from 1, is among them."""
        return not self.frames or any(first <= frame <= last for first, last in self.frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`target`: the UID of a transfer syntax; None: the object's own, or where that would lose
    something the lossless one next to it. Black is made, and unused bits are cleared, before
    anything is lost."""

    target: str | None = None
    loss: Loss | None = None
    black: tuple[Blackening, ...] = ()
    clear_unused: bool = False

    @property
    def changes_pixels(self) -> bool:
        """Whether pixels are others afterwards, whatever their syntax."""
        return bool(self.black) or self.clear_unused

    def boxes(self, frame: int) -> tuple[Box, ...]:
        """The rectangles of a frame, counted from 1."""
        return tuple(box for one in self.black if one.touches(frame) for box in one.boxes)


def plan_of(edits: Sequence[PixelEdit]) -> Plan:
    """All the edits at once: every rectangle, and the last transfer syntax."""
    target: str | None = None
    loss: Loss | None = None
    black: list[Blackening] = []
    clear = False
    for edit in edits:
        match edit:
            case TransferSyntax(transcoding=wanted):
                target = wanted.to
                loss = None
                if lossy := wanted.lossy:
                    loss = Loss(quality=lossy.quality, ratio=lossy.ratio, error=lossy.error)
            case Burn(burning=burning):
                black.append(Blackening(boxes=burning.rectangles, frames=burning.frames))
            case ClearUnusedBits():
                clear = True
    return Plan(target=target, loss=loss, black=tuple(black), clear_unused=clear)
