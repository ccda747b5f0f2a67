"""How rules name attributes: keyword, number, private number with its creator, nested path.

Modality                                  a keyword of the dictionary
"0008,0060"   "(0008,0060)"               a number (in quotes: YAML reads commas in lists)
"0029,[SIEMENS CSA HEADER],10"            private: group, creator, the last two digits
RequestAttributesSequence.StudyID         an attribute of the items of a sequence
"(0019,10xx)"   private                   patterns, for `remove` and `keep_only`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from rules.documents.problems import Mistake, suggest

NUMBER = re.compile(r"\(?([0-9A-Fa-f]{4}),\s*([0-9A-Fa-f]{4})\)?")
PRIVATE = re.compile(r"\(?([0-9A-Fa-f]{4}),\s*\[([^\[\]\\]{1,64})\],\s*([0-9A-Fa-f]{2})\)?")
PATTERN = re.compile(r"\(?([0-9A-Fa-fXx]{4}),\s*([0-9A-Fa-fXx]{4})\)?")
KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
STEP = re.compile(r"(?:\[[^\[\]]*\]|[^.\[])+")
FORMS = 'a keyword such as PatientID, "gggg,eeee", "gggg,[CREATOR],ee", or a path with dots'


class Tag(NamedTuple):
    """One attribute. With a creator, `element` is the last two digits: the block comes from
    the object (PS3.5 7.8.1)."""

    group: int
    element: int
    creator: str | None = None

    @property
    def is_private(self) -> bool:
        return self.group % 2 == 1

    @property
    def number(self) -> int:
        """The 32-bit tag; of a private tag with a creator the part that is known."""
        return self.group << 16 | self.element

    @property
    def vr(self) -> str | None:
        """The dictionary's value representation, first of several (`US or SS`: US)."""
        entry = _entry(self)
        return entry[0].split(" or ")[0] if entry else None

    @property
    def keyword(self) -> str | None:
        """None where one keyword stands for many groups (overlays, curves)."""
        entry = _entry(self)
        known = entry is not None and _keywords().get(entry[4]) == self.number
        return entry[4] if entry is not None and known else None

    def __str__(self) -> str:
        if self.creator is not None:
            return f"{self.group:04X},[{self.creator}],{self.element:02X}"
        return self.keyword or f"{self.group:04X},{self.element:04X}"


@dataclass(frozen=True, slots=True)
class AttributePath:
    """One attribute of the object, or of the items of its sequences (all steps but the last)."""

    steps: tuple[Tag, ...]

    @property
    def tag(self) -> Tag:
        """The attribute itself: the last step."""
        return self.steps[-1]

    @property
    def is_nested(self) -> bool:
        return len(self.steps) > 1

    @property
    def vr(self) -> str | None:
        return self.tag.vr

    def __str__(self) -> str:
        return ".".join(str(step) for step in self.steps)


@dataclass(frozen=True, slots=True)
class TagPattern:
    """Many attributes at once, at every level of the object."""

    text: str
    mask: int
    value: int

    def matches(self, tag: int) -> bool:
        return tag & self.mask == self.value

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class OfVr:
    """All attributes of these value representations, at every level of the object."""

    vrs: tuple[str, ...]

    def __str__(self) -> str:
        return f"vr: {', '.join(self.vrs)}"


ALL_PRIVATE = TagPattern("private", 0x00010000, 0x00010000)


def parse_path(text: str) -> AttributePath:
    """An attribute path as written; Mistake, with the keyword that was meant where one is near."""
    steps = STEP.findall(text)
    if not steps or ".".join(steps) != text:
        raise Mistake(f"{text!r} names no attribute: expected {FORMS}")
    tags = [_parse_tag(step, text) for step in steps]
    for tag in tags[:-1]:
        if tag.vr not in ("SQ", None):
            raise Mistake(f"{tag} is no sequence: only a sequence has attributes below it")
    return AttributePath(tuple(tags))


def parse_pattern(text: str) -> AttributePath | TagPattern:
    """What `remove` takes: a path, a number with x for any digit, or the word `private`."""
    if text == ALL_PRIVATE.text:
        return ALL_PRIVATE
    found = PATTERN.fullmatch(text)
    if found is None or "x" not in text.casefold():
        return parse_path(text)
    digits = (found[1] + found[2]).casefold()
    mask = int("".join("0" if digit == "x" else "f" for digit in digits), 16)
    return TagPattern(text, mask, int(digits.replace("x", "0"), 16))


def _parse_tag(step: str, text: str) -> Tag:
    if private := PRIVATE.fullmatch(step):
        tag = Tag(int(private[1], 16), int(private[3], 16), private[2].strip())
        if not tag.is_private:
            raise Mistake(f"{step}: a private group is odd, {private[1]} is even")
        return tag
    if number := NUMBER.fullmatch(step):
        return Tag(int(number[1], 16), int(number[2], 16))
    if not KEYWORD.fullmatch(step):
        raise Mistake(f"{text!r} names no attribute: expected {FORMS}")
    found = EVERYDAY.get(step) or _keywords().get(step)
    if found is None:
        raise Mistake(f"the DICOM dictionary has no attribute {step}", suggestion=_near(step, text))
    return Tag(found >> 16, found & 0xFFFF)


def _keywords() -> dict[str, int]:
    # A third of a second to import: commands on a site of everyday layouts can do without.
    from pydicom.datadict import keyword_dict

    return keyword_dict


def _near(step: str, text: str) -> str | None:
    near = suggest(step, _keywords())
    return text.replace(step, near, 1) if near else None


@cache
def _entry(tag: Tag) -> tuple[str, str, str, str, str] | None:
    if tag.creator is not None:
        return None
    from pydicom.datadict import get_entry

    try:
        return get_entry(tag.number)
    except KeyError:
        return None


EVERYDAY = {
    "Modality": 0x00080060,
    "StudyDate": 0x00080020,
    "AccessionNumber": 0x00080050,
    "PatientID": 0x00100020,
    "PatientName": 0x00100010,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SOPInstanceUID": 0x00080018,
    "SeriesNumber": 0x00200011,
    "InstanceNumber": 0x00200013,
}
"""Keywords that layouts of folders are made of."""
