"""The proof: whether what came out still says, anywhere in its bytes, what went in.

This knows nothing of the engine: it looks for the original's values in the bytes of the result, in
every attribute of any VR, private ones, items, file meta, preamble and padding, within longer
texts, in any character set. docs/deidentification.md says what that proves, and what it does not.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from typing import Final

from rules.deid.identifying import Kind, Sought, identifying
from rules.deid.leaves import Leaf, leaves_of
from rules.deid.spellings import spellings_of_date, written
from rules.deid.table import Option
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.level import PIXELS
from rules.tags import AttributePath, TagPattern

BLOCK: Final = 1 << 22
OVERLAP: Final = 256
_PRINTED: Final = re.compile(rb"[ -~]{6,}")
_BETWEEN: Final = b"\0\0\0\0"
_SHORT: Final = 6
"""Characters: shorter words count only where they stand alone."""
_MOST_EACH: Final = 20
"""Places told of one value: the first say enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One value of the original in the result. `value` is the patient's: it is not for logs.

    `origin` and `place`: attribute paths in the original and in the result; the place may also be
    the preamble, the file meta information, or pixel data.
    """

    kind: Kind
    origin: str
    place: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.kind} of {self.origin} in {self.place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """`sought`: how many values were looked for; `left_out`: how many were too short or common."""

    findings: tuple[Finding, ...]
    sought: int
    left_out: int


def findings(
    original: EncodedDataSet,
    result: EncodedDataSet,
    *,
    options: Iterable[Option] = (),
    keep: Iterable[AttributePath | TagPattern] = (),
    head: bytes = b"",
) -> list[Finding]:
    """What of the original is in the result: nothing, or it is not de-identified.

    `options` and `keep` are the profile's: what they let stay is not sought. `head`: what stands
    before the result's data set, where its source does not have it. MalformedDataSet where either
    cannot be read to its end.
    """
    return list(scan(original, result, options=options, keep=keep, head=head).findings)


def scan(
    original: EncodedDataSet,
    result: EncodedDataSet,
    *,
    options: Iterable[Option] = (),
    keep: Iterable[AttributePath | TagPattern] = (),
    head: bytes = b"",
) -> Scan:
    """The same, and how much was looked for."""
    chosen = frozenset(options)
    sought, left_out = identifying(original, chosen, keep)
    places = _Places(result, head)
    shifted = Option.RETAIN_MODIFIED_DATES in chosen
    found: dict[tuple[Kind, str, str], Finding] = {}
    for one in sought:
        for count, place in enumerate(places.of(one)):
            if count >= _MOST_EACH:
                break
            if shifted and one.kind is Kind.DATE and place.is_other_date(one.origin):
                continue
            value = one.text or f"<{len(one.data)} bytes>"
            finding = Finding(kind=one.kind, origin=one.origin, place=place.name, value=value)
            found.setdefault((one.kind, value, place.name), finding)
    if preamble := places.preamble_of(original):
        found[Kind.BYTES, "", "preamble"] = preamble
    return Scan(findings=tuple(found.values()), sought=len(sought), left_out=left_out)


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    vr: str = ""

    def is_other_date(self, origin: str) -> bool:
        """A day that another attribute was moved to, and not one that stayed."""
        return self.vr in ("DA", "DT") and self.name != origin


class _Places:
    """The result's bytes to search: all but pixel data, and what is printed in that."""

    def __init__(self, result: EncodedDataSet, head: bytes) -> None:
        self._result = result
        self._source_head = bytes(result.source[: result.start])
        self._head = head
        self._leaves: list[Leaf] | None = None
        self._starts: list[int] = []
        result.root.complete_with_pixels()
        pixels = [result.root.find(PIXELS + n) for n in range(9)]
        stretches = list(self._lowered([(p.value, p.stop) for p in pixels if p]))
        self._text = _BETWEEN.join(text for _, text in stretches)
        """All that is searched, as one text."""
        self._offsets = [offset for offset, _ in stretches]
        lengths = (len(text) + len(_BETWEEN) for _, text in stretches)
        self._begins = [0, *accumulate(lengths)][:-1]

    def of(self, one: Sought) -> Iterator[_Place]:
        """Every place of a value."""
        for needle, exact in _needles(one):
            for at in _all(self._text, needle):
                if exact or _stands_alone(one.kind, self._text, at, needle):
                    number = bisect_right(self._begins, at) - 1
                    yield self._named(self._offsets[number] + at - self._begins[number])

    def preamble_of(self, original: EncodedDataSet) -> Finding | None:
        before, after = bytes(original.source[:128]), (self._source_head or self._head)[:128]
        if original.start < 132 or not any(before) or before != after:
            return None
        return Finding(kind=Kind.BYTES, origin="preamble", place="preamble", value="<128 bytes>")

    def _lowered(self, pixels: list[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        source, position = self._result.source, 0
        if self._head:
            yield -len(self._head), self._head.lower()
        for start, stop in sorted(pixels):
            yield position, bytes(source[position:start]).lower()
            for at in range(start, stop, BLOCK):
                block = bytes(source[at : min(at + BLOCK + OVERLAP, stop)])
                for printed in _PRINTED.finditer(block):
                    yield at + printed.start(), printed[0].lower()
            position = stop
        yield position, bytes(source[position : len(source)]).lower()

    def _named(self, offset: int) -> _Place:
        """The attribute that has this byte."""
        if offset < self._result.start:
            in_preamble = 0 <= offset < 128 or -len(self._head) <= offset < 128 - len(self._head)
            return _Place("preamble" if in_preamble else "file meta information")
        if self._leaves is None:
            self._leaves = list(leaves_of(self._result))
            self._starts = [leaf.start for leaf in self._leaves]
        at = bisect_right(self._starts, offset) - 1
        if at < 0 or offset >= self._leaves[at].stop:
            return _Place("between the attributes")
        return _Place(self._leaves[at].path, self._leaves[at].vr)


def _needles(one: Sought) -> Iterator[tuple[bytes, bool]]:
    """Bytes to look for, and whether they count wherever they are."""
    if one.kind is Kind.BYTES:
        yield one.data.lower(), True
    elif one.kind is Kind.DATE:
        for text in dict.fromkeys(spellings_of_date(date.fromisoformat(one.text))):
            yield text.lower().encode(), False
    else:
        for needle in written(one.text):
            yield needle, not one.text.isascii() or b"\0" in needle


def _all(text: bytes, needle: bytes) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def _stands_alone(kind: Kind, text: bytes, at: int, needle: bytes) -> bool:
    """Whether this is the value, and not a stretch of another number or word by chance."""
    before = text[at - 1 : at] if at else b""
    after = text[at + len(needle) : at + len(needle) + 2]
    if kind is Kind.UID:
        longer = after[:1].isdigit() or (after[:1] == b"." and after[1:].isdigit())
        return not before.isdigit() and before != b"." and not longer
    if kind is Kind.DATE:
        return not before.isdigit()
    if needle.replace(b".", b"").isdigit():
        around = after[:1].isdigit() or (after[:1] == b"." and after[1:].isdigit())
        return not before.isdigit() and before != b"." and not around
    if len(needle) < _SHORT:
        return not before.isalnum() and not after[:1].isalnum()
    return True
