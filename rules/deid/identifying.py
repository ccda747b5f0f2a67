"""What an original says that must not come out: names, numbers, dates, UIDs, texts, by its own
attributes and by what the profile's options let stay.

There are floors: what is so short or so common that it is found everywhere proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from pydicom._uid_dict import UID_dictionary

from rules.deid.actions import Plan
from rules.deid.dummies import TEXTS
from rules.deid.leaves import Leaf, leaves_of
from rules.deid.spellings import (
    common_words,
    dates_in,
    joined_names,
    parts_of_name,
    spellings_of_name,
    variants,
)
from rules.deid.stamping import STAMPS
from rules.deid.table import Option, row_of, safe_private
from rules.encoded.data_set import EncodedDataSet
from rules.encoded.level import PIXELS
from rules.encoded.values import is_creator, is_legible
from rules.tags import AttributePath, Tag, TagPattern
from rules.uids import is_uid


class Kind(StrEnum):
    """What a value is of."""

    NAME = "name"
    ID = "id"
    DATE = "date"
    TIME = "time"
    UID = "uid"
    TEXT = "text"
    BYTES = "bytes"


class Sought(NamedTuple):
    """A value to look for. `origin`: where the original has it; `is_part`: of a longer one."""

    kind: Kind
    text: str
    origin: str
    data: bytes = b""
    is_part: bool = False


_WRITTEN: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_BULK: Final = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_NUMBERED: Final = re.compile(r"(?:ID|IDs|Number|Numbers|Identifier|Address)$")
_SENTENCE: Final = re.compile(r"[\r\n;]+|(?<=[.!?])\s+")
_DUMMIES: Final = frozenset(text.decode().strip().casefold() for text in TEXTS.values())
SHORTEST_NAME: Final = 3
SHORTEST_NUMBER: Final = 5
SHORTEST_TEXT: Final = 8
LONGEST_WHOLE: Final = 64
_LONG_NUMBER: Final = 7
"""Characters: a measure with fewer is found in other measures."""
_WINDOW: Final = 24


def identifying(
    original: EncodedDataSet, options: Iterable[Option], keep: Iterable[AttributePath | TagPattern]
) -> tuple[list[Sought], int]:
    """What is to be sought, each value once, and how many values were too short or too common."""
    plan, kept = Plan(tuple(options)), tuple(keep)
    found: dict[tuple[Kind, str, bytes], Sought] = {}
    stays: set[str] = set()
    stays_by_default: set[str] = set()
    left_out = 0
    for leaf in leaves_of(original):
        code = _code(plan, leaf, original, kept)
        if code == "":
            continue
        if code == "K" or (code == "C" and leaf.vr not in ("DA", "DT")):
            known = row_of(leaf.tag) is not None or is_kept(leaf, kept)
            (stays if known else stays_by_default).update(_said(leaf))
            continue
        for one in _of(leaf):
            if one.kind is not Kind.BYTES and is_too_common(one):
                left_out += 1
            else:
                found.setdefault((one.kind, one.text.casefold(), one.data), one)
    return [one for one in found.values() if not _may_stay(one, stays, stays_by_default)], left_out


def is_kept(leaf: Leaf, keep: Iterable[AttributePath | TagPattern]) -> bool:
    """Whether the profile keeps the attribute by its name."""
    for one in keep:
        if isinstance(one, TagPattern):
            if one.matches(leaf.tag):
                return True
        elif re.sub(r"\[\d+\]", "", leaf.path) == str(one):
            return True
    return False


def _code(
    plan: Plan, leaf: Leaf, original: EncodedDataSet, keep: Iterable[AttributePath | TagPattern]
) -> str:
    """The table's code; empty for what holds no values of the patient's."""
    tag = leaf.tag
    if is_creator(tag) or not tag & 0xFFFF or tag in STAMPS or PIXELS <= tag <= PIXELS + 8:
        return ""
    if is_kept(leaf, keep):
        return "K"
    if not tag & 0x10000:
        return plan.code(tag, leaf.vr)
    if Option.RETAIN_SAFE_PRIVATE in plan.options:
        creator = leaf.level.find(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
        if creator is not None:
            data = bytes(original.source[creator.value : creator.stop])
            name = data.decode("latin-1").strip(" \0")
            if (tag >> 16, name, tag & 0xFF) in safe_private():
                return plan.by_vr(leaf.vr)
    return "X"


def _said(leaf: Leaf) -> Iterator[str]:
    """What a value that stays says, as it would be sought."""
    for text in _texts(leaf):
        if leaf.vr in ("DA", "DT"):
            yield from (day.isoformat() for day in dates_in(text))
        elif text:
            yield text.casefold()


def _texts(leaf: Leaf) -> tuple[str, ...]:
    if leaf.vr == "UN" or leaf.vr == "OB":
        data = leaf.data[:2048] if leaf.stop - leaf.start <= 1024 else b""
        return (data.decode("ascii").strip(" \0"),) if data and is_legible(data) else ()
    return leaf.texts() if leaf.vr not in _BULK else ()


def _of(leaf: Leaf) -> Iterator[Sought]:
    """What one value gives to look for."""
    texts, vr, path = _texts(leaf), leaf.vr, leaf.path
    if vr in _BULK and not texts:
        yield from _bytes(leaf)
    for text in texts:
        if vr == "PN":
            yield from (Sought(Kind.NAME, one, path) for one in spellings_of_name(text))
            parts = parts_of_name(text)
            yield from (Sought(Kind.NAME, one, path, is_part=len(parts) > 1) for one in parts)
            spelled = {other for one in parts for other in variants(one)} | {*joined_names(text)}
            yield from (Sought(Kind.NAME, one, path, is_part=True) for one in sorted(spelled))
        elif vr in ("DA", "DT"):
            for day in dates_in(text):
                yield Sought(Kind.DATE, day.isoformat(), path)
        elif vr == "TM":
            yield Sought(Kind.TIME, text, path)
        elif vr == "UI" or (is_uid(text) and text.count(".") > 3):
            if text not in UID_dictionary:
                yield Sought(Kind.UID, text, path)
        elif vr in _WRITTEN or vr in ("UN", "OB"):
            yield from _free(text, leaf)
        elif vr in ("DS", "IS") and len(text.strip("-+0. ")) >= _LONG_NUMBER:
            yield Sought(Kind.ID, text, path)


def _free(text: str, leaf: Leaf) -> Iterator[Sought]:
    number = Tag(leaf.tag >> 16, leaf.tag & 0xFFFF)
    is_number = leaf.vr in ("SH", "LO", "UC") and bool(_NUMBERED.search(number.keyword or ""))
    kind = Kind.ID if is_number else Kind.TEXT
    if len(text) <= LONGEST_WHOLE:
        yield Sought(kind, text.strip(), leaf.path)
    else:
        for sentence in _SENTENCE.split(text):
            yield Sought(Kind.TEXT, sentence.strip(), leaf.path, is_part=True)
    for word in re.split(r"[\s,;:()\[\]]+", text):
        if word != text and len(word) > SHORTEST_NUMBER and sum(map(str.isdigit, word)) > 2:
            yield Sought(Kind.TEXT, word.strip("."), leaf.path, is_part=True)


def _bytes(leaf: Leaf) -> Iterator[Sought]:
    """The first stretch of a binary value that is found nowhere by chance."""
    data = leaf.data[:4096]
    for start in range(0, max(len(data) - _WINDOW + 1, 0), _WINDOW):
        window = data[start : start + _WINDOW]
        if len(set(window)) >= _WINDOW // 2:
            yield Sought(Kind.BYTES, "", leaf.path, data=window)
            return


def is_too_common(one: Sought) -> bool:
    """Whether it is no finding to find this: too short, or a word that names no one."""
    text = one.text.casefold()
    if text in _DUMMIES or not text.strip("0.- ^"):
        return True
    match one.kind:
        case Kind.NAME:
            shortest = SHORTEST_NAME if text.isascii() else 2
            is_number = not re.search(r"[^\W\d_]", text)
            short = SHORTEST_NUMBER + 1 if is_number else shortest
            return len(text) < short or text in common_words()
        case Kind.DATE:
            return False
        case Kind.TIME:
            return len(text) < 9 or not text.partition(".")[2].strip("0")
        case Kind.UID:
            return len(text) < 9 or text.count(".") < 3
    return _is_common_text(one.kind, text)


def _is_common_text(kind: Kind, text: str) -> bool:
    if text.replace(".", "").replace("-", "").isdigit():
        return len(text) < SHORTEST_NUMBER + (2 if "." in text else 0)
    if any(map(str.isdigit, text)):
        return len(text) < (SHORTEST_NUMBER - 1 if kind is Kind.ID else SHORTEST_NUMBER)
    words = re.findall(r"[^\W\d_]+", text)
    if all(word in common_words() for word in words):
        return True
    return len(text) < (SHORTEST_NUMBER if len(words) == 1 else SHORTEST_TEXT)


def _may_stay(one: Sought, stays: set[str], by_default: set[str]) -> bool:
    """Whether the same text stands where the options let it stay; or, for a word that names no
    person and no number, where the table does."""
    text = one.text.casefold()
    if one.kind is Kind.NAME or not text:
        return False
    if one.kind is Kind.TEXT and " " not in text and text in by_default:
        return True
    is_private = bool(re.match(r"(?:.*\.)?[0-9A-F]{3}[13579BDF],", one.origin))
    if one.kind is Kind.TEXT and is_private and text in by_default:
        return True
    return text in stays
