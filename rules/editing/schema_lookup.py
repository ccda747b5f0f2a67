"""The edits that replace a value by what stands for it: `lookup` in a table, `map` in the rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from rules.documents.problems import Mistake, suggest
from rules.documents.reading import Section
from rules.editing.templates import Template
from rules.editing.values import (
    ReadablePath,
    WritablePath,
    removable,
    template_of,
    text_of,
    unfit,
)
from rules.resources import resources_of

Missing: TypeAlias = Literal["hold", "keep", "remove"] | Template
WORDS = ("hold", "keep", "remove")


def _missing(value: object) -> Missing:
    if isinstance(value, Mapping):
        if set(value) != {"value"}:
            raise Mistake("expected {value: …}")
        return template_of(value["value"])
    match text_of(value):
        case "hold" | "keep" | "remove" as word:
            return word
    near = suggest(text_of(value), WORDS) or f"{{value: {value}}}"
    raise Mistake("expected hold, keep, remove or {value: …}", suggestion=near)


MissingChoice = Annotated[
    Missing,
    PlainValidator(_missing),
    PlainSerializer(
        lambda value: value if isinstance(value, str) else {"value": str(value)},
        return_type=str | dict[str, str],
    ),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(WORDS)},
                {
                    "type": "object",
                    "properties": {"value": {"type": "string"}},
                    "required": ["value"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class Replacing(Section):
    """What both edits have. `missing`: what is done where nothing stands for the value, or there
    is none. `source`: the attribute that is looked up, `tag` itself if left out."""

    tag: WritablePath
    source: ReadablePath | None = Field(default=None, alias="from")
    missing: MissingChoice = "hold"

    @model_validator(mode="after")
    def _can_be_done(self) -> Replacing:
        if self.missing == "remove":
            try:
                removable(str(self.tag))
            except Mistake as mistake:
                raise Mistake(str(mistake), at=("missing",)) from None
        choice = self.missing
        if not isinstance(choice, Template) or not choice.is_constant:
            return self
        if why := unfit(choice.render(str), self.tag):
            raise Mistake(why, at=("missing", "value"))
        return self


class LookupTable(Replacing):
    """The texts of column `key`, and what stands for them in column `value`; by default the
    first two columns."""

    table: str = Field(min_length=1)
    key: str | None = Field(default=None, min_length=1)
    value: str | None = Field(default=None, min_length=1)
    _rows: Mapping[str, str] = PrivateAttr()
    _digest: str = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> LookupTable:
        tables = resources_of(info).tables
        try:
            self._digest = tables.digest(self.table)
        except Mistake as mistake:
            at = ("table",)
            raise Mistake(str(mistake), at=at, suggestion=mistake.suggestion) from None
        self._rows = tables.mapping(self.table, self.key, self.value)
        tables.check(self.table, self.value, lambda text: unfit(text, self.tag))
        return self

    @property
    def name(self) -> str:
        """What the reason of a held object calls it."""
        return self.table

    @property
    def rows(self) -> Mapping[str, str]:
        return self._rows

    @property
    def digest(self) -> str:
        """Stands for what the table holds."""
        return self._digest


class Lookup(Section):
    """Replace values by what a table has for them."""

    replacing: LookupTable = Field(alias="lookup")


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not value:
        raise Mistake("expected texts and what stands for them, such as {CT1: Siemens}")
    for key, text in value.items():
        if not isinstance(text, str):
            raise Mistake('a text is missing; write "" for an empty value', at=(str(key),))
    return {str(key).strip(): str(text) for key, text in value.items()}


class MappedValues(Replacing):
    """The texts, and what stands for them."""

    values: Annotated[
        Mapping[str, str],
        PlainValidator(_texts),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
    ]

    @model_validator(mode="after")
    def _fitting(self) -> MappedValues:
        for key, text in self.values.items():
            if why := unfit(text, self.tag):
                raise Mistake(why, at=("values", key))
        return self

    @property
    def name(self) -> str:
        return "the map"

    @property
    def rows(self) -> Mapping[str, str]:
        return self.values


class Map(Section):
    """Replace values by what the rule has for them."""

    replacing: MappedValues = Field(alias="map")
