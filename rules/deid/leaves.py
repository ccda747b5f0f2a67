"""Every value of an encoded data set with the place where it stands, at every level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rules.encoded.charsets import CharacterSet
from rules.encoded.data_set import EncodedDataSet, charset_of
from rules.encoded.forms import MalformedDataSet
from rules.encoded.level import PIXELS, Element, Level
from rules.encoded.values import values_of
from rules.tags import Tag

_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


class Leaf(NamedTuple):
    """A value that is no sequence. `path` says where: keywords, and items counted from 1;
    `start` and `stop` are its bytes in the source."""

    path: str
    tag: int
    vr: str
    start: int
    stop: int
    level: Level
    charset: CharacterSet

    @property
    def data(self) -> bytes:
        return bytes(self.level.source[self.start : self.stop])

    def texts(self) -> tuple[str, ...]:
        """The values as texts; of bulk data its length."""
        return values_of(self.vr, self.data, self.level.form, self.charset)


def leaves_of(data_set: EncodedDataSet) -> Iterator[Leaf]:
    """In the order of the bytes, pixel data too. MalformedDataSet where bytes make no sense."""
    data_set.root.complete_with_pixels()
    yield from _leaves(data_set, data_set.root, data_set.charset, "")


def _leaves(
    data_set: EncodedDataSet, level: Level, charset: CharacterSet, above: str
) -> Iterator[Leaf]:
    level.complete()
    for tag, element in level.in_order():
        vr = data_set.vr_of(level, tag, element)
        path = above + str(Tag(tag >> 16, tag & 0xFFFF))
        items = _items(level, tag, vr, element)
        if items is None:
            yield Leaf(path, tag, vr, element.value, element.stop, level, charset)
            continue
        for number, item in enumerate(items, 1):
            yield from _leaves(data_set, item, charset_of(item, charset), f"{path}[{number}].")


def _items(level: Level, tag: int, vr: str, element: Element) -> list[Level] | None:
    """The items of a sequence, and of what nobody calls one but is: UN that holds items."""
    if vr == "SQ":
        return list(level.items(element))
    hidden = bytes(level.source[element.value : element.value + 4]) in _ITEMS
    if not hidden or not (vr == "UN" or vr == "OB") or tag >= PIXELS:
        return None
    try:
        items = list(level.items(element))
        for item in items:
            item.complete()
    except MalformedDataSet:
        return None
    return items
