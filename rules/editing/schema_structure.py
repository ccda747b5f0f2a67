"""The edits that say what an object consists of: `remove`, `keep_only`, `add_item`, `charset`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from rules.documents.problems import Mistake
from rules.documents.reading import Section
from rules.editing.templates import Template
from rules.editing.values import (
    AS_TEXT,
    OPAQUE,
    TEXT_SCHEMA,
    Removable,
    editable,
    several,
    template_of,
    text_of,
    unfit,
)
from rules.tags import AttributePath, Tag, TagPattern, parse_path, parse_pattern

UNICODE = "ISO_IR 192"


def _not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not min_length: it would also complain about a list whose only item is faulty.
    if not value:
        raise Mistake("expected at least one attribute")
    return value


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, Mapping) else several(value)


class Remove(Section):
    """Take these attributes out: a path where it points, a pattern and a VR at every level."""

    targets: Annotated[
        tuple[Removable, ...], BeforeValidator(_one_or_several), AfterValidator(_not_empty)
    ] = Field(alias="remove")


Kept = Annotated[
    AttributePath | TagPattern,
    PlainValidator(lambda text: parse_pattern(text_of(text))),
    AS_TEXT,
    TEXT_SCHEMA,
]


class KeepOnly(Section):
    """Take all else out, but what an object needs: its UIDs, its character set, pixel data and
    the attributes that pixels are read with."""

    targets: Annotated[tuple[Kept, ...], BeforeValidator(several), AfterValidator(_not_empty)] = (
        Field(alias="keep_only")
    )


Item: TypeAlias = "Mapping[Tag, Template | tuple[Item, ...]]"
"""What a new item of a sequence holds: texts, and sequences with items of their own."""


def _item(value: object) -> Item:
    if not isinstance(value, Mapping) or not value:
        raise Mistake("expected attributes and their values, such as {CodeValue: T-1}")
    made: dict[Tag, Template | tuple[Item, ...]] = {}
    for name, given in value.items():
        try:
            tag, one = _element(str(name), given)
        except Mistake as mistake:
            at = (str(name), *mistake.at)
            raise Mistake(str(mistake), at=at, suggestion=mistake.suggestion) from None
        made[tag] = one
    return made


def _element(name: str, given: object) -> tuple[Tag, Template | tuple[Item, ...]]:
    path = parse_path(name)
    if path.is_nested:
        raise Mistake("an item in an item is written as a mapping: {Sequence: [{…}]}")
    if path.vr == "SQ":
        items = given if isinstance(given, list) else [given]
        return path.tag, tuple(_item(item) for item in items)
    if path.vr in OPAQUE:
        raise Mistake(f"{path} holds no text (its VR is {path.vr})")
    template = template_of(given)
    if template.is_constant and (why := unfit(template.render(str), path)):
        raise Mistake(why)
    return path.tag, template


def _written(item: Item) -> dict[str, Any]:
    return {
        str(tag): str(value) if isinstance(value, Template) else [_written(one) for one in value]
        for tag, value in item.items()
    }


def _sequence(text: object) -> AttributePath:
    path = editable(text)
    if path.vr not in ("SQ", None):
        raise Mistake(f"{path} is no sequence (its VR is {path.vr})")
    return path


class NewItem(Section):
    """`to`: the sequence, which is made if it is not there; in all items, if its path is nested."""

    to: Annotated[AttributePath, PlainValidator(_sequence), AS_TEXT, TEXT_SCHEMA]
    item: Annotated[
        Mapping[Tag, Any],
        PlainValidator(_item),
        PlainSerializer(_written, return_type=dict[str, Any]),
        WithJsonSchema({"type": "object"}),
    ]


class AddItem(Section):
    """Put an item at the end of a sequence."""

    adding: NewItem = Field(alias="add_item")


def _charset(value: object) -> str:
    text = text_of(value)
    if text != UNICODE:
        message = "texts are written anew in Unicode or left as they are"
        raise Mistake(message, suggestion=UNICODE)
    return text


class Charset(Section):
    """Write all texts of the object in Unicode (UTF-8)."""

    term: Annotated[str, BeforeValidator(_charset), WithJsonSchema({"const": UNICODE})] = Field(
        alias="charset"
    )
