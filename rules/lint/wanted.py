"""The conditions of a route taken apart for the linter: what must hold, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rules.documents.problems import Step
from rules.matching.names import Fact, parse_fact
from rules.matching.schema import Condition, When
from rules.routes import CompiledRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One fact's condition. `must`: it has to hold (it stands in no `any` and no `not`);
    `negated`: it stands inside a `not`."""

    fact: Fact
    condition: Condition
    path: tuple[Step, ...]
    must: bool
    negated: bool

    @property
    def vr(self) -> str | None:
        return self.fact.path.vr if self.fact.path else None

    @property
    def attribute(self) -> str | None:
        """The keyword of an attribute at the top level, None for other facts."""
        path = self.fact.path
        return path.tag.keyword if path is not None and not path.is_nested else None

    def equal_to(self) -> tuple[str, ...]:
        """The texts of which the fact must be one; () where it may be anything."""
        if self.condition.value is not None:
            return (self.condition.value,)
        return self.condition.one_of or ()


def wanted(route: CompiledRoute) -> list[Wanted]:
    """Every condition of the route, groups opened."""
    return list(_walk(route.route.when, ("when",), must=True, negated=False))


def _walk(
    when: When | None, path: tuple[Step, ...], *, must: bool, negated: bool
) -> Iterator[Wanted]:
    if when is None:
        return
    for name, condition in when.facts.items():
        fact = parse_fact(name)
        yield Wanted(fact=fact, condition=condition, path=(*path, name), must=must, negated=negated)
    for index, below in enumerate(when.all or ()):
        yield from _walk(below, (*path, "all", index), must=must, negated=negated)
    alone = len(when.any or ()) == 1
    for index, below in enumerate(when.any or ()):
        yield from _walk(below, (*path, "any", index), must=must and alone, negated=negated)
    if when.not_ is not None:
        yield from _walk(when.not_, (*path, "not"), must=False, negated=not negated)


def as_texts(when: When | None) -> frozenset[str]:
    """Every condition that must hold, as text: more of them match fewer objects."""
    if when is None:
        return frozenset()
    texts: set[str] = set()
    for name, condition in when.facts.items():
        fact = parse_fact(name).name
        texts |= {f"{fact} {word} {_text(condition, word)}" for word in condition.words}
    for below in when.all or ():
        texts |= as_texts(below)
    if when.any is not None:
        texts.add(f"any {sorted(sorted(as_texts(one)) for one in when.any)}")
    if when.not_ is not None:
        texts.add(f"not {sorted(as_texts(when.not_))}")
    return frozenset(texts)


def _text(condition: Condition, word: str) -> str:
    value = getattr(condition, word)
    zone = f" {condition.zone}" if condition.zone else ""
    return f"{sorted(value) if word == 'one_of' else value}{zone}"


def reached(route: CompiledRoute) -> tuple[str, ...]:
    """Every destination that may get something by this route."""
    return route.reaches
