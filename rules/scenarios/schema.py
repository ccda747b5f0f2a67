"""A file of users' tests (*.test.yaml) as models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from rules.documents.problems import Mistake, suggest
from rules.documents.reading import Section
from rules.schema import Priority
from rules.uids import NAMES, uid_named


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _yes_or_reason(value: object) -> object:
    """`true` and `false` are no reasons; all scalars come as text."""
    return {"true": True, "yes": True, "false": False, "no": False}.get(str(value), value)


def _syntax(value: str) -> str:
    uid = uid_named(value, "Transfer Syntax")
    if uid is None:
        near = suggest(value, NAMES)
        raise Mistake(f"{value!r} is not a transfer syntax: write its name or UID", suggestion=near)
    return uid


Words = Annotated[tuple[str, ...], BeforeValidator(_several)]
Given = Annotated[Mapping[str, str | tuple[str, ...] | None], Field(default_factory=dict)]


class Arrival(Section):
    """What an object is like when it arrives: values, attributes that are not there, and the UID
    of the transfer syntax that the edits bring it into."""

    edited: Given
    removed: Words = ()
    transfer_syntax: Annotated[str, AfterValidator(_syntax)] | None = None


class Expectation(Arrival):
    """What the rules must do with the object. What is left out is not looked at; what an Arrival
    has holds at every destination, what stands under `at` at one. `held` is true, or a part of
    the reason."""

    send_to: Words | None = None
    routes: Words | None = None
    priority: Priority | None = None
    unrouted: bool | None = None
    held: Annotated[bool | str, BeforeValidator(_yes_or_reason)] = False
    at: Mapping[str, Arrival] = Field(default_factory=dict)


class Scenario(Section):
    """One test: an object, given by attributes or as a file, and what is expected. `down`: the
    destinations that are down, for as long as it takes a group to turn to another."""

    name: str = Field(min_length=1)
    given: Given
    file: str | None = None
    down: Words = ()
    expect: Expectation


class ScenarioFile(Section):
    """A file *.test.yaml."""

    tests: tuple[Scenario, ...] = ()
