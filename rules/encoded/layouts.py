"""Where the elements of a header stood: those of its series' next image often stand there, too.

A head (tag, VR, length) says where the next one is. So where all heads of an earlier header are
found at their places again, its elements are this one's; all heads are compared at once, as one
number, in a fifth of the time that a walk from one to the next takes. No value is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from rules.encoded.forms import Source

Entry: TypeAlias = tuple[bytes | None, int, int, int, int]
Place: TypeAlias = tuple[str, int, int]
"""What walks must have in common: byte order, where they begin, the tag before which they end."""

FEWEST = 16
"""Elements that are worth comparing."""
LONGEST = 16 << 10
"""Bytes that are compared: nearly every header. Each costs half a nanosecond."""
PATIENCE = 8
"""Headers of which little was known before they take a layout's place: making one costs a walk."""
KEPT = 64
"""Layouts, of some 30 KB each."""


class Layout:
    """Elements of ascending tags, each of which begins where the one before it ends."""

    __slots__ = ("_entries", "_heads", "_mask", "_start", "end", "first", "misses")

    def __init__(self, source: Source, start: int, entries: Mapping[int, Entry]) -> None:
        self.misses = 0
        self.first, *_, last = entries
        self.end = entries[last][4]
        self._entries = dict(entries)
        self._start = start
        mask = bytearray(self.end - start)
        for _, head, value, _, _ in entries.values():
            mask[head - start : value - start] = b"\xff" * (value - head)
        self._mask = int.from_bytes(mask, "little")
        self._heads = self._heads_of(source)

    def found_in(self, source: Source) -> dict[int, Entry]:
        """The elements before the first head that is not there. `source` goes on to `end`."""
        difference = self._heads_of(source) ^ self._heads
        if not difference:
            self.misses = 0
            return self._entries
        at = self._start + ((difference & -difference).bit_length() - 1) // 8
        found = {tag: entry for tag, entry in self._entries.items() if entry[2] <= at}
        self.misses = 0 if len(found) * 2 > len(self._entries) else self.misses + 1
        return found

    def _heads_of(self, source: Source) -> int:
        return int.from_bytes(source[self._start : self.end], "little") & self._mask


_LAYOUTS: dict[Place, Layout] = {}


def recall(place: Place, source: Source, limit: int, highest: int) -> dict[int, Entry]:
    """The elements with which a walk of `source` to `limit` begins, `highest` being the last tag
    before it; as far as is known."""
    layout = _LAYOUTS.get(place)
    if layout is None or layout.end > limit or layout.first <= highest:
        return {}
    return layout.found_in(source)


def remember(place: Place, source: Source, entries: Mapping[int, Entry]) -> None:
    """Know such a walk the next time, unless the layout that is kept for its place serves."""
    layout = _LAYOUTS.get(place)
    if layout is not None and layout.misses < PATIENCE:
        return
    _, start, _ = place
    kept = {
        tag: one for tag, one in entries.items() if start <= one[1] and one[4] - start < LONGEST
    }
    if len(kept) < FEWEST:
        return
    if len(_LAYOUTS) >= KEPT:
        _LAYOUTS.clear()
    _LAYOUTS[place] = Layout(source, start, kept)
