"""Where a route sends, as models: a destination by its name, or a group that chooses one.

How a group chooses for one object is in `rules.choosing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
    WithJsonSchema,
    model_validator,
)

from rules.documents.problems import Mistake, suggest
from rules.documents.reading import Section
from rules.durations import Duration
from rules.tags import AttributePath, parse_path

MISSING_HOLDS = "hold"
LONGEST_MEMBERS = 512
"""Characters of a group's names, with a space between them: a column of the ledger holds them."""


def _different(members: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(members):
        if name in members[:index]:
            raise Mistake(f"{name} is a member already", at=(index,))
    if len(" ".join(members)) > LONGEST_MEMBERS:
        raise Mistake(f"too many members: their names have more than {LONGEST_MEMBERS} characters")
    return members


def _tag(value: object) -> AttributePath:
    if not isinstance(value, str):
        raise Mistake("expected the name of an attribute")
    return parse_path(value)


Text = Annotated[str, Field(min_length=1)]
Members = Annotated[tuple[Text, ...], Field(min_length=2), AfterValidator(_different)]
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
Attribute = Annotated[
    AttributePath,
    PlainValidator(_tag),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]


class Failover(Section):
    """The first member that is not out; out is who has been down for `after` seconds."""

    members: Members = Field(alias="failover")
    after: Duration = 60.0


class Balance(Section):
    """Members share the work by weight; one study, or patient, always goes to the same one."""

    members: Members = Field(alias="balance")
    weights: Mapping[str, Weight] = Field(default_factory=dict)
    by: Literal["study", "patient"] = "study"
    after: Duration | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Balance:
        for name in self.weights:
            if name not in self.members:
                near = suggest(name, self.members)
                raise Mistake(f"{name} is no member", at=("weights", name), suggestion=near)
        if not any(self.weight(name) for name in self.members):
            raise Mistake("every member has the weight 0", at=("weights",))
        return self

    def weight(self, name: str) -> float:
        """Its share of the work against the others'; nothing new for a member with 0."""
        return self.weights.get(name, 1.0)


class TableKey(Section):
    """The attribute to look up, and the CSV file beside the rules to look in: from the column
    `key` to the destination's name in the column `value`, by default the first and the second."""

    tag: Attribute
    table: Text
    key: Text | None = None
    value: Text | None = None


class FromTable(Section):
    """The destination that a table names for a value of the object. Where it names none, the
    object is held, or goes to the destination `missing`."""

    source: TableKey = Field(alias="from_table")
    missing: Text = MISSING_HOLDS


GROUPS: dict[str, type[Section]] = {
    "failover": Failover,
    "balance": Balance,
    "from_table": FromTable,
}


def _kind(value: Any) -> str | None:
    if isinstance(value, str | None):
        return "name"
    if isinstance(value, Section):
        return type(value).__name__
    if isinstance(value, Mapping):
        return next((GROUPS[word].__name__ for word in GROUPS if word in value), None)
    return None


def _known(value: object) -> object:
    """Refuse a group whose word is misspelt, before its keys are looked at."""
    if isinstance(value, Mapping) and not any(word in value for word in GROUPS):
        first = next((str(key) for key in value), "")
        raise Mistake(
            f"a group is one of {', '.join(GROUPS)}",
            at=(first,) if first else (),
            suggestion=suggest(first, GROUPS),
        )
    return value


Target: TypeAlias = Annotated[
    Annotated[Text, Tag("name")]
    | Annotated[Failover, Tag("Failover")]
    | Annotated[Balance, Tag("Balance")]
    | Annotated[FromTable, Tag("FromTable")],
    Discriminator(
        _kind,
        custom_error_type="target",
        custom_error_message="expected a destination, or a group such as `failover: [a, b]`",
    ),
    BeforeValidator(_known),
]


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str | Mapping) else value


Targets = Annotated[tuple[Target, ...], BeforeValidator(_one_or_several), Field(min_length=1)]


def named(target: Target) -> tuple[tuple[tuple[str | int, ...], str], ...]:
    """Every destination that a target names itself, and where below it the name stands."""
    match target:
        case str():
            return (((), target),)
        case Failover():
            return tuple((("failover", n), name) for n, name in enumerate(target.members))
        case Balance():
            return tuple((("balance", n), name) for n, name in enumerate(target.members))
        case FromTable():
            return () if target.missing == MISSING_HOLDS else ((("missing",), target.missing),)
