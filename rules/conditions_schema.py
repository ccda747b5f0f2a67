"""What stands under `when`, as models: facts with their conditions, and groups of them.

The words of `Condition` are explained in docs/rules.md, and a test fails where one is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from rules.documents import Section
from rules.problems import Mistake

Text = Annotated[str, Field(min_length=1)]


class Condition(Section):
    """What one fact must be. Several words in one condition must all hold."""

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

    @property
    def words(self) -> tuple[str, ...]:
        """The words that were written, in the order of the language."""
        return tuple(w for w in type(self).model_fields if getattr(self, w) is not None)


def _refuse(condition: Mapping[object, object]) -> None:
    if not condition:
        raise Mistake("a condition is missing, such as {present: true}")
    for word in ("not", "any", "all"):
        if word in condition:
            meant = f"{word}: {{…}}" if word == "not" else f"{word}: [{{…}}]"
            raise Mistake(f"{word} goes round whole conditions: `{meant}`", at=(word,))
    for name, value in condition.items():
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
