"""The elements of one level: a data set, or one item of a sequence. Walked as far as asked.

An element is indexed as a plain tuple; nothing is decoded or copied. What was read before bytes
that make no sense stays readable; asking for what lies after them raises MalformedDataSet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rules.encoded import layouts
from rules.encoded.forms import (
    ITEM,
    ITEM_END,
    LONG,
    SHORT,
    UNDEFINED,
    Form,
    MalformedDataSet,
    Source,
    end_of_sequence,
    item_form,
    read_head,
    sequence_form,
)
from rules.encoded.layouts import Entry, Place

PIXELS = 0x7FE00008
"""Pixel data in its three kinds (PS3.3 C.7.6.24) begins here: the header ends."""
EVERYTHING = 1 << 32
DENSE = 0x30000000
"""Below lie the attributes rules ask for, above the long sequences (radiotherapy, functional
groups). The first question reads all below at once, so that an element out of order is found."""
ELEMENT_LIMIT = 100_000
"""Elements of one level. Real ones have hundreds; eight bytes each must not fill the memory."""
_RUN = 1 << 20
NESTING_LIMIT = 64
"""Levels of sequences that are entered. Real objects (structured reports) nest some ten deep."""


class Element(NamedTuple):
    """Offsets of one element in the source: the head begins at `start`, the value goes from
    `value` to `stop`, the element to `end` (after the delimiter of an undefined length)."""

    vr: bytes | None
    start: int
    value: int
    stop: int
    end: int

    @property
    def is_undefined(self) -> bool:
        return self.stop != self.end


class Level:
    """Elements from `start` up to `limit`, to an item delimiter, or (`stop_tag`) to pixel data."""

    __slots__ = (
        "_damage", "_highest", "_limit", "_stop_tag", "depth", "end", "ends", "entries", "finished",
        "form", "is_defined", "position", "source", "start", "strays",
    )  # fmt: skip

    def __init__(
        self,
        source: Source,
        start: int,
        limit: int,
        form: Form,
        *,
        depth: int = 0,
        is_defined: bool = True,
        stop_tag: int = EVERYTHING,
    ) -> None:
        self.source = source
        self.form = form
        self.start = self.position = start
        self.depth = depth
        self.is_defined = is_defined
        self.entries: dict[int, Entry] = {}
        self.strays: list[tuple[int, Entry]] = []
        """Elements that a later one with the same tag hides."""
        self.finished = False
        self.ends: dict[int, int] = {}
        self.end = limit
        self._limit = limit
        self._highest = -1
        self._stop_tag = stop_tag
        self._damage: MalformedDataSet | None = None

    def find(self, tag: int) -> Element | None:
        """The element, None where there is none. MalformedDataSet if damage lies before it."""
        if tag not in self.entries:
            if tag >= self._stop_tag:
                self._go_past_pixels()
            if not self.finished and self._highest < tag:
                self._walk(max(tag, DENSE))
            if self._damage is not None and self._highest < tag and tag not in self.entries:
                raise self._damage
        entry = self.entries.get(tag)
        return Element._make(entry) if entry else None

    def complete(self) -> None:
        """Read to the end of the level (of the header, in a data set with pixel data)."""
        if not self.finished:
            self._walk(EVERYTHING)
        if self._damage is not None:
            raise self._damage

    def complete_with_pixels(self) -> None:
        """Read to the very end; the items of encapsulated pixel data are jumped over."""
        self._go_past_pixels()
        self.complete()

    def holds_later(self, tag: int) -> bool:
        """Whether an element stands in what is not read yet, pixel data aside. Where damage is in
        the way it cannot be told, and the level stays as readable as it was."""
        rest = Level(
            self.source,
            self.position,
            self._limit,
            self.form,
            depth=self.depth,
            is_defined=self.is_defined,
        )
        rest.ends = self.ends
        try:
            return rest.find(tag) is not None
        except MalformedDataSet:
            return False

    def in_order(self) -> list[tuple[int, Element]]:
        """All elements as they stand in the source, those with a repeated tag, too."""
        every = [(tag, Element._make(entry)) for tag, entry in self.entries.items()]
        every += [(tag, Element._make(entry)) for tag, entry in self.strays]
        return sorted(every, key=lambda each: each[1].start)

    def items(self, element: Element) -> Iterator[Level]:
        """The items of a sequence. MalformedDataSet where it holds something else."""
        if self.depth >= NESTING_LIMIT:
            raise MalformedDataSet(element.start, f"sequences nest over {NESTING_LIMIT} deep")
        form = sequence_form(element.vr, self.form)
        position = element.value
        while position < element.stop:
            head = read_head(self.source, position, element.stop, form)
            if head.tag != ITEM:
                raise MalformedDataSet(position, "a sequence holds something other than items")
            is_defined = head.length != UNDEFINED
            limit = head.value + head.length if is_defined else element.stop
            if limit > element.stop:
                raise MalformedDataSet(position, "an item is longer than its sequence")
            within = item_form(self.source, head.value, limit, form)
            item = Level(
                self.source, head.value, limit, within, depth=self.depth + 1, is_defined=is_defined
            )
            item.ends = self.ends
            if head.value in self.ends:
                item.end = self.ends[head.value]
            elif not is_defined:
                item.complete()
            yield item
            position = item.end

    def _go_past_pixels(self) -> None:
        if self._stop_tag != EVERYTHING:
            self._stop_tag = EVERYTHING
            self.finished = self._damage is not None

    def _walk(self, until: int) -> None:
        """Index elements up to the first whose tag is `until` or higher."""
        until = min(until, self._stop_tag)
        try:
            while not self.finished and self._highest < until:
                if not self.form.implicit:
                    self._run(until)
                self._step()
                if len(self.entries) + len(self.strays) > ELEMENT_LIMIT:
                    raise MalformedDataSet(self.position, f"over {ELEMENT_LIMIT} elements")
        except MalformedDataSet as damage:
            self._damage = damage
            self.finished = True

    def _run(self, until: int) -> None:
        """The fast lane: ordinary explicit elements in ascending order, 0.2 us each."""
        source, limit, entries = self.source, self._limit, self.entries
        unpack, unpack_number = self.form.short.unpack_from, self.form.number.unpack_from
        place, before = (self.form.order, self.position, until), len(entries)
        position, highest = self._recalled(place)
        last = min(self._limit - 12, position + _RUN)
        while position <= last:
            group, number, vr, length = unpack(source, position)
            if vr in SHORT:
                value = position + 8
            elif vr in LONG:
                (length,) = unpack_number(source, position + 8)
                value = position + 12
            else:
                break
            tag = group << 16 | number
            end = value + length
            if not highest < tag < until or end > limit or length == UNDEFINED:
                break
            entries[tag] = (vr, position, value, end, end)
            highest, position = tag, end
        if len(entries) - before >= layouts.FEWEST and not self.depth:
            layouts.remember(place, source, entries)
        self.position, self._highest = position, highest

    def _recalled(self, place: Place) -> tuple[int, int]:
        """Where to go on, and the highest tag, after what stands here as in another header."""
        found = {} if self.depth else layouts.recall(place, self.source, self._limit, self._highest)
        if not found:
            return self.position, self._highest
        self.entries.update(found)
        highest = next(reversed(found))
        return found[highest][4], highest

    def _step(self) -> None:
        """One element of any kind."""
        start = self.position
        if self._is_at_end(start):
            self.finished = True
            return
        tag, vr, value, length = read_head(self.source, start, self._limit, self.form)
        if tag == ITEM_END and not self.is_defined:
            self.finished, self.end = True, value
            return
        if tag >= self._stop_tag:
            self.finished = True
            return
        if length == UNDEFINED:
            end = self.ends.get(value) or end_of_sequence(
                self.source, value, self._limit, sequence_form(vr, self.form), self.ends
            )
            stop = end - 8
        else:
            stop = end = value + length
            if end > self._limit:
                raise MalformedDataSet(start, "an element is longer than what is left")
        if tag in self.entries:
            self.strays.append((tag, self.entries.pop(tag)))
        self.entries[tag] = (vr, start, value, stop, end)
        self._highest = max(tag, self._highest)
        self.position = end

    def _is_at_end(self, position: int) -> bool:
        left = self._limit - position
        if left == 0 and not self.is_defined:
            raise MalformedDataSet(position, "an item has no end")
        return left < 8 and not any(self.source[position : self._limit])
