"""Conditions as closures: one for each word, made once and asked for every object.

A closure takes the view of one object and answers yes or no; it raises nothing, whatever the
object holds. What does not fit (a limit for a text, a misspelt keyword) is a Mistake on loading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rules.documents.problems import Mistake, Step
from rules.matching.closures import Asked, Holds, matcher
from rules.matching.names import GROUP, Fact, parse_fact
from rules.matching.schema import Condition, When
from rules.matching.view import Slots, View
from rules.tables import Tables
from rules.verdict import Failure

__all__ = ["Check", "Compiler", "Holds", "all_hold", "first_failure", "found", "shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One compiled condition; `fails` tells, of a view where it does not hold, why."""

    key: str
    wanted: str
    holds: Holds
    fails: Callable[[View], Failure]


@dataclass(slots=True)
class Compiler:
    """Compiles the conditions of one table; mistakes are gathered with their paths."""

    slots: Slots
    mistakes: list[Mistake]
    tables: Tables
    in_group: bool = False
    """Whether the route waits, so that facts of a group can be asked for."""

    def when(self, when: When | None, at: tuple[Step, ...] = ()) -> tuple[Check, ...]:
        """One check for each condition: facts first, as they are cheap, then the groups."""
        if when is None:
            return ()
        checks: list[Check] = []
        for name, condition in when.facts.items():
            checks += self._fact(name, condition, (*at, name))
        if when.all is not None:
            for index, below in enumerate(when.all):
                checks += self.when(below, (*at, "all", index))
        if when.any is not None:
            ways = [self.when(below, (*at, "any", i)) for i, below in enumerate(when.any)]
            checks.append(_any(ways))
        if when.not_ is not None:
            checks.append(_not(self.when(when.not_, (*at, "not"))))
        return tuple(checks)

    def _fact(self, name: str, condition: Condition, at: tuple[Step, ...]) -> list[Check]:
        try:
            fact = parse_fact(name)
            if name in GROUP and not self.in_group:
                raise Mistake(f"{name} is known only where the route waits: it has no wait_for")
        except Mistake as mistake:
            self.mistakes.append(Mistake(str(mistake), at=at, suggestion=mistake.suggestion))
            return []
        checks: list[Check] = []
        asked = Asked(self.slots, fact, condition, self.tables)
        for word in condition.words:
            wanted = getattr(condition, word)
            try:
                holds = matcher(asked, word, wanted)
            except Mistake as mistake:
                where = (*at, word, *mistake.at)
                hint = mistake.suggestion
                self.mistakes.append(Mistake(str(mistake), at=where, suggestion=hint))
            else:
                checks.append(_check(self.slots, fact, word, wanted, holds))
        return checks


def all_hold(checks: Sequence[Check], view: View) -> bool:
    for check in checks:  # noqa: SIM110 - a generator costs more than the checks
        if not check.holds(view):
            return False
    return True


def first_failure(checks: Sequence[Check], view: View) -> Failure | None:
    """The first check that does not hold, explained; None when all hold."""
    return next((check.fails(view) for check in checks if not check.holds(view)), None)


def _any(ways: Sequence[Sequence[Check]]) -> Check:
    def holds(view: View) -> bool:
        for way in ways:  # noqa: SIM110
            if all_hold(way, view):
                return True
        return False

    def fails(view: View) -> Failure:
        below = tuple(f for way in ways if (f := first_failure(way, view)) is not None)
        return Failure(key="any", wanted=wanted, found="none of them holds", below=below)

    wanted = f"one of {len(ways)} alternatives"
    return Check(key="any", wanted=wanted, holds=holds, fails=fails)


def _not(checks: Sequence[Check]) -> Check:
    words = " and ".join(f"{check.key} {check.wanted}" for check in checks)
    failure = Failure(key="not", wanted=f"not ({words})", found="it holds")
    return Check(
        key="not",
        wanted=f"not ({words})",
        holds=lambda view: not all_hold(checks, view),
        fails=lambda view: failure,
    )


def _check(slots: Slots, fact: Fact, word: str, wanted: Any, holds: Holds) -> Check:
    raw = slots.raw(fact)
    failure = Failure(key=fact.name, wanted=f"{word} {shown(wanted)}", found="")
    return Check(
        key=fact.name,
        wanted=failure.wanted,
        holds=holds,
        fails=lambda view: replace(failure, found=found(view.get(raw))),
    )


def shown(wanted: object) -> str:
    """What a rule wants, as it is written there."""
    if isinstance(wanted, tuple) and len(wanted) == 1:
        return str(wanted[0]) if not isinstance(wanted[0], str) else f"[{wanted[0]}]"
    if isinstance(wanted, bool):
        return "true" if wanted else "false"
    if isinstance(wanted, tuple):
        return f"[{', '.join(map(str, wanted))}]"
    return str(wanted)


def found(values: Sequence[str] | None) -> str:
    """What the object has, for the eyes of whoever asked."""
    if values is None:
        return "absent"
    return "\\".join(values) if any(values) else "empty"
