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
    """The known word that was probably meant: one that others use for it, or one that is near."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    for meant in MEANT.get(word.casefold().replace("-", "_"), "").split():
        if meant in by_fold:
            return by_fold[meant]
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[near[0]] if near else None


MEANT = {
    "equals": "value",
    "equal": "value",
    "eq": "value",
    "is": "value",
    "in": "one_of",
    "any_of": "one_of",
    "regex": "matches",
    "match": "matches when",
    "wildcard": "like",
    "greater_than": "above",
    "more_than": "above",
    "gt": "above",
    "gte": "at_least",
    "min": "at_least",
    "less_than": "below",
    "smaller_than": "below",
    "lt": "below",
    "lte": "at_most",
    "max": "at_most",
    "range": "between",
    "exists": "present",
    "conditions": "when",
    "condition": "when",
    "if": "when",
    "filter": "when",
    "destination": "send_to destinations",
    "destinations": "send_to",
    "target": "send_to",
    "targets": "send_to",
    "to": "send_to",
    "actions": "edits",
    "changes": "edits",
    "final": "stop",
    "enabled": "disabled",
    "delete": "remove",
    "drop": "remove",
    "add": "set",
    "replace_with": "with",
    "rename": "move",
    "uppercase": "upper",
    "lowercase": "lower",
    "trim": "strip",
    "transcode": "transfer_syntax",
    "source.aet": "source.calling_ae_title",
    "source.ae_title": "source.calling_ae_title",
    "calling_ae_title": "source.calling_ae_title",
    "called_ae_title": "source.called_ae_title",
    "source.ip": "source.address",
    "source.host": "source.address",
    "aet": "ae_title",
    "aetitle": "ae_title",
    "hostname": "host",
    "ip": "host",
}
"""Words that other programs have for ours."""
