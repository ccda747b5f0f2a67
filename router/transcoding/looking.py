"""Looks for text in the pictures of an object, in codec processes, one frame at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from router import metrics
from router.transcoding.errors import CannotTranscode
from router.transcoding.frames import OldFrames
from router.transcoding.palettes import light_of
from router.transcoding.processes import CodecProcesses
from router.transcoding.work import Look
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.pictures import NoPicture, has_float_pixels, pixel_element, read_picture
from rules.encoded.transfer_syntaxes import KNOWN

SOME: Final = 5
"""Frames looked at where not all are: the first, the last, and between them at equal distances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`frame`: counted from 1. What the text says is not known to the router."""

    frame: int


def find_text(
    processes: CodecProcesses, data_set: EncodedDataSet, *, every_frame: bool
) -> Found | None:
    """The first frame with text among those that are looked at; None where there is none.

    CannotTranscode where a frame cannot be searched, NoCodecs where it may be another time.
    """
    started = time.monotonic()
    outcome = "failed"
    try:
        found = _searched(processes, data_set, every_frame=every_frame)
        outcome = "none" if found is None else "found"
    finally:
        metrics.TEXT_SEARCHES.labels(outcome).inc()
        metrics.TEXT_SEARCH_SECONDS.observe(time.monotonic() - started)
    return found


def chosen(frames: int, *, every_frame: bool) -> frozenset[int]:
    """The frames that are looked at, counted from 1."""
    if every_frame or frames <= SOME:
        return frozenset(range(1, frames + 1))
    return frozenset(1 + (frames - 1) * number // (SOME - 1) for number in range(SOME))


def _searched(
    processes: CodecProcesses, data_set: EncodedDataSet, *, every_frame: bool
) -> Found | None:
    element = pixel_element(data_set)
    if element is None:
        if has_float_pixels(data_set):
            raise CannotTranscode("its pixels are floating point numbers")
        return None
    if data_set.transfer_syntax_uid not in KNOWN:
        syntax = data_set.transfer_syntax_uid
        raise CannotTranscode(f"the router has no codec for transfer syntax {syntax}")
    try:
        picture = read_picture(data_set)
    except NoPicture as error:
        raise CannotTranscode(str(error)) from None
    light = light_of(data_set) if picture.photometric == "PALETTE COLOR" else b""
    look = Look(picture=picture, source=data_set.transfer_syntax_uid, light=light)
    wanted = chosen(picture.frames, every_frame=every_frame)
    for number, frame in enumerate(OldFrames(data_set, element, picture), 1):
        if number in wanted and processes.look(look, frame):
            return Found(frame=number)
    return None
