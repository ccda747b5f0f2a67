"""What no table of attributes can make safe: told before an object is de-identified.

A name burned into the picture, a document in a format of its own: the attributes say that they may
be there, and not what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydicom._uid_dict import UID_dictionary

from rules.deid.overlays import has_overlay_in_picture
from rules.deid.profile import Danger, Profile
from rules.deid.regions import boxes_of
from rules.deid.table import Option
from rules.encoded.draft import Draft, EditFailed
from rules.encoded.level import PIXELS
from rules.tags import Tag
from rules.uids import groups_of

_SOP_CLASS_UID: Final = Tag(0x0008, 0x0016)
_MODALITY: Final = Tag(0x0008, 0x0060)
_BURNED_IN: Final = Tag(0x0028, 0x0301)
_RECOGNIZABLE: Final = Tag(0x0028, 0x0302)
_DOCUMENT: Final = 0x00420011

_IMAGE_TYPE: Final = Tag(0x0008, 0x0008)
_CONVERSION: Final = Tag(0x0008, 0x0064)
_SCANNED: Final = frozenset({"DV", "DF", "SD", "SI", "DRW"})
"""Conversion Type: digitized video or film, scanned documents and images, drawings."""
_SCREENS: Final = re.compile(r"SAVE|SCREEN|CAPTURE|\bPROT\b|DOSE[ _]?(?:INFO|REPORT)")
"""Of Image Type: screenshots, and pages of protocols among the slices of a series."""

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_RAW: Final = f"{_STORAGE}66"
_WRITTEN_ON: Final = (f"{_STORAGE}3.", f"{_STORAGE}6.", f"{_STORAGE}7.")
"""Ultrasound and secondary capture: what is written in the picture is the rule, and what the
header says of it often wrong."""
_OFTEN_WRITTEN_ON: Final = (f"{_STORAGE}12.", f"{_STORAGE}77.1.")
"""Angiography, fluoroscopy and visible light: trusted where the header says NO."""


def dangers_of(draft: Draft, profile: Profile) -> Iterator[tuple[Danger, str]]:
    """Each with a reason that names attributes and no values."""
    options = profile.options
    sop_class = _word(draft, _SOP_CLASS_UID)
    known = UID_dictionary.get(sop_class)
    groups = groups_of(sop_class)
    if known is None or known[1] != "SOP Class" or sop_class == _DIRECTORY:
        yield Danger.UNKNOWN_CLASSES, "nobody knows what is in objects of its class"
    if "encapsulated" in groups or draft.level.find(_DOCUMENT) is not None:
        yield Danger.ENCAPSULATED_DOCUMENTS, "it holds a document in another format"
    if sop_class == _RAW:
        yield Danger.RAW_DATA, "it holds raw data in its maker's format"
    if "sr" in groups and Option.CLEAN_STRUCTURED_CONTENT not in options:
        yield Danger.STRUCTURED_REPORTS, "it is a report, and the profile cleans no reports"
    if _word(draft, _RECOGNIZABLE) == "YES":
        yield Danger.RECOGNIZABLE_FEATURES, "RecognizableVisualFeatures says YES"
    if why := _burned_in(draft, sop_class):
        if Option.CLEAN_PIXEL_DATA not in options:
            yield Danger.BURNED_IN_TEXT, why
        elif not profile.burns and boxes_of(profile.regions, draft.data_set) is None:
            yield Danger.BURNED_IN_TEXT, f"{why}; none of the profile's regions fits"
    if has_overlay_in_picture(draft.data_set):
        yield Danger.BURNED_IN_TEXT, "an overlay is in bits that its picture uses"


def _burned_in(draft: Draft, sop_class: str) -> str | None:
    if not _has_pixels(draft):
        return None
    said = _word(draft, _BURNED_IN)
    if said == "YES":
        return "BurnedInAnnotation says YES"
    if (sop_class + ".").startswith(_WRITTEN_ON) or _word(draft, _MODALITY) == "OT":
        return "pictures of its class have text in them"
    if said == "NO":
        return None
    if sop_class.startswith(_OFTEN_WRITTEN_ON):
        return "pictures of its class may have text in them, and BurnedInAnnotation does not say NO"
    if _word(draft, _CONVERSION) in _SCANNED or _SCREENS.search(_said(draft, _IMAGE_TYPE)):
        return "its header says it is scanned or a screenshot, and BurnedInAnnotation not NO"
    return None


def _has_pixels(draft: Draft) -> bool:
    return any(PIXELS <= number <= PIXELS + 8 for number in draft.numbers())


def _word(draft: Draft, tag: Tag) -> str:
    return _said(draft, tag).partition("\\")[0].strip(" \0")


def _said(draft: Draft, tag: Tag) -> str:
    """All values, in capitals: nobody writes them as the standard wants."""
    try:
        values = draft.values(tag)
    except EditFailed:
        return ""
    return "\\".join(values or ()).upper()
