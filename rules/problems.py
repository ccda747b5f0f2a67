"""What is wrong in a file that a user wrote, and where: file, line, column, key, suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

Step: TypeAlias = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in one file. Lines and columns count from 1; `key` reads `routes[0].when`."""

    file: str
    line: int
    column: int
    key: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        key = f"{self.key}: " if self.key else ""
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return f"{where}{key}{self.message}{hint}"


class DocumentError(Exception):
    """A file, or several, cannot be used; `problems` says everything that is wrong, in order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Mistake(ValueError):
    """Raised by a validator of a model: what is wrong, and where below the value it looks at."""

    def __init__(
        self, message: str, *, at: Sequence[Step] = (), suggestion: str | None = None
    ) -> None:
        self.at = tuple(at)
        self.suggestion = suggestion
        super().__init__(message)


def dotted(path: Sequence[Step]) -> str:
    """`("routes", 0, "when")` as `routes[0].when`."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")


def one_of_each(problems: Sequence[Problem]) -> list[Problem]:
    """In the order of the file, one for each place and key, without repetitions."""
    unique: dict[tuple[str, int, int, str], Problem] = {}
    for problem in sorted(problems, key=lambda p: (p.file, p.line, p.column)):
        place = (problem.file, problem.line, problem.column, problem.key)
        known = unique.get(place)
        unique[place] = _both(known, problem) if known else problem
    return list(unique.values())


def _both(one: Problem, other: Problem) -> Problem:
    """`expected A, found C` and `expected B, found C` as `expected A or B, found C`."""
    if one.message == other.message:
        return one
    wanted, _, found = one.message.partition(", found ")
    also, _, _ = other.message.partition(", found ")
    if not found or not also.startswith("expected "):
        return replace(one, message=f"{one.message}; {other.message}")
    return replace(one, message=f"{wanted} or {also.removeprefix('expected ')}, found {found}")


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is near."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else None
