"""What stands under `when`, as models: facts with their conditions, and groups of them.

The words of `Condition` are explained in docs/rules.md, and a test fails where one is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from rules.documents.problems import Mistake
from rules.documents.reading import Section
from rules.windows import window

Text = Annotated[str, Field(min_length=1)]


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Between(Section):
    """From one value to another; both ends belong to it, but of times of day the end does not.
    `zone` and `weekdays` are of `received` alone, where either end may be left out."""

    start: Text | None = Field(default=None, alias="from")
    end: Text | None = Field(default=None, alias="to")
    zone: Text | None = None
    weekdays: Annotated[tuple[Text, ...], BeforeValidator(_one_or_several)] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """`[1, 5]` says `{from: 1, to: 5}`."""
        if isinstance(value, list):
            if len(value) != 2:
                raise Mistake("expected two ends", suggestion="{from: 1, to: 5}")
            return {"from": value[0], "to": value[1]}
        return value

    def __str__(self) -> str:
        ends = f"{self.start} and {self.end}" if self.start or self.end else ""
        return " ".join(part for part in (ends, self.zone, ",".join(self.weekdays)) if part)


def _windows(value: object) -> object:
    """Several windows are a list of mappings; one is in no list."""
    several = isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value)
    return value if several else [value]


class Condition(Section):
    """What one fact must be. Several words in one condition must all hold; `zone` says by which
    clocks days and times are told."""

    value: Text | None = None
    one_of: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    like: Text | None = None
    matches: Text | None = None
    contains: Text | None = None
    starts_with: Text | None = None
    ends_with: Text | None = None
    at_least: Text | None = None
    at_most: Text | None = None
    above: Text | None = None
    below: Text | None = None
    between: Annotated[tuple[Between, ...], BeforeValidator(_windows)] | None = None
    older_than: Text | None = None
    newer_than: Text | None = None
    zone: Text | None = None
    in_file: Text | None = None
    present: bool | None = None
    empty: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """`Modality: CT` says `Modality: {value: CT}`."""
        if isinstance(value, str):
            if not value:
                raise Mistake("an empty text; ask for it with {empty: true}")
            return {"value": value}
        if isinstance(value, list):
            raise Mistake("a list", suggestion=f"{{one_of: [{', '.join(map(str, value))}]}}")
        if value is None:
            raise Mistake("a value is missing; ask for an empty attribute with {empty: true}")
        if isinstance(value, Mapping):
            _refuse(value)
        return value

    @model_validator(mode="after")
    def _zone_is_of_use(self) -> Condition:
        if self.zone is not None:
            window("00:00", "24:00", self.zone)
            if self.older_than is None and self.newer_than is None:
                raise Mistake("zone stands beside older_than and newer_than", at=("zone",))
        return self

    @property
    def words(self) -> tuple[str, ...]:
        """The words that were written, in the order of the language; `zone` is none of them."""
        every = (word for word in type(self).model_fields if word != "zone")
        return tuple(word for word in every if getattr(self, word) is not None)


def _refuse(condition: Mapping[object, object]) -> None:
    if not condition:
        raise Mistake("a condition is missing, such as {present: true}")
    for word in ("not", "any", "all"):
        if word in condition:
            meant = f"{word}: {{…}}" if word == "not" else f"{word}: [{{…}}]"
            raise Mistake(f"{word} goes round whole conditions: `{meant}`", at=(word,))
    for name, value in condition.items():
        if value is None and str(name)[:1].isdigit():
            comma = "a comma ends a value here: write 1.5 for a fraction, or put the text in quotes"
            raise Mistake(comma, at=(str(name),))
        if value is None:
            raise Mistake("a value is missing", at=(str(name),))


class When(Section):
    """Conditions that must all hold: facts by name, and groups of further conditions."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Condition]

    all: Annotated[tuple[When, ...], Field(min_length=1)] | None = None
    any: Annotated[tuple[When, ...], Field(min_length=1)] | None = None
    not_: When | None = Field(default=None, alias="not")

    @property
    def facts(self) -> Mapping[str, Condition]:
        """The conditions on facts, by the name as written, in the order of the file."""
        return self.__pydantic_extra__ or {}

    @model_validator(mode="before")
    @classmethod
    def _conditions(cls, value: object) -> object:
        if isinstance(value, Mapping) and not value:
            raise Mistake("conditions are missing; leave `when` out to match everything")
        return value
