"""What the standard does to which attribute: table E.1-1 of PS3.15, and the types it depends on.

The tables are files beside this one. E.1-1 and E.3.10-1 are of DICOM PS3.15 2026d, (c) NEMA;
`iod_types.csv` and `item_types.csv` were made from PS3.3 2024e by scripts/make_iod_types.py.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Option(StrEnum):
    """The options of annex E, by the names of CID 7050."""

    CLEAN_PIXEL_DATA = "clean pixel data"
    CLEAN_VISUAL_FEATURES = "clean recognizable visual features"
    CLEAN_GRAPHICS = "clean graphics"
    CLEAN_STRUCTURED_CONTENT = "clean structured content"
    CLEAN_DESCRIPTORS = "clean descriptors"
    RETAIN_FULL_DATES = "retain full dates"
    RETAIN_MODIFIED_DATES = "retain modified dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain patient characteristics"
    RETAIN_DEVICE_IDENTITY = "retain device identity"
    RETAIN_INSTITUTION_IDENTITY = "retain institution identity"
    RETAIN_UIDS = "retain uids"
    RETAIN_SAFE_PRIVATE = "retain safe private"


_COLUMNS: Mapping[str, Option] = {
    "retain_safe_private": Option.RETAIN_SAFE_PRIVATE,
    "retain_uid": Option.RETAIN_UIDS,
    "retain_device_id": Option.RETAIN_DEVICE_IDENTITY,
    "retain_institution_id": Option.RETAIN_INSTITUTION_IDENTITY,
    "retain_patient_characteristics": Option.RETAIN_PATIENT_CHARACTERISTICS,
    "retain_full_dates": Option.RETAIN_FULL_DATES,
    "retain_modified_dates": Option.RETAIN_MODIFIED_DATES,
    "clean_descriptors": Option.CLEAN_DESCRIPTORS,
    "clean_structured_content": Option.CLEAN_STRUCTURED_CONTENT,
    "clean_graphics": Option.CLEAN_GRAPHICS,
}


class Row(NamedTuple):
    """One row: the code of the Basic Profile, and K or C where an option overrides it."""

    tag: str
    name: str
    basic: str
    options: Mapping[Option, str]


CURVES = "(50XX,XXXX)"
_SINGLE = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)")
_REPEATING = re.compile(r"\([56]0XX,[0-9A-FX]{4}\)")


@cache
def rows() -> Mapping[int, Row]:
    """The rows of single tags."""
    return {_number(row.tag): row for row in _rows() if _SINGLE.fullmatch(row.tag)}


@cache
def repeating_rows() -> Mapping[str, Row]:
    """The rows of curves and overlays, by their patterns."""
    return {row.tag: row for row in _rows() if _REPEATING.fullmatch(row.tag)}


def row_of(tag: int) -> Row | None:
    """The row of a standard attribute, None where the table says nothing of it."""
    group = tag >> 24
    if group == 0x50 and not tag >> 16 & 1:
        return repeating_rows()[CURVES]
    if group == 0x60 and not tag >> 16 & 1:
        return repeating_rows().get(f"(60XX,{tag & 0xFFFF:04X})")
    return rows().get(tag)


@cache
def _types() -> Mapping[tuple[str, int], str]:
    found = {}
    for name, where in (("iod_types.csv", "sop_class_uid"), ("item_types.csv", "sequence")):
        for line in _lines(name):
            found[line[where], _number(line["tag"])] = line["type"]
    return found


def type_of(tag: int, *, sop_class_uid: str, sequence: int | None) -> str:
    """Type 1, 1C, 2, 2C or 3 of an attribute with a compound code (PS3.5 7.4).

    At the top level by the IOD of the SOP class, in an item by the sequence that holds it: the
    strongest type that any module gives it there.
    """
    where = sop_class_uid if sequence is None else f"({sequence >> 16:04X},{sequence & 0xFFFF:04X})"
    return _types().get((where, tag), "3")


@cache
def safe_private() -> frozenset[tuple[int, str, int]]:
    """Group, creator and low byte of the private attributes of table E.3.10-1."""
    return frozenset(
        (int(line["group"], 16), line["creator"], int(line["element"][-2:], 16))
        for line in _lines("e3_10_1.csv")
    )


def _rows() -> Iterator[Row]:
    for line in _lines("e1_1.csv"):
        options = {option: line[name] for name, option in _COLUMNS.items() if line[name]}
        yield Row(tag=line["tag"], name=line["name"], basic=line["basic"], options=options)


def _number(tag: str) -> int:
    return int(tag[1:5] + tag[6:10], 16)


def _lines(name: str) -> Iterator[dict[str, str]]:
    text = files("rules.deid").joinpath("data", name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())
