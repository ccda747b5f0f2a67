"""An encoded data set as rules see it: facts by attribute path, read where they stand.

Bytes in, texts out; pixel data is never touched. pydicom decodes everything at a hundred times
the cost and judges this module in the tests. See level for what is read when.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from rules.encoded.charsets import CharacterSet, character_set
from rules.encoded.forms import DEFLATED, MalformedDataSet, Source, actual_form, form_of
from rules.encoded.level import PIXELS, Element, Level
from rules.encoded.values import is_creator, private_vr, standard_vr, values_of
from rules.tags import AttributePath, Tag

__all__ = ["EncodedDataSet", "MalformedDataSet", "Piece", "Slice", "Source"]

CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103
INFLATED_LIMIT = 1 << 30
INFLATED_FREELY = 1 << 26
INFLATED_RATIO = 50
"""A megabyte from the network can inflate to a gigabyte, all of it in memory. So beyond 64 MiB a
deflated object may have at most 50 times its length, which texts and pictures stay far below."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of the source, by reference: `offset` counts from the source's first byte."""

    offset: int
    length: int


Piece: TypeAlias = bytes | Slice
"""What follows what in an encoded data set: new bytes and ranges of the source."""


class EncodedDataSet:
    """Facts of one data set. Reads as far as a question needs; answers none about what lies
    after damage (MalformedDataSet), all about what lies before."""

    __slots__ = ("_charset", "_start", "root", "source", "transfer_syntax_uid")

    def __init__(self, source: Source, transfer_syntax_uid: str, offset: int = 0) -> None:
        self.source: Source = source
        self.transfer_syntax_uid = transfer_syntax_uid
        self._start = offset
        if transfer_syntax_uid == DEFLATED:
            self.source, self._start = _inflate(source, offset), 0
        limit = len(self.source)
        form = actual_form(self.source, self._start, limit, form_of(transfer_syntax_uid))
        self.root = Level(self.source, self._start, limit, form, stop_tag=PIXELS)
        self._charset: CharacterSet | None = None

    @classmethod
    def read(cls, source: Source, transfer_syntax_uid: str, offset: int = 0) -> EncodedDataSet:
        """The data set that begins at `offset` and ends with the source, which must stay open.
        MalformedDataSet at once only for a deflated one that does not inflate."""
        return cls(source, transfer_syntax_uid, offset)

    @property
    def start(self) -> int:
        """Where the data set begins in `source`, which is the inflated one if it was deflated."""
        return self._start

    def view(self, offset: int, length: int) -> memoryview:
        """A range of `source` without copying it: what a Slice refers to. To be released."""
        return memoryview(self.source)[offset : offset + length]

    def close(self) -> None:
        """Nothing is held open: the source can be closed after its views are released."""

    def element(self, tag: int) -> Element | None:
        """Where a top-level element stands in the source."""
        return self.root.find(tag)

    def values(self, path: AttributePath) -> tuple[str, ...] | None:
        """All values, of all items where the path is nested; (): empty; None: absent.

        A sequence has one value for each item.
        """
        steps = path.steps
        if len(steps) == 1:
            tag = self.tag_in(self.root, steps[0])
            element = self.root.find(tag) if tag is not None else None
            if tag is None or element is None:
                return None
            return self.values_in(self.root, tag, element, self.charset)
        found: list[str] = []
        present = False
        for level, charset in self.levels(steps[:-1]):
            tag = self.tag_in(level, steps[-1])
            element = level.find(tag) if tag is not None else None
            if tag is not None and element is not None:
                present = True
                found.extend(self.values_in(level, tag, element, charset))
        return tuple(found) if present else None

    def vr(self, path: AttributePath) -> str | None:
        """The VR of the first such element; None where there is none."""
        for level, _ in self.levels(path.steps[:-1]):
            tag = self.tag_in(level, path.tag)
            element = level.find(tag) if tag is not None else None
            if tag is not None and element is not None:
                return self.vr_of(level, tag, element)
        return None

    def levels(self, steps: tuple[Tag, ...]) -> Iterator[tuple[Level, CharacterSet]]:
        """The data set, or the items that a path's steps lead to; each with its character set."""
        yield from self._descend(self.root, self.charset, steps)

    def _descend(
        self, level: Level, charset: CharacterSet, steps: tuple[Tag, ...]
    ) -> Iterator[tuple[Level, CharacterSet]]:
        if not steps:
            yield level, charset
            return
        tag = self.tag_in(level, steps[0])
        element = level.find(tag) if tag is not None else None
        if tag is None or element is None or self.vr_of(level, tag, element) != "SQ":
            return
        for item in level.items(element):
            yield from self._descend(item, charset_of(item, charset), steps[1:])

    @property
    def charset(self) -> CharacterSet:
        """The data set's own; items may have another."""
        if self._charset is None:
            self._charset = charset_of(self.root, character_set(()))
        return self._charset

    def tag_in(self, level: Level, tag: Tag) -> int | None:
        """The number that a tag has here: a private one's block comes from its creator."""
        if tag.creator is None:
            return tag.number
        block = self.block_of(level, tag.group, tag.creator)
        return None if block is None else tag.group << 16 | block << 8 | tag.element

    def block_of(self, level: Level, group: int, creator: str) -> int | None:
        """The block (10 to FF) that a private creator has reserved at this level."""
        level.find(group << 16 | 0xFFFF)
        for tag, entry in level.entries.items():
            if tag >> 16 == group and is_creator(tag) and _text(level, entry[2:4]) == creator:
                return tag & 0xFF
        return None

    def vr_of(self, level: Level, tag: int, element: Element) -> str:
        """The VR as written; from the dictionaries where none is, or UN; UN if those fail."""
        written = element.vr.decode("latin-1") if element.vr else "UN"
        if written != "UN":
            return written
        known = private_vr_in(level, tag) if tag & 0x10000 else standard_vr(tag)
        if known is None:
            return "SQ" if element.is_undefined and tag < PIXELS else "UN"
        return self.unambiguous(known, tag)

    def unambiguous(self, vr: str, tag: int) -> str:
        """US or SS by Pixel Representation, OW among the others (PS3.5 A.1)."""
        if " or " not in vr:
            return vr
        if "OW" in vr:
            return "OW"
        signed = self.root.find(PIXEL_REPRESENTATION) if tag != PIXEL_REPRESENTATION else None
        if signed is None:
            return "US"
        first = bytes(self.source[signed.value : signed.value + 2])
        return "SS" if any(first) else "US"

    def values_in(
        self, level: Level, tag: int, element: Element, charset: CharacterSet
    ) -> tuple[str, ...]:
        """The values of an element of this level."""
        vr = self.vr_of(level, tag, element)
        if vr == "SQ":
            return tuple([f"item {n}" for n, _ in enumerate(level.items(element), 1)])
        if vr in _BULK:
            length = element.stop - element.value
            return (f"<{length} bytes>",) if length else ()
        data = bytes(level.source[element.value : element.stop])
        return values_of(vr, data, level.form, charset)


_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})


def charset_of(level: Level, around: CharacterSet) -> CharacterSet:
    """An item without Specific Character Set has that of the data set around it."""
    element = level.find(CHARACTER_SET)
    if element is None:
        return around
    data = bytes(level.source[element.value : element.stop])
    return character_set(values_of("CS", data, level.form, around))


def private_vr_in(level: Level, tag: int) -> str | None:
    """The VR of a private element by its creator at this level; LO for the creator itself."""
    if is_creator(tag):
        return "LO"
    creator = level.entries.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
    if creator is None or tag & 0xFFFF < 0x1000:
        return None
    return private_vr(tag, _text(level, creator[2:4]))


def _text(level: Level, span: tuple[int, ...]) -> str:
    return bytes(level.source[span[0] : span[1]]).decode("latin-1").strip(" \0")


def _inflate(source: Source, offset: int) -> bytes:
    """Raw deflate without a header (PS3.5 A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    most = max(INFLATED_FREELY, INFLATED_RATIO * (len(source) - offset))
    most = min(most, INFLATED_LIMIT)
    try:
        with memoryview(source) as whole, whole[offset:] as deflated:
            data = inflater.decompress(deflated, most)
    except zlib.error:
        raise MalformedDataSet(offset, "the deflated data set does not inflate") from None
    if inflater.unconsumed_tail:
        raise MalformedDataSet(offset, f"the data set inflates to over {most} bytes")
    if not inflater.eof:
        raise MalformedDataSet(len(source), "the deflated data set has no end")
    return data
