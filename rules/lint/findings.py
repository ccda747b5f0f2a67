"""What the linter says: a finding has a place, a kind by which it can be ignored, and a fix."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rules.documents.problems import Problem, Step
from rules.routes import CompiledRoute

Level: TypeAlias = Literal["error", "warning", "hint"]
"""error: cannot be used; warning: surely not meant; hint: works, and may surprise somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Problem):
    """`kind` is one of the words in docs/rules.md; `fix` says what to write or do."""

    kind: str
    level: Level = "warning"
    fix: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        key = f"{self.key}: " if self.key else ""
        meant = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        fix = f". {self.fix}" if self.fix else ""
        return f"{where}{key}{self.message}{meant}{fix} [{self.level}: {self.kind}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteNames:
    """What the site has that rules may name. `calling`: AE titles that may send, None for any;
    `called`: those that its listeners answer to, None for any. `needed`: the destinations that
    only a route can send to."""

    needed: Collection[str]
    listeners: Collection[str]
    calling: Collection[str] | None
    called: Collection[str] | None


def at(
    route: CompiledRoute,
    path: Sequence[Step],
    kind: str,
    message: str,
    *,
    fix: str = "",
    level: Level = "warning",
    suggestion: str | None = None,
) -> Finding:
    """A finding at a key of a route; the key is shown with the route's name."""
    place = route.document.problem(("routes", route.index, *path), "")
    shown = ".".join(str(step) for step in path if isinstance(step, str))
    return Finding(
        file=place.file,
        line=place.line,
        column=place.column,
        key=f"{route.route.name}: {shown}" if shown else route.route.name,
        message=message,
        suggestion=suggestion,
        kind=kind,
        level=level,
        fix=fix,
    )


def mistake(problem: Problem) -> Finding:
    """What does not load, as a finding."""
    return Finding(
        file=problem.file,
        line=problem.line,
        column=problem.column,
        key=problem.key,
        message=problem.message,
        suggestion=problem.suggestion,
        kind="mistake",
        level="error",
    )
