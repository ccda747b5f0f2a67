"""How values of one sort are compared: numbers as numbers, names by components, dates as dates.

A kind turns a value into keys. Two values are equal when they share a key; of a kind with an
order the first key is what is compared. A value that does not fit its kind has no keys: it equals
nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeAlias

from rules.documents.problems import Mistake, suggest
from rules.uids import GROUPS, NAMES, groups_of, is_uid, uid_named

# What keys are is the kind's own affair: text, a number or a tuple of them; hashable, comparable.
Key: TypeAlias = Any
Keys: TypeAlias = tuple[Key, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`example` is what an error shows; `splits`: a backslash separates values (PS3.5 6.4)."""

    name: str
    example: str
    keys: Callable[[str], Keys]
    operand: Callable[[str], Key] | None = None
    ordered: bool = False
    searchable: bool = True
    equals: bool = True
    splits: bool = True

    def wanted(self, text: str) -> Key:
        """What a rule's text must be equal to; Mistake when no value could be."""
        if self.splits and "\\" in text:
            return tuple(self._one(part) for part in text.split("\\"))
        return self._one(text)

    def bound(self, text: str) -> Key:
        """The key of a limit (`at_least` …); Mistake when the text is none."""
        return self._one(text)

    def _one(self, text: str) -> Key:
        if self.operand is not None:
            return self.operand(text)
        keys = self.keys(text.strip())
        if not keys:
            raise Mistake(f"{text!r} is not {self.name}, such as {self.example}")
        return keys[-1]


def kind_of_vr(vr: str | None) -> Kind:
    """The kind of an attribute's values; without a VR they are text."""
    return KINDS.get(vr or "", TEXT)


def _text(text: str) -> Keys:
    return (text.strip(" \0"),)


WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _number(text: str) -> Keys:
    text = text.strip(" \0")
    if WHOLE.fullmatch(text):
        return (int(text),)
    return (float(text),) if NUMBER.fullmatch(text) else ()


def _single(text: str) -> Keys:
    """Single precision: 1.1 in a rule is what the object's four bytes make of 1.1."""
    keys = _number(text)
    try:
        return tuple(struct.unpack("<f", struct.pack("<f", key))[0] for key in keys)
    except OverflowError:
        return ()


def _person(text: str) -> Keys:
    """Every component group by itself, then all of them: a rule may name one or all."""
    groups = [_components(group) for group in text.split("=")]
    while groups and not groups[-1]:
        groups.pop()
    alone = tuple(group for group in groups if group)
    return (*alone, "=".join(groups)) if alone else ()


def _components(group: str) -> str:
    parts = [" ".join(part.split()).casefold() for part in group.split("^")]
    return "^".join(parts).rstrip("^")


DAY = re.compile(r"(\d{4})[-.]?(\d\d)[-.]?(\d\d)")
CLOCK = re.compile(r"(\d\d)(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?")
MOMENT = re.compile(
    r"(\d{4})-?(\d\d)?-?(\d\d)?[ T]?(?:(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,6}))?)?([+-]\d{4})?"
)


def _date(text: str) -> Keys:
    found = DAY.fullmatch(text.strip(" \0"))
    try:
        return (date(int(found[1]), int(found[2]), int(found[3])).isoformat(),) if found else ()
    except ValueError:
        return ()


def _time(text: str) -> Keys:
    found = CLOCK.fullmatch(text.strip(" \0"))
    if found is None or int(found[1]) > 23:
        return ()
    return (f"{found[1]}{found[2] or '00'}{found[3] or '00'}.{(found[4] or '').ljust(6, '0')}",)


def moment_of(text: str) -> datetime | None:
    """A DT value; without an offset from UTC in the value, without a zone."""
    found = MOMENT.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found[i] or i in (2, 3)) for i in range(1, 7))
    fraction = int((found[7] or "").ljust(6, "0"))
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), fraction)  # noqa: DTZ001
        if offset := found[8]:
            away = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
            moment += away if offset[0] == "-" else -away
            moment = moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment


def _moment(text: str) -> Keys:
    """With an offset, the moment in UTC; without, the clock's reading as it stands."""
    moment = moment_of(text)
    return (moment.replace(tzinfo=None).isoformat(timespec="microseconds"),) if moment else ()


AGE = re.compile(r"(\d{1,3})([DWMY])")
DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}


def _age(text: str) -> Keys:
    found = AGE.fullmatch(text.strip(" \0"))
    return (int(found[1]) * DAYS[found[2]],) if found else ()


def _uid(text: str) -> Keys:
    return (text.strip(" \0"),)


def _uid_wanted(text: str) -> Key:
    if not is_uid(text):
        hint = "; classes by name: sop_class" if text in NAMES else ""
        raise Mistake(f"{text!r} is not a UID{hint}")
    return text


def _sop_class(text: str) -> Keys:
    return (text, *groups_of(text))


def _sop_class_wanted(text: str) -> Key:
    found = uid_named(text, "SOP Class")
    if found is None:
        inside = [name for name in NAMES if text.casefold() in name.casefold()]
        near = min(inside, key=len, default=None) or suggest(text, [*NAMES, *GROUPS])
        raise Mistake(
            f"{text!r} is not a SOP class: expected its UID, its name, or one of "
            f"{', '.join(GROUPS)}",
            suggestion=near,
        )
    return found


def _transfer_syntax_wanted(text: str) -> Key:
    found = uid_named(text, "Transfer Syntax")
    if found is None:
        raise Mistake(
            f"{text!r} is not a transfer syntax: expected its UID or its name",
            suggestion=suggest(text, NAMES),
        )
    return found


UNITS = {"": 1, "B": 1}
UNITS |= {unit + "B": 1000**n for n, unit in enumerate("KMGT", 1)}
UNITS |= {unit + "iB": 1024**n for n, unit in enumerate("KMGT", 1)}
SIZE_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?i?B)?")


def _size(text: str) -> Keys:
    found = SIZE_FORM.fullmatch(text)
    unit = UNITS.get(found[2] or "") if found else None
    return (int(float(found[1]) * unit),) if found and unit else ()


FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _flag(text: str) -> Keys:
    known = FLAGS.get(text.casefold())
    return () if known is None else (known,)


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 address that came in over an IPv6 socket is an IPv4 address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _nothing(text: str) -> Keys:
    return ()


TEXT = Kind(name="text", example="CHEST", keys=_text)
LINES = Kind(name="text", example="CHEST", keys=_text, splits=False)
PERSON = Kind(name="a person's name", example="Doe^Jane", keys=_person)
WHOLE_OR_DECIMAL = Kind(name="a number", example="1.5", keys=_number, ordered=True)
SINGLE = Kind(name="a number", example="1.5", keys=_single, ordered=True)
DATE = Kind(name="a date", example="2026-01-31", keys=_date, ordered=True)
TIME = Kind(name="a time", example='"07:30"', keys=_time, ordered=True)
MOMENT_KIND = Kind(name="a date and time", example="20260131073000", keys=_moment, ordered=True)
AGE_KIND = Kind(name="an age", example="018Y", keys=_age, ordered=True)
UID = Kind(name="a UID", example="1.2.840.10008.1.1", keys=_uid, operand=_uid_wanted)
OPAQUE = Kind(name="bytes", example="", keys=_nothing, searchable=False, equals=False)
SOP_CLASS = Kind(
    name="a SOP class",
    example="CT Image Storage",
    keys=_sop_class,
    operand=_sop_class_wanted,
    searchable=False,
    splits=False,
)
TRANSFER_SYNTAX = Kind(
    name="a transfer syntax",
    example="JPEG2000Lossless",
    keys=_uid,
    operand=_transfer_syntax_wanted,
    searchable=False,
    splits=False,
)
SIZE = Kind(name="a size", example="10MB", keys=_size, ordered=True, searchable=False)
FLAG = Kind(name="true or false", example="true", keys=_flag, searchable=False)
RECEIVED = Kind(
    name="a moment",
    example="",
    keys=_nothing,
    searchable=False,
    equals=False,
)
NETWORK = Kind(name="an address or a network", example="10.1.0.0/16", keys=_text, searchable=False)

_BY_KIND = (
    (TEXT, "AE CS LO SH UC"),
    (LINES, "LT ST UR UT"),
    (PERSON, "PN"),
    (WHOLE_OR_DECIMAL, "DS IS FD SL SS SV UL US UV"),
    (SINGLE, "FL"),
    (DATE, "DA"),
    (TIME, "TM"),
    (MOMENT_KIND, "DT"),
    (AGE_KIND, "AS"),
    (UID, "UI"),
    (OPAQUE, "AT OB OD OF OL OV OW SQ UN"),
)
KINDS = {vr: kind for kind, vrs in _BY_KIND for vr in vrs.split()}
