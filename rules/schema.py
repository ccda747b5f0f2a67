"""A rule file and a test file as models: what may be written where. Pure structure, no behaviour.

Every key is explained in docs/rules.md, and a test fails where one is not.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from rules.conditions_schema import Text, When
from rules.documents import Section
from rules.edits_schema import Edit

Priority: TypeAlias = Literal["stat", "high", "routine", "low"]


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[Text, ...], BeforeValidator(_one_or_several), Field(min_length=1)]


class Route(Section):
    """One route: which objects, what is changed, where they go."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    when: When | None = None
    edits: tuple[Edit, ...] = ()
    record: bool = True
    send_to: Names
    priority: Priority = "routine"
    stop: bool = False
    disabled: bool = False


class RuleFile(Section):
    """A file of the folder `rules/`."""

    routes: tuple[Route, ...] = ()
