"""Conditions that cannot hold together, whatever an object has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rules.documents.problems import Mistake, Step
from rules.lint.findings import Finding, at
from rules.lint.values import has_one_value
from rules.lint.wanted import Wanted, as_texts
from rules.matching.schema import When
from rules.matching.spans import parse_span
from rules.routes import CompiledRoute

NEVER = "contradiction"
SOME_DAY = datetime(2026, 1, 31, tzinfo=UTC)  # years and months have no length of their own
LOWER, UPPER = ("at_least", "above"), ("at_most", "below")


def of_one(route: CompiledRoute, each: Wanted) -> Iterator[Finding]:
    """What one condition wants at once."""
    condition = each.condition
    if condition.present is False and len(condition.words) > 1:
        message = "never true: an absent attribute has no value"
        yield at(route, each.path, NEVER, message, fix="Drop present, or the rest")
    elif condition.empty is True and set(condition.words) - {"empty", "present"}:
        message = "never true: an empty attribute has no value"
        yield at(route, each.path, NEVER, message, fix="Drop empty, or the rest")
    if told := _empty_range([each]) or _empty_age(each):
        yield at(route, each.path, NEVER, told, fix="Exchange the limits")
    for text in each.equal_to() if condition.value is not None else ():
        yield from _value_against_words(route, each, text)


def _value_against_words(route: CompiledRoute, each: Wanted, text: str) -> Iterator[Finding]:
    if not has_one_value(each):
        return
    folded = text.strip().casefold()
    tests = {
        "starts_with": folded.startswith,
        "ends_with": folded.endswith,
        "contains": folded.__contains__,
    }
    for word, holds in tests.items():
        wanted = getattr(each.condition, word)
        if wanted is not None and not holds(wanted.casefold()):
            message = f"never true: {text!r} does not do what {word} wants"
            yield at(route, (*each.path, word), NEVER, message, fix="Drop one of them")
    one_of = each.condition.one_of
    if one_of is not None and text not in one_of:
        message = f"never true: {text!r} is not in one_of"
        yield at(route, (*each.path, "one_of"), NEVER, message, fix="Drop one of them")


def of_all(route: CompiledRoute, conditions: Sequence[Wanted]) -> Iterator[Finding]:
    """What the conditions of a route want together."""
    by_fact: defaultdict[str, list[Wanted]] = defaultdict(list)
    for each in conditions:
        if each.must:
            by_fact[each.fact.name].append(each)
    for same in by_fact.values():
        if len(same) > 1 and has_one_value(same[0]):
            yield from _two_values(route, same)
    yield from _denied(route, route.route.when, ("when",), as_texts(route.route.when))


def _two_values(route: CompiledRoute, same: Sequence[Wanted]) -> Iterator[Finding]:
    possible: set[str] | None = None
    for each in same:
        texts = set(each.equal_to())
        if not texts:
            continue
        if possible is not None and not possible & texts:
            message = f"never true: above, {each.fact.name} is wanted to be another value"
            yield at(route, each.path, NEVER, message, fix="One value of two: any, or one_of")
            return
        possible = texts if possible is None else possible & texts
    if told := _empty_range(same):
        yield at(route, same[-1].path, NEVER, told, fix="Exchange the limits")
    absent = [each for each in same if each.condition.present is False]
    if absent and len(absent) < len(same):
        message = f"never true: elsewhere {same[0].fact.name} is wanted to have a value"
        yield at(route, absent[0].path, NEVER, message, fix="Drop one of them")


def _denied(
    route: CompiledRoute, when: When | None, path: tuple[Step, ...], wanted: frozenset[str]
) -> Iterator[Finding]:
    """`not` round what must hold anyway."""
    if when is None:
        return
    if when.not_ is not None and as_texts(when.not_) <= wanted:
        message = "never true: what stands under not is wanted, too"
        yield at(route, (*path, "not"), NEVER, message, fix="Drop one of them")
    for index, below in enumerate(when.all or ()):
        yield from _denied(route, below, (*path, "all", index), wanted)


def _empty_age(each: Wanted) -> str | None:
    older, newer = each.condition.older_than, each.condition.newer_than
    if older is None or newer is None:
        return None
    oldest, newest = parse_span(newer).before(SOME_DAY), parse_span(older).before(SOME_DAY)
    if newest > oldest:
        return None
    return f"never true of one value: older_than {older} and newer_than {newer}"


def _empty_range(same: Sequence[Wanted]) -> str | None:
    kind = same[0].fact.kind
    if kind is None or not kind.ordered:
        return None
    lower = [(w, t) for one in same for w in LOWER if (t := getattr(one.condition, w)) is not None]
    upper = [(w, t) for one in same for w in UPPER if (t := getattr(one.condition, w)) is not None]
    for low_word, low in lower:
        for high_word, high in upper:
            try:
                least, most = kind.bound(low), kind.bound(high)
            except Mistake:
                continue
            strict = (low_word, high_word) != ("at_least", "at_most")
            if least > most or (strict and least == most):
                return f"never true of one value: {low_word} {low} and {high_word} {high}"
    return None
