"""The edits of a route as models: each is a mapping with one key, the edit's word.

What an edit means is said here once; `rules.edits` carries it out. For all of them:

* a path with dots changes the attribute in every item that is there, and makes no items;
* an edit that cannot be carried out raises, and the object is held: it never goes out half edited;
* what a prefix, suffix, replace, upper, lower or strip does not find, or finds empty, it leaves so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydicom.config import RAISE
from pydicom.valuerep import validate_value

from rules.documents import Section
from rules.edits_pixels import Burn, TransferSyntax
from rules.encoded_values import NUMBERS, SINGLE, standard_vr
from rules.encoded_writing import Unfit, pack_numbers
from rules.patterns import Pattern, Substitution, compile_pattern, parse_substitution
from rules.problems import Mistake, suggest
from rules.tags import AttributePath, TagPattern, parse_path, parse_pattern
from rules.templates import Template, parse_template

KEPT = frozenset({"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"})
OPAQUE = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN", "SQ", "AT"})
PIXELS = 0x7FE00008  # from Float Pixel Data on, nothing is header any more
CHARACTER_SET = 0x00080005
RANGES = {
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "UV": (0, 2**64 - 1),
    "SV": (-(2**63), 2**63 - 1),
}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Mistake("expected text")
    return value


def _editable(text: object) -> AttributePath:
    path = parse_path(_text(text))
    number = path.steps[0].number
    if number >> 16 <= 0x0002:
        raise Mistake(f"{path} belongs to the file or the message, not to the object")
    if number >= PIXELS:
        raise Mistake(f"{path} is pixel data or comes after it: edits change the header")
    return path


def _writable(text: object) -> AttributePath:
    path = _editable(text)
    if path.tag.number == CHARACTER_SET:
        raise Mistake("changing the name of the character set would garble the texts written in it")
    if path.vr in OPAQUE:
        raise Mistake(f"{path} holds no text (its VR is {path.vr}): it can only be removed")
    if path.tag.element == 0 and path.tag.creator is None:
        raise Mistake(f"{path} is a group length: the router computes it")
    return path


def _removable(text: object) -> AttributePath | TagPattern:
    target = parse_pattern(_text(text))
    if isinstance(target, TagPattern):
        return target
    path = _editable(text)
    if str(path) in KEPT:
        raise Mistake(f"an object without {path} is not valid: {path} cannot be removed")
    if path.tag.number == CHARACTER_SET:
        raise Mistake("without its character set the object's texts could not be read")
    return path


def _template(value: object) -> Template:
    if isinstance(value, list):
        value = "\\".join(_text(item) for item in value)
    if value is None:
        raise Mistake('a text is missing; write "" for an empty value')
    return parse_template(_text(value))


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


_AS_TEXT = PlainSerializer(str, return_type=str)
_TEXT_SCHEMA = WithJsonSchema({"type": "string"})

WritablePath = Annotated[AttributePath, PlainValidator(_writable), _AS_TEXT, _TEXT_SCHEMA]
ReadablePath = Annotated[
    AttributePath, PlainValidator(lambda text: parse_path(_text(text))), _AS_TEXT, _TEXT_SCHEMA
]
Removable = Annotated[
    AttributePath | TagPattern, PlainValidator(_removable), _AS_TEXT, _TEXT_SCHEMA
]
TemplateText = Annotated[Template, PlainValidator(_template), _AS_TEXT, _TEXT_SCHEMA]
Assignments = Annotated[Mapping[WritablePath, TemplateText], Field(min_length=1)]
Paths = Annotated[tuple[WritablePath, ...], BeforeValidator(_several), Field(min_length=1)]


class Set(Section):
    """Write these values, whether the attribute is there or not. A field that the object lacks
    is an error; one that is empty gives nothing."""

    values: Assignments = Field(alias="set")

    @model_validator(mode="after")
    def _fitting(self) -> Set:
        _check_values("set", self.values)
        return self


class SetIfMissing(Section):
    """Write these values where the attribute is absent or empty."""

    values: Assignments = Field(alias="set_if_missing")

    @model_validator(mode="after")
    def _fitting(self) -> SetIfMissing:
        _check_values("set_if_missing", self.values)
        return self


class Remove(Section):
    """Take these attributes out: a path where it points, a pattern at every level."""

    targets: Annotated[tuple[Removable, ...], BeforeValidator(_several), Field(min_length=1)] = (
        Field(alias="remove")
    )


class FromTo(Section):
    """Both ends are at the top level of the object."""

    source: ReadablePath = Field(alias="from")
    target: WritablePath = Field(alias="to")

    @model_validator(mode="after")
    def _top_level(self) -> FromTo:
        for key, path in (("from", self.source), ("to", self.target)):
            if path.is_nested:
                raise Mistake("copy and move work on the object itself, not in items", at=(key,))
        if self.source.vr in OPAQUE:
            raise Mistake(f"{self.source} holds no text (its VR is {self.source.vr})", at=("from",))
        if self.source == self.target:
            raise Mistake("both ends are the same attribute", at=("to",))
        return self


class Copy(Section):
    """Write the source's value to the target, too. An absent source is an error."""

    ends: FromTo = Field(alias="copy")


class Move(Section):
    """Copy, then remove the source."""

    ends: FromTo = Field(alias="move")

    @model_validator(mode="after")
    def _leaves_a_valid_object(self) -> Move:
        try:
            _removable(str(self.ends.source))
        except Mistake as mistake:
            raise Mistake(str(mistake), at=("move", "from")) from None
        return self


class Prefix(Section):
    """Put a text before every value."""

    values: Assignments = Field(alias="prefix")


class Suffix(Section):
    """Put a text after every value."""

    values: Assignments = Field(alias="suffix")


class Replacement(Section):
    """Every match of `pattern` in every value becomes `text`, where \\1 stands for a group."""

    tag: WritablePath
    pattern: str = Field(min_length=1)
    text: str = Field(alias="with")
    _compiled: Pattern = PrivateAttr()
    _substitution: Substitution = PrivateAttr()

    @model_validator(mode="after")
    def _sound(self) -> Replacement:
        self._compiled = compile_pattern(self.pattern, at=("pattern",))
        groups = self._compiled.groups
        self._substitution = parse_substitution(self.text, groups, at=("with",))
        return self

    def apply(self, value: str) -> str:
        """The value with every match replaced."""
        return self._compiled.sub(self._substitution, value)


class Replace(Section):
    """Replace by a regular expression (RE2: linear time, so no back references in the pattern)."""

    replacement: Replacement = Field(alias="replace")


class Upper(Section):
    """Make capitals."""

    paths: Paths = Field(alias="upper")


class Lower(Section):
    """Make small letters."""

    paths: Paths = Field(alias="lower")


class Strip(Section):
    """Take blanks off both ends of every value."""

    paths: Paths = Field(alias="strip")


EDITS: dict[str, type[Section]] = {
    "set": Set,
    "set_if_missing": SetIfMissing,
    "remove": Remove,
    "copy": Copy,
    "move": Move,
    "prefix": Prefix,
    "suffix": Suffix,
    "replace": Replace,
    "upper": Upper,
    "lower": Lower,
    "strip": Strip,
    "transfer_syntax": TransferSyntax,
    "burn": Burn,
}


def _one_word(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1:
        raise Mistake(f"an edit has one word, this one has {len(value)}: begin each with a dash")
    word = next(iter(value))
    if word not in EDITS:
        near = suggest(word, EDITS)
        known = "" if near else f"; known are {', '.join(EDITS)}"
        raise Mistake(f"there is no edit of this name{known}", at=(word,), suggestion=near)
    return value


def _word(value: object) -> str | None:
    if isinstance(value, Mapping):
        return next(iter(value), None)
    return next((word for word, model in EDITS.items() if isinstance(value, model)), None)


Edit: TypeAlias = Annotated[
    Annotated[Set, Tag("set")]
    | Annotated[SetIfMissing, Tag("set_if_missing")]
    | Annotated[Remove, Tag("remove")]
    | Annotated[Copy, Tag("copy")]
    | Annotated[Move, Tag("move")]
    | Annotated[Prefix, Tag("prefix")]
    | Annotated[Suffix, Tag("suffix")]
    | Annotated[Replace, Tag("replace")]
    | Annotated[Upper, Tag("upper")]
    | Annotated[Lower, Tag("lower")]
    | Annotated[Strip, Tag("strip")]
    | Annotated[TransferSyntax, Tag("transfer_syntax")]
    | Annotated[Burn, Tag("burn")],
    Discriminator(
        _word,
        custom_error_type="edit",
        custom_error_message="expected an edit such as `prefix: {PatientID: EH-}`",
    ),
    BeforeValidator(_one_word),
]


def edits_key(edits: Sequence[Edit], *, record: bool) -> str:
    """A short name for what these edits make of any object; the same text for the same edits,
    in every process and version. Without edits it is empty: the object is sent as it came."""
    if not edits:
        return ""
    written = [edit.model_dump(mode="json", by_alias=True) for edit in edits]
    text = json.dumps([written, record], sort_keys=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_values(word: str, values: Mapping[AttributePath, Template]) -> None:
    """Refuse a constant that the attribute's VR cannot hold, before any object is held for it."""
    for path, template in values.items():
        vr = path.vr
        if vr is None or not template.is_constant:
            continue
        text = template.render(str)
        for value in [text] if vr in SINGLE else text.split("\\"):
            if not _fits(value, path, vr):
                message = f"{value!r} is no {vr} value, which {path} needs{_range(path)}"
                raise Mistake(message, at=(word, str(path)))


def _fits(value: str, path: AttributePath, vr: str) -> bool:
    numbers = _number_vrs(path)
    if numbers:
        # Of `US or SS` only the object knows which it is.
        return not value or any(_fits_number(value, number) for number in numbers)
    try:
        validate_value(vr, value, RAISE)
    except ValueError:
        return False
    return True


def _fits_number(value: str, vr: str) -> bool:
    try:
        pack_numbers(vr, [value], "<")
    except Unfit:
        return False
    return True


def _number_vrs(path: AttributePath) -> list[str]:
    vrs = (standard_vr(path.tag.number) or "").split(" or ")
    return [vr for vr in vrs if vr in NUMBERS]


def _range(path: AttributePath) -> str:
    vrs = _number_vrs(path)
    if not vrs:
        return ""
    if not RANGES.keys() >= set(vrs):
        return ": a number, with a point for the fraction"
    low, high = min(RANGES[vr][0] for vr in vrs), max(RANGES[vr][1] for vr in vrs)
    return f": a whole number from {low} to {high}"
