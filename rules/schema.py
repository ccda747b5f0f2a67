"""A rule file and a test file as models: what may be written where. Pure structure, no behaviour.

Every key is explained in docs/rules.md, and a test fails where one is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from rules.deid.profile import Profile
from rules.documents.reading import Section
from rules.editing.schema import Edit
from rules.flow_schema import Betweens, WaitFor
from rules.matching.schema import When
from rules.send_to import Targets, named

Priority: TypeAlias = Literal["stat", "high", "routine", "low"]


class Route(Section):
    """One route: which objects, what is changed, where they go."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    when: When | None = None
    edits: tuple[Edit, ...] = ()
    record: bool = True
    deidentify: Annotated[str, Field(min_length=1)] | None = None
    send_to: Targets
    priority: Priority = "routine"
    wait_for: WaitFor | None = None
    between: Betweens | None = None
    stop: bool = False
    disabled: bool = False

    @property
    def destinations(self) -> tuple[str, ...]:
        """Every destination that the route names, of groups all members; not those in tables."""
        return tuple(dict.fromkeys(name for one in self.send_to for _, name in named(one)))


class RuleFile(Section):
    """A file of the folder `rules/`."""

    routes: tuple[Route, ...] = ()
    profiles: Mapping[Annotated[str, Field(min_length=1, max_length=100)], Profile] = Field(
        default_factory=dict
    )
