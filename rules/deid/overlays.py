"""Overlays that lie in the pixels, in bits above or below those of the picture (PS3.3 C.9.2,
retired): text that no rectangle covers, and that goes when the bits are cleared.

Looked for in the object as it came: what edits make of its header changes no pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rules.encoded.data_set import EncodedDataSet
from rules.encoded.level import PIXELS

GROUPS: Final = range(0x6000, 0x6020, 2)
_DESCRIPTIONS: Final = (0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051, 0x0100, 0x0102)
_BITS_ALLOCATED: Final = 0x0100
_POSITION: Final = 0x0102
_DATA: Final = 0x3000
_PICTURE_BITS_ALLOCATED: Final = 0x00280100
_PICTURE_BITS_STORED: Final = 0x00280101
_PICTURE_HIGH_BIT: Final = 0x00280102


def may_have_overlay_in_unused_bits(data_set: EncodedDataSet) -> bool:
    """Whether the object describes an overlay that is not in an attribute of its own, and has bits
    that its picture does not use."""
    if not _has_pixels(data_set) or not any(True for _ in _in_pixels(data_set)):
        return False
    stored = _number(data_set, _PICTURE_BITS_STORED)
    return stored is None or stored != _number(data_set, _PICTURE_BITS_ALLOCATED)


def has_overlay_in_picture(data_set: EncodedDataSet) -> bool:
    """Whether it says that such an overlay is in bits which the picture itself uses: clearing them
    would change the picture."""
    if not _has_pixels(data_set):
        return False
    stored = _number(data_set, _PICTURE_BITS_STORED) or _number(data_set, _PICTURE_BITS_ALLOCATED)
    if stored is None:
        return False
    high = _number(data_set, _PICTURE_HIGH_BIT)
    high = stored - 1 if high is None else high
    for group in _in_pixels(data_set):
        says_where = (_number(data_set, group | _BITS_ALLOCATED) or 1) > 1
        position = _number(data_set, group | _POSITION)
        if position is None or (position == 0 and not says_where):
            continue  # an overlay whose data somebody took out
        if high - stored < position <= high:
            return True
    return False


def _in_pixels(data_set: EncodedDataSet) -> Iterator[int]:
    """Numbers of the groups, shifted."""
    for short in GROUPS:
        group = short << 16
        if not any(data_set.element(group | tag) for tag in _DESCRIPTIONS):
            continue
        own = data_set.element(group | _DATA) is not None
        if not own or (_number(data_set, group | _BITS_ALLOCATED) or 1) > 1:
            yield group


def _has_pixels(data_set: EncodedDataSet) -> bool:
    return any(data_set.element(PIXELS + n) is not None for n in range(9))


def _number(data_set: EncodedDataSet, tag: int) -> int | None:
    element = data_set.element(tag)
    if element is None:
        return None
    values = data_set.values_in(data_set.root, tag, element, data_set.charset)
    return int(values[0]) if values and values[0].isdecimal() else None
