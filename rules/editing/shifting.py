"""Dates of DICOM moved by whole days: DA and DT, as they are and as they should not be (PS3.5 6.2).

What is left of a date that lacks its day or month is moved as the middle of what it may be. Times
of day and offsets from UTC stay. Ranges (`20200101-20200131`) move at both ends. Dates as ACR-NEMA
wrote them (`2020.01.31`) come out as DICOM does.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

DATE = re.compile(r"(\d{4})([.-]?)(\d\d)\2(\d\d)")
MOMENT = re.compile(r"(\d{4})(\d\d)?(\d\d)?(.*)")
REST = re.compile(r"(?:\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?)?(?:[+-]\d{4})?")
RANGE = re.compile(r"([\d.:]*(?:[+-]\d{4})?)-([\d.:]*(?:[+-]\d{4})?)")


class NoDate(Exception):
    """A text that is no date, or one that leaves the calendar."""


def shifted(vr: str, value: str, days: int) -> str:
    """A DA or DT value moved by so many days; NoDate for what is none."""
    text = value.strip(" \0")
    if not text:
        return value
    move = _date if vr == "DA" else _moment
    try:
        return move(text, days)
    except NoDate:
        return "-".join(move(end, days) if end else "" for end in _ends(text))


def _ends(text: str) -> tuple[str, str]:
    """The two ends of a range, of which one may be open."""
    found = RANGE.fullmatch(text)
    if found is None or text == "-":
        raise NoDate
    return found[1], found[2]


def _date(text: str, days: int) -> str:
    found = DATE.fullmatch(text)
    if found is None:
        raise NoDate
    moved = _moved(int(found[1]), int(found[3]), int(found[4]), days)
    return f"{moved.year:04}{moved.month:02}{moved.day:02}"


def _moment(text: str, days: int) -> str:
    found = MOMENT.fullmatch(text)
    if found is None or not REST.fullmatch(found[4]) or (found[4][:1].isdigit() and not found[3]):
        raise NoDate
    month, day = int(found[2] or 7), int(found[3] or (15 if found[2] else 2))
    moved = _moved(int(found[1]), month, day, days)
    digits = f"{moved.year:04}{moved.month:02}{moved.day:02}"
    return digits[: found.end(3) if found[3] else 6 if found[2] else 4] + found[4]


def _moved(year: int, month: int, day: int, days: int) -> date:
    try:
        return date(year, month, day) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise NoDate from None
