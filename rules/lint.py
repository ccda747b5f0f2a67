"""What is allowed in rules and yet probably not meant: warnings, each with its file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

from rules.conditions_schema import Condition, When
from rules.documents import Problem
from rules.edits_schema import Set
from rules.names import parse_fact
from rules.routes import CompiledRoute, RouteTable

INSTANCE = "SOPInstanceUID"

# Longest value of a VR, in characters (PS3.5 table 6.2-1): a longer text equals no valid value.
LONGEST = {"AE": 16, "AS": 4, "CS": 16, "LO": 64, "SH": 16, "UI": 64}


def lint(table: RouteTable, *, destinations: Collection[str] | None = None) -> list[Problem]:
    """All warnings about a table that loaded; with `destinations`, those no route sends to."""
    found = [problem for check in CHECKS for problem in check(table.all_routes)]
    found += _unused(table, destinations or ())
    return sorted(found, key=lambda problem: (problem.file, problem.line))


def _warning(route: CompiledRoute, key: str, message: str, hint: str | None = None) -> Problem:
    name = f"{route.route.name}: {key}" if key else route.route.name
    return Problem(
        file=route.file, line=route.line, column=1, key=name, message=message, suggestion=hint
    )


def _unreachable(routes: Sequence[CompiledRoute]) -> Iterator[Problem]:
    """A route after one that says stop and takes all that this one could match."""
    stops: list[tuple[CompiledRoute, frozenset[str]]] = []
    for route in routes:
        if route.route.disabled:
            continue
        wanted = _conditions(route.route.when)
        for stop, taken in stops:
            if taken <= wanted:
                message = f"never reached: {stop.route.name} takes the same objects and says stop"
                yield _warning(route, "", message)
                break
        if route.route.stop:
            stops.append((route, wanted))


def _conditions(when: When | None) -> frozenset[str]:
    """Every condition that must hold, as text: more of them match fewer objects."""
    if when is None:
        return frozenset()
    texts: set[str] = set()
    for name, condition in when.facts.items():
        fact = parse_fact(name).name
        texts |= {f"{fact} {word} {getattr(condition, word)}" for word in condition.words}
    for below in when.all or ():
        texts |= _conditions(below)
    if when.any is not None:
        texts.add(f"any {sorted(sorted(_conditions(one)) for one in when.any)}")
    if when.not_ is not None:
        texts.add(f"not {sorted(_conditions(when.not_))}")
    return frozenset(texts)


def _never_true(routes: Sequence[CompiledRoute]) -> Iterator[Problem]:
    for route in routes:
        for name, condition in _all_facts(route.route.when):
            fact = parse_fact(name)
            vr = fact.path.vr if fact.path else None
            for word, text in _texts(condition):
                message, hint = _why_never(vr, word, text)
                if message:
                    yield _warning(route, f"{name} {word} {text}", message, hint)
            if message := _empty_range(name, condition):
                yield _warning(route, name, message)
            if condition.present is False and len(condition.words) > 1:
                yield _warning(route, name, "never true: an absent attribute has no value")


def _all_facts(when: When | None) -> Iterator[tuple[str, Condition]]:
    if when is None:
        return
    yield from when.facts.items()
    groups = [*(when.all or ()), *(when.any or ()), *([when.not_] if when.not_ else [])]
    for below in groups:
        yield from _all_facts(below)


def _texts(condition: Condition) -> Iterator[tuple[str, str]]:
    if condition.value is not None:
        yield "value", condition.value
    for text in condition.one_of or ():
        yield "one_of", text
    for word in ("starts_with", "ends_with", "contains", "matches"):
        if (text := getattr(condition, word)) is not None:
            yield word, text


def _why_never(vr: str | None, word: str, text: str) -> tuple[str | None, str | None]:
    if word == "matches":
        return (IMPOSSIBLE, None) if _cannot_match(text) else (None, None)
    if "\\" in text or vr is None:
        return None, None
    if vr == "CS" and word in ("value", "one_of") and text != text.upper():
        return "never true: values of this attribute are in capitals (VR CS)", text.upper()
    if len(text) > LONGEST.get(vr, len(text)):
        return f"never true: a valid value has at most {LONGEST[vr]} characters (VR {vr})", None
    return None, None


IMPOSSIBLE = "never true: text cannot go on after $, nor begin before ^"


def _cannot_match(pattern: str) -> bool:
    """A literal straight after `$` or straight before `^`, outside classes and alternatives."""
    plain = re.sub(r"\\.|\[[^\]]*\]", "x", pattern)
    if "|" in plain or "(?" in plain:
        return False
    return bool(re.search(r"\$\w", plain) or re.search(r"\w\^", plain))


def _empty_range(name: str, condition: Condition) -> str | None:
    kind = parse_fact(name).kind
    if kind is None or not kind.ordered:
        return None
    lower = [(w, t) for w in ("at_least", "above") if (t := getattr(condition, w)) is not None]
    upper = [(w, t) for w in ("at_most", "below") if (t := getattr(condition, w)) is not None]
    for low_word, low in lower:
        for high_word, high in upper:
            least, most = kind.bound(low), kind.bound(high)
            strict = (low_word, high_word) != ("at_least", "at_most")
            if least > most or (strict and least == most):
                return f"never true of one value: {low_word} {low} and {high_word} {high}"
    return None


def _alike_names(routes: Sequence[CompiledRoute]) -> Iterator[Problem]:
    """Metrics and traces show names; two that a reader takes for one are a trap."""
    by_name = sorted(routes, key=lambda route: _folded(route.route.name))
    for one, other in pairwise(by_name):
        if _folded(one.route.name) == _folded(other.route.name):
            message = f"the name reads like {one.route.name!r} in {one.file}:{one.line}"
            yield _warning(other, "", message)


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _one_instance_for_all(routes: Sequence[CompiledRoute]) -> Iterator[Problem]:
    for route in routes:
        for edit in route.route.edits:
            if isinstance(edit, Set):
                for path, template in edit.values.items():
                    if str(path) == INSTANCE and template.is_constant:
                        message = "every object would get the same identity, and replace the last"
                        yield _warning(route, f"set {INSTANCE}", message)


def _sent_twice(routes: Sequence[CompiledRoute]) -> Iterator[Problem]:
    for route in routes:
        names = route.route.send_to
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield _warning(route, "send_to", f"{name} is there more than once; it is sent once")


def _unused(table: RouteTable, destinations: Collection[str]) -> list[Problem]:
    used = {name for route in table.routes for name in route.route.send_to}
    file = table.all_routes[0].file if table.all_routes else "rules"
    return [
        Problem(file=file, line=1, column=1, key=name, message="no route sends to this destination")
        for name in sorted(set(destinations) - used)
    ]


CHECKS: tuple[Callable[[Sequence[CompiledRoute]], Iterator[Problem]], ...] = (
    _unreachable,
    _never_true,
    _alike_names,
    _one_instance_for_all,
    _sent_twice,
)
