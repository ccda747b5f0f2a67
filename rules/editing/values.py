"""What edits are written with: paths that may be read, written or removed, and texts with fields.

Types for pydantic fields; what could not work with any object is a Mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydicom.config import RAISE
from pydicom.valuerep import validate_value

from rules.documents.problems import Mistake, suggest
from rules.editing.templates import Template, parse_template
from rules.encoded.values import NUMBERS, SINGLE, standard_vr
from rules.encoded.writing import Unfit, pack_numbers
from rules.matching.kinds import KINDS
from rules.tags import AttributePath, OfVr, TagPattern, parse_path, parse_pattern

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


def text_of(value: object) -> str:
    if not isinstance(value, str):
        raise Mistake("expected text")
    return value


def editable(text: object) -> AttributePath:
    path = parse_path(text_of(text))
    number = path.steps[0].number
    if number >> 16 <= 0x0002:
        raise Mistake(f"{path} belongs to the file or the message, not to the object")
    if number >= PIXELS:
        raise Mistake(f"{path} is pixel data or comes after it: edits change the header")
    return path


def _writable(text: object) -> AttributePath:
    path = editable(text)
    if path.tag.number == CHARACTER_SET:
        message = "changing the name of the character set would garble the texts written in it"
        raise Mistake(message, suggestion="charset: ISO_IR 192")
    if path.vr in OPAQUE:
        raise Mistake(f"{path} holds no text (its VR is {path.vr}): it can only be removed")
    if path.tag.element == 0 and path.tag.creator is None:
        raise Mistake(f"{path} is a group length: the router computes it")
    return path


def removable(text: object) -> AttributePath | TagPattern | OfVr:
    """What `remove` takes: a path, a pattern, `private`, or `{vr: [PN, DA]}`."""
    if isinstance(text, Mapping):
        return _of_vr(text)
    target = parse_pattern(text_of(text))
    if isinstance(target, TagPattern):
        return target
    path = editable(text)
    if str(path) in KEPT:
        raise Mistake(f"an object without {path} is not valid: {path} cannot be removed")
    if path.tag.number == CHARACTER_SET:
        raise Mistake("without its character set the object's texts could not be read")
    return path


def _of_vr(value: Mapping[object, object]) -> OfVr:
    if set(value) != {"vr"}:
        raise Mistake("expected an attribute, a pattern, private, or {vr: [PN]}")
    vrs = several(value["vr"])
    for vr in vrs if isinstance(vrs, list) else ():
        if vr not in KINDS:
            near = suggest(str(vr), KINDS)
            raise Mistake(f"there is no VR {vr}", at=("vr",), suggestion=near)
    if not isinstance(vrs, list) or not vrs:
        raise Mistake("expected VRs such as [PN, DA]", at=("vr",))
    return OfVr(tuple(map(str, vrs)))


def template_of(value: object) -> Template:
    if isinstance(value, list):
        value = "\\".join(text_of(item) for item in value)
    if value is None:
        raise Mistake('a text is missing; write "" for an empty value')
    return parse_template(text_of(value))


def several(value: object) -> object:
    return [value] if isinstance(value, str) else value


AS_TEXT = PlainSerializer(str, return_type=str)
TEXT_SCHEMA = WithJsonSchema({"type": "string"})

WritablePath = Annotated[AttributePath, PlainValidator(_writable), AS_TEXT, TEXT_SCHEMA]
ReadablePath = Annotated[
    AttributePath, PlainValidator(lambda text: parse_path(text_of(text))), AS_TEXT, TEXT_SCHEMA
]
Removable = Annotated[
    AttributePath | TagPattern | OfVr,
    PlainValidator(removable),
    AS_TEXT,
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
TemplateText = Annotated[Template, PlainValidator(template_of), AS_TEXT, TEXT_SCHEMA]
Assignments = Annotated[Mapping[WritablePath, TemplateText], Field(min_length=1)]
Paths = Annotated[tuple[WritablePath, ...], BeforeValidator(several), Field(min_length=1)]


def check_values(word: str, values: Mapping[AttributePath, Template]) -> None:
    """Refuse a constant that the attribute's VR cannot hold, before any object is held for it."""
    for path, template in values.items():
        if not template.is_constant:
            continue
        if why := unfit(template.render(str), path):
            raise Mistake(why, at=(word, str(path)))


def unfit(text: str, path: AttributePath) -> str | None:
    """Why a text cannot be a value of the attribute; None where it can, or nobody knows yet."""
    vr = path.vr
    if vr is None:
        return None
    for value in [text] if vr in SINGLE else text.split("\\"):
        if not _fits(value, path, vr):
            return f"{value!r} is no {vr} value, which {path} needs{_range(path)}"
    return None


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


_FORMS = {
    "AE": ": at most 16 characters",
    "AS": ": an age such as 018Y",
    "CS": ": capitals, digits, blanks and underscores, at most 16",
    "DA": ": a date such as 20260131",
    "DT": ": a moment such as 20260131073000",
    "LO": ": at most 64 characters",
    "SH": ": at most 16 characters",
    "TM": ": a time such as 073000",
    "UI": ": digits with points between them, at most 64",
}


def _range(path: AttributePath) -> str:
    vrs = _number_vrs(path)
    if not vrs:
        return _FORMS.get(path.vr or "", "")
    if not RANGES.keys() >= set(vrs):
        return ": a number, with a point for the fraction"
    low, high = min(RANGES[vr][0] for vr in vrs), max(RANGES[vr][1] for vr in vrs)
    return f": a whole number from {low} to {high}"
