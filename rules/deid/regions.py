"""Where in pictures of a device text is burned in: what is made black, in which objects.

`regions:` of a profile lists them, or `shipped` for those of regions.yaml beside this file. All
that fit an object count, so that one region never uncovers what another hides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import translate
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PrivateAttr, model_validator

from rules.documents.problems import Mistake
from rules.documents.reading import Section, parse_document
from rules.editing.schema_pixels import Rectangle
from rules.editing.values import several
from rules.encoded.blackening import Rectangle as Box
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.forms import MalformedDataSet
from rules.tags import AttributePath, parse_path

SHIPPED: Final = "shipped"
ULTRASOUND: Final = "ultrasound regions"
EDGE: Final = 65_535
"""Pixels: the longest side of a picture."""
_SEQUENCE: Final = parse_path("SequenceOfUltrasoundRegions.RegionSpatialFormat").steps[:1]
_CORNERS: Final = tuple(
    parse_path(word)
    for word in (
        "RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1",
    )
)  # fmt: skip
_ROWS: Final = parse_path("Rows")
_COLUMNS: Final = parse_path("Columns")


def _patterns(value: object) -> object:
    if not isinstance(value, dict) or not value:
        raise Mistake("expected attributes and what they say", suggestion="{Modality: US}")
    for name in value:
        parse_path(str(name))
    return {str(name): several(text) for name, text in value.items()}


def _outside(value: object) -> object:
    if isinstance(value, str) and value != ULTRASOUND:
        raise Mistake(f"expected rectangles, or: {ULTRASOUND}", suggestion=ULTRASOUND)
    return value


class Region(Section):
    """What is made black in objects whose attributes say `when`: texts with * and ?, capitals or
    not; of several values one must fit.

    `top`, `bottom`, `left`, `right`: strips along the edges, in pixels. `black`: rectangles.
    `outside`: all but these rectangles, or but the object's ultrasound regions (PS3.3 C.8.5.5).
    `nothing`: such pictures are known to have no text.
    """

    name: str = Field(min_length=1)
    when: Annotated[Mapping[str, tuple[str, ...]], BeforeValidator(_patterns)]
    top: NonNegativeInt = 0
    bottom: NonNegativeInt = 0
    left: NonNegativeInt = 0
    right: NonNegativeInt = 0
    black: tuple[Rectangle, ...] = ()
    outside: Annotated[
        tuple[Rectangle, ...] | Literal["ultrasound regions"] | None, BeforeValidator(_outside)
    ] = None
    nothing: bool = False
    source: str = Field("", description="who says so")
    _checks: tuple[tuple[AttributePath, re.Pattern[str]], ...] = PrivateAttr()

    @model_validator(mode="after")
    def _sound(self) -> Region:
        says = (self.top, self.bottom, self.left, self.right, self.black, self.outside)
        if any(says) == self.nothing:
            message = "expected what is made black: top, bottom, left, right, black or outside"
            if self.nothing:
                message = "`nothing` is made black, and something is"
            raise Mistake(message, at=("nothing",) if self.nothing else ())
        self._checks = tuple(
            (parse_path(name), re.compile("|".join(map(translate, texts)), re.IGNORECASE))
            for name, texts in self.when.items()
        )
        return self

    def fits(self, data_set: EncodedDataSet) -> bool:
        """Whether the object is of this kind."""
        return all(
            any(pattern.fullmatch(value) for value in data_set.values(path) or ("",))
            for path, pattern in self._checks
        )

    def boxes(self, data_set: EncodedDataSet) -> list[Box] | None:
        """What is made black in the object; None where it does not say, after all."""
        rows, columns = _number(data_set, _ROWS), _number(data_set, _COLUMNS)
        found = [*self.black]
        if self.outside is not None:
            inside = self.outside
            regions = _ultrasound(data_set) if inside == ULTRASOUND else list(inside)
            around = outside_of(regions, rows, columns)
            if not around:
                return None  # a region as large as the picture tells nothing
            found += around
        strips = (
            (0, 0, columns, self.top),
            (0, max(rows - self.bottom, 0), columns, self.bottom),
            (0, 0, self.left, rows),
            (max(columns - self.right, 0), 0, self.right, rows),
        )
        return found + [strip for strip in strips if strip[2] and strip[3]]


def boxes_of(regions: Iterable[Region], data_set: EncodedDataSet) -> tuple[Box, ...] | None:
    """What is made black in an object: the rectangles of all regions that fit, none where its
    pictures are known to have no text; None where no region fits."""
    found: list[Box] = []
    known = False
    for region in regions:
        if region.fits(data_set) and (boxes := region.boxes(data_set)) is not None:
            known = True
            found += boxes
    return tuple(dict.fromkeys(found)) if known else None


def outside_of(inside: Iterable[Box], rows: int, columns: int) -> list[Box]:
    """Rectangles that cover all of a picture but these; nothing, and not all, where none of them
    lies in the picture."""
    clipped = []
    for x, y, width, height in inside:
        right, below = min(x + width, columns), min(y + height, rows)
        if x < right and y < below:
            clipped.append((x, y, right, below))
    if not clipped:
        return []
    edges = sorted({0, rows, *(box[1] for box in clipped), *(box[3] for box in clipped)})
    found: list[Box] = []
    for above, below in pairwise(edges):
        at = 0
        spans = sorted((x, right) for x, y, right, end in clipped if y <= above and below <= end)
        for x, right in [*spans, (columns, columns)]:
            if x > at:
                found.append((at, above, x - at, below - above))
            at = max(at, right)
    return found


def _ultrasound(data_set: EncodedDataSet) -> list[Box]:
    """The regions that the device says show ultrasound, whose last pixel belongs to them."""
    found = []
    for level, charset in data_set.levels(_SEQUENCE):
        corners = []
        for path in _CORNERS:
            element = level.find(path.tag.number)
            values = (
                ()
                if element is None
                else data_set.values_in(level, path.tag.number, element, charset)
            )
            corners.append(int(values[0]) if values and values[0].isdigit() else -1)
        x, y, right, below = corners
        if 0 <= x <= right <= EDGE and 0 <= y <= below <= EDGE:
            found.append((x, y, right - x + 1, below - y + 1))
    return found


def _number(data_set: EncodedDataSet, path: AttributePath) -> int:
    try:
        values = data_set.values(path)
    except MalformedDataSet:
        return 0
    return int(values[0]) if values and values[0].isdigit() else 0


class _File(Section):
    regions: tuple[Region, ...]


@cache
def shipped() -> tuple[Region, ...]:
    """The regions that come with the router."""
    text = files("rules.deid").joinpath("data", "regions.yaml").read_text(encoding="utf-8")
    return parse_document(text, "regions.yaml").validate(_File).regions


def listed(value: object) -> Iterator[object]:
    """The regions as a profile lists them, with those that are shipped in place of the word."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, str):
            if one != SHIPPED:
                raise Mistake("expected regions, or: shipped", suggestion=SHIPPED)
            yield from shipped()
        else:
            yield one


Regions = Annotated[tuple[Region, ...], BeforeValidator(lambda value: tuple(listed(value)))]
"""Of a profile."""
