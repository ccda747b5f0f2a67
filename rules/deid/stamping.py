"""What a de-identified object says of itself (PS3.15 E.1.1, PS3.3 C.7.1.1, CID 7050)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from rules.deid.profile import TABLE
from rules.deid.table import Option
from rules.encoded.draft import Draft
from rules.tags import Tag

IDENTITY_REMOVED: Final = Tag(0x0012, 0x0062)
METHOD: Final = Tag(0x0012, 0x0063)
METHOD_CODES: Final = Tag(0x0012, 0x0064)
DATES_MODIFIED: Final = Tag(0x0028, 0x0303)
STAMPS: Final = frozenset(
    tag.number for tag in (IDENTITY_REMOVED, METHOD, METHOD_CODES, DATES_MODIFIED)
)

_BASIC: Final = ("113100", "Basic Application Confidentiality Profile")
_CODES: Final = {
    Option.CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    Option.CLEAN_VISUAL_FEATURES: ("113102", "Clean Recognizable Visual Features Option"),
    Option.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: (
        "113106", "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    Option.RETAIN_MODIFIED_DATES: (
        "113107", "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: ("113112", "Retain Institution Identity Option"),
}  # fmt: skip


def stamp(draft: Draft, options: Collection[Option]) -> None:
    """Write the four attributes; what an earlier hand wrote there is replaced."""
    chosen = [_BASIC, *(_CODES[option] for option in sorted(options, key=_CODES.__getitem__))]
    draft.write_text(IDENTITY_REMOVED, "YES")
    draft.write_text(METHOD, f"{TABLE} by dicom-router")
    draft.write_text(DATES_MODIFIED, _dates(options))
    number = draft.claim(METHOD_CODES)
    draft.remove_number(number)
    for code, meaning in chosen:
        item = draft.append(number)
        item.write_text(Tag(0x0008, 0x0100), code)
        item.write_text(Tag(0x0008, 0x0102), "DCM")
        item.write_text(Tag(0x0008, 0x0104), meaning)


def options_of(codes: Collection[str]) -> tuple[Option, ...]:
    """The options that method codes (CID 7050) stand for, as an object says of itself."""
    return tuple(option for option, (code, _) in _CODES.items() if code in codes)


def _dates(options: Collection[Option]) -> str:
    if Option.RETAIN_FULL_DATES in options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in options else "REMOVED"
