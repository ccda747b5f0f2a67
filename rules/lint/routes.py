"""Routes beside each other: which are never reached, never served, twice there, hard to tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rules.documents.problems import suggest
from rules.lint.findings import Finding, SiteNames, at
from rules.lint.wanted import Wanted, as_texts, reached, wanted
from rules.routes import CompiledRoute
from rules.send_to import named


def unreachable(routes: Sequence[CompiledRoute]) -> Iterator[Finding]:
    """A route after one that says stop and takes all that this one could match."""
    stops: list[tuple[CompiledRoute, frozenset[str]]] = []
    for route in routes:
        if route.route.disabled:
            continue
        own = as_texts(route.route.when)
        for stop, taken in stops:
            if taken <= own:
                message = f"never reached: {stop.route.name} takes the same objects and says stop"
                fix = f"Move it before {stop.route.name} ({stop.file}:{stop.line}), or drop it"
                yield at(route, (), "unreachable", message, fix=fix)
                break
        if route.route.stop:
            stops.append((route, own))


def served_before(routes: Sequence[CompiledRoute]) -> Iterator[Finding]:
    """A destination that gets every object of this route from an earlier one: once is enough."""
    earlier: list[tuple[CompiledRoute, frozenset[str]]] = []
    for route in routes:
        if route.route.disabled:
            continue
        own = as_texts(route.route.when)
        if _chooses(route):
            continue
        left = list(dict.fromkeys(route.dispatch.destinations))
        taken: list[tuple[str, CompiledRoute]] = []
        for other, conditions in earlier:
            if not other.route.stop and conditions <= own:
                taken += [(name, other) for name in left if name in other.dispatch.destinations]
                left = [name for name in left if name not in other.dispatch.destinations]
        for name, other in taken:
            yield _served(route, name, other, everywhere=not left)
        earlier.append((route, own))


def _chooses(route: CompiledRoute) -> bool:
    """Whether a group chooses a destination for each object, or the route waits or has hours."""
    plain = all(isinstance(name, str) for name in route.route.send_to)
    return not plain or any(getattr(route.route, key, None) for key in ("wait_for", "between"))


def _served(route: CompiledRoute, name: str, other: CompiledRoute, *, everywhere: bool) -> Finding:
    lost = route.dispatch.edits_key or route.route.priority != other.route.priority
    without = ": the edits and the priority here reach nobody" if lost and everywhere else ""
    same = as_texts(route.route.when) == as_texts(other.route.when) and not lost and everywhere
    twice = f": this route does what {other.route.name} does" if same else without
    message = f"{name} gets each of these objects from {other.route.name} already{twice}"
    fix = f"Move it before {other.route.name} ({other.file}:{other.line}), or drop {name} here"
    return at(route, ("send_to",), "served-before", message, fix=fix)


def alike_names(routes: Sequence[CompiledRoute]) -> Iterator[Finding]:
    """Metrics and traces show names; two that a reader takes for one are a trap."""
    by_name = sorted(routes, key=lambda route: _folded(route.route.name))
    for one, other in pairwise(by_name):
        if _folded(one.route.name) == _folded(other.route.name):
            message = f"the name reads like {one.route.name!r} in {one.file}:{one.line}"
            yield at(other, ("name",), "alike-names", message, fix="Name it for what it does")
    for route in routes:
        if route.route.name != route.route.name.strip():
            message = "the name has blanks at its ends, which nobody sees"
            yield at(route, ("name",), "blank", message, fix="Take them off")


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def sent_twice(routes: Sequence[CompiledRoute]) -> Iterator[Finding]:
    for route in routes:
        names = [name for one in route.route.send_to for _, name in named(one)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            message = f"{name} is there more than once; it is sent once"
            yield at(route, ("send_to",), "repeated-value", message, fix="Take one out")


def site_names(routes: Sequence[CompiledRoute], site: SiteNames) -> Iterator[Finding]:
    """Listeners and AE titles that the site does not have."""
    known = {
        "source.listener": (site.listeners, "listener of the site"),
        "source.calling_ae_title": (site.calling, "AE title of the site's sources"),
        "source.called_ae_title": (site.called, "AE title that a listener of the site answers to"),
    }
    for route in routes:
        for each in wanted(route):
            names, what = known.get(each.fact.name, (None, ""))
            if names is not None and not each.negated:
                yield from _unknown(route, each, set(names), what)


def _unknown(route: CompiledRoute, each: Wanted, names: set[str], what: str) -> Iterator[Finding]:
    for text in each.equal_to():
        if text not in names:
            message = f"never true: {text!r} is no {what}"
            fix = f"The site has {', '.join(sorted(names)) or 'none'}"
            near = suggest(text, names)
            yield at(route, each.path, "unknown-source", message, fix=fix, suggestion=near)


def unused(routes: Sequence[CompiledRoute], needed: Sequence[str]) -> Iterator[Finding]:
    """Destinations of the site to which nothing can be sent."""
    used = {name for route in routes if not route.route.disabled for name in reached(route)}
    place = routes[0].file if routes else "rules"
    for name in sorted(set(needed) - used):
        yield Finding(
            file=place,
            line=1,
            column=1,
            key=name,
            message="no route sends to this destination",
            kind="unused-destination",
            fix="Send something there, or take it out of the site's file",
        )
