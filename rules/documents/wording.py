"""What pydantic finds wrong, in the words of somebody who writes YAML and not Python."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypeAliasType

from rules.documents.problems import suggest

LONGEST_SHOWN = 40  # characters of a wrong value that a message repeats


@dataclass(frozen=True, slots=True)
class Complaint:
    """One finding: the path as pydantic has it (names of union members among the steps)."""

    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    missing: str | None = None


def complaints(error: ValidationError, model: type[BaseModel]) -> list[Complaint]:
    """Every finding of a validation, worded; of a union only the member that got furthest."""
    details = error.errors(include_url=False)
    return [_complaint(detail, model) for detail in _furthest(details, error.title)]


def _complaint(detail: ErrorDetails, model: type[BaseModel]) -> Complaint:
    path = tuple(detail["loc"])
    context = detail.get("ctx", {})
    kind = detail["type"]
    cause = context.get("error")
    if isinstance(cause, ValueError):
        at = tuple(getattr(cause, "at", ()))
        return Complaint((*path, *at), str(cause), getattr(cause, "suggestion", None))
    if kind == "extra_forbidden":
        known = sorted(_fields_at(model, path[:-1]))
        near = suggest(str(path[-1]), known)
        message = "unknown key" if near else f"unknown key; known here: {', '.join(known)}"
        return Complaint(path, message, near)
    if kind == "missing":
        return Complaint(path[:-1], "this key is missing", missing=str(path[-1]))
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        words = str(context.get("expected") or context.get("expected_tags"))
        near = suggest(_shown(detail["input"]), re.findall(r"'([^']*)'", words))
        return Complaint(path, f"expected {words}{_found(detail)}", near)
    wanted = EXPECTED.get(kind)
    if wanted is not None:
        return Complaint(path, f"expected {wanted.format(**context)}{_found(detail)}")
    return Complaint(path, detail["msg"])


def _found(detail: ErrorDetails) -> str:
    value = detail["input"]
    if value is None:
        return ", found nothing"
    if isinstance(value, Mapping):
        return ", found a mapping"
    if isinstance(value, list | tuple):
        return ", found a list" if value else ", found an empty list"
    return f", found {_shown(value)!r}"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def _furthest(details: Sequence[ErrorDetails], title: str) -> list[ErrorDetails]:
    """Drop what one member of a union says where another member understood more of the value.

    pydantic reports all members; a step of the path that is no key and no index is a member's name.
    """
    kept: list[ErrorDetails] = []
    for detail in details:
        rivals = [other for other in details if _same_union(detail, other)]
        if all(len(detail["loc"]) >= len(other["loc"]) for other in rivals):
            kept.append(detail)
    return kept


def _same_union(one: ErrorDetails, other: ErrorDetails) -> bool:
    for mine, theirs in zip(one["loc"], other["loc"], strict=False):
        if mine != theirs:
            return _is_member(mine) and _is_member(theirs)
    return False


def _is_member(step: str | int) -> bool:
    return isinstance(step, str) and (step in MEMBERS or "[" in step or "-" in step)


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> set[str]:
    """The keys that a mapping at this path may have, found by walking the models' annotations."""
    here: list[Any] = list(_alternatives(model))
    for step in path:
        below = [kind for one in here for kind in _step(one, step)]
        here = below or here
    names: set[str] = set()
    for kind in here:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= {info.alias or name for name, info in kind.model_fields.items()}
    return names


def _step(kind: Any, step: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            if step in (name, info.alias):
                return list(_alternatives(info.annotation))
        if kind.model_config.get("extra") == "allow" and isinstance(step, str):
            extra = get_type_hints(kind)["__pydantic_extra__"]
            return list(_alternatives(get_args(extra)[-1]))
        return list(_alternatives(kind)) if step == kind.__name__ else []
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(step, str):
        return list(_alternatives(arguments[-1]))
    if isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(step, int):
        return list(_alternatives(arguments[0]))
    return []


def _alternatives(kind: Any) -> Iterable[Any]:
    """Unions flattened, `Annotated` and type aliases opened."""
    if isinstance(kind, TypeAliasType):
        yield from _alternatives(kind.__value__)
    elif isinstance(kind, TypeVar):
        return
    elif get_origin(kind) is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _alternatives(member)
    else:
        yield kind


MEMBERS = frozenset(
    {"str", "int", "float", "bool", "none", "list", "dict", "tuple", "decimal", "path", "model"}
)

EXPECTED = {
    "string_type": "text",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list (a dash before each item)",
    "tuple_type": "a list (a dash before each item)",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dataclass_type": "a mapping (key: value)",
    "path_type": "a path",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "ip_any_address": "an IP address",
    "ip_any_network": "a network such as 10.1.0.0/16",
}
