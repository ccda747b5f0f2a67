"""A profile of de-identification as it is written: `profiles:` in a file of rules.

What each option does to which attribute stands in table E.1-1 of PS3.15, not here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from importlib.util import find_spec
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, model_validator

from rules.deid.regions import Regions
from rules.deid.table import Option
from rules.documents.problems import Mistake, suggest
from rules.documents.reading import Section
from rules.editing.schema import Edit, edits_key
from rules.editing.schema_keyed import Hashing, Shifting
from rules.editing.schema_pixels import Burn
from rules.editing.schema_structure import Kept
from rules.editing.values import several, text_of
from rules.resources import Key, resources_of

TABLE: Final = "PS3.15 2026d"
ENGINE: Final = "2"
"""Goes up when the same profile makes another object of the same bytes."""


class Danger(StrEnum):
    """What no table of attributes can make safe."""

    UNKNOWN_CLASSES = "unknown classes"
    ENCAPSULATED_DOCUMENTS = "encapsulated documents"
    BURNED_IN_TEXT = "burned-in text"
    RECOGNIZABLE_FEATURES = "recognizable features"
    STRUCTURED_REPORTS = "structured reports"
    RAW_DATA = "raw data"


def _option(value: object) -> Option:
    text = text_of(value)
    try:
        return Option(text)
    except ValueError:
        known = ", ".join(Option)
        near = suggest(text, Option)
        message = "there is no such option" if near else f"there is no such option; known: {known}"
        raise Mistake(message, suggestion=near) from None


def _danger(value: object) -> Danger:
    text = text_of(value)
    try:
        return Danger(text)
    except ValueError:
        known = ", ".join(Danger)
        near = suggest(text, Danger)
        message = "there is no such danger" if near else f"there is no such danger; known: {known}"
        raise Mistake(message, at=(text,), suggestion=near) from None


Options = Annotated[
    tuple[Annotated[Option, BeforeValidator(_option)], ...], BeforeValidator(several)
]


class Vaulting(Section):
    """What the site's vault keeps of who became whom. `names`: Patient's Name, too. `instances`:
    a row for each object, besides those of patients, studies and series."""

    names: bool = False
    instances: bool = True


def _vaulting(value: object) -> object:
    """`true` for the usual, `false` for none."""
    word = str(value).lower() if isinstance(value, bool | str) else ""
    return {"true": {}, "false": None}.get(word, value)


Verify: TypeAlias = Literal["all", "sample", "off"]
DetectText: TypeAlias = Literal["every frame", "some frames", "off"]
Answer: TypeAlias = Literal["hold", "discard", "pass"]


class Profile(Section):
    """The Basic Profile with options. `key`: of the site, for pseudonyms, UIDs and shifts.

    `edits` are carried out first, on the original values; what they write, and what `keep` names,
    the table leaves alone. `within`: days that dates are moved back at most. `dangers`: what is
    done with what no table can make safe; all are held unless it says otherwise, `discard` sends
    nothing by this route and keeps nobody busy. `verify`: which
    objects are looked through for what of the original is left in them. `detect_text`: which
    frames are searched for text. `vault`: keep who became
    whom, sealed, in the site's vault.
    """

    key: str = Field(min_length=1)
    options: Options = ()
    keep: Annotated[tuple[Kept, ...], BeforeValidator(several)] = ()
    edits: tuple[Edit, ...] = ()
    within: int = Field(default=Shifting.model_fields["within"].default, ge=7, le=36_500)
    regions: Regions = ()
    dangers: Mapping[Annotated[Danger, BeforeValidator(_danger)], Answer] = Field(
        default_factory=dict
    )
    verify: Verify = "off"
    detect_text: DetectText = "off"
    vault: Annotated[Vaulting | None, BeforeValidator(_vaulting)] = None
    _secret: Key = PrivateAttr()

    @model_validator(mode="after")
    def _sound(self, info: ValidationInfo) -> Profile:
        resources = resources_of(info)
        self._secret = resources.key(self.key)
        if self.vault is not None and resources.vault is False:
            message = "the site has no vault"
            raise Mistake(message, at=("vault",), suggestion="vault: {keys: …} in the site's file")
        both = {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}
        if both <= set(self.options):
            message = "dates are retained either in full or modified, not both"
            raise Mistake(message, at=("options",))
        if Option.CLEAN_VISUAL_FEATURES in self.options:
            message = "faces are not removed by the router: leave the objects held, or pass them"
            suggestion = f"dangers: {{{Danger.RECOGNIZABLE_FEATURES}: pass}}"
            raise Mistake(message, at=("options",), suggestion=suggestion)
        if self.detect_text != "off" and not _has_detector():
            message = "finding text needs the extra `ocr`, which is not installed here"
            suggestion = "pip install '.[ocr]' where the router is installed from"
            raise Mistake(message, at=("detect_text",), suggestion=suggestion)
        cleans = Option.CLEAN_PIXEL_DATA in self.options
        if cleans and not self.burns and not self.regions:
            message = "cleaning pixel data needs regions, or a burn among the profile's edits"
            raise Mistake(message, at=("options",), suggestion="regions: shipped")
        if self.regions and not cleans:
            message = "regions need the option clean pixel data"
            raise Mistake(message, at=("regions",), suggestion="options: [clean pixel data]")
        return self

    @property
    def burns(self) -> bool:
        """Whether every picture gets the same rectangles, from an edit."""
        return any(isinstance(edit, Burn) for edit in self.edits)

    @property
    def secret(self) -> Key:
        return self._secret

    @cached_property
    def fingerprint(self) -> str:
        """Stands for all that decides what becomes of an object; the same in every process."""
        written = self.model_dump(mode="json", by_alias=True)
        edits = edits_key(self.edits, record=False)
        text = json.dumps([written, edits, self._secret.fingerprint, TABLE, ENGINE])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def answer(self, danger: Danger) -> Answer:
        """`hold`, `discard` or `pass`."""
        return self.dangers.get(danger, "hold")


def _has_detector() -> bool:
    """Whether the libraries that find text are there, for whoever reads rules is to use them."""
    return all(find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


PSEUDONYM_LENGTH: Final[int] = Hashing.model_fields["length"].default
"""Characters: as of the edit `hash`, which makes the same of the same value."""
