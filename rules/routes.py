"""The route list and what it means for one object. `match` is the page a user must understand.

Routes are looked at in order. A route matches when all its conditions hold. Every matching route
contributes its destinations, up to and including one that says stop. A destination that two
matching routes name gets the object once: from the first of them, with that one's edits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rules.choosing import NOBODY_DOWN, Choice, Choose, Down
from rules.conditions import Check, Holds, first_failure
from rules.documents.reading import Document
from rules.facts import Facts
from rules.matching.view import Slots, View
from rules.schema import Route
from rules.verdict import Dispatch, Failure, Step, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRoute:
    """A route with its conditions as closures; `file` and `line` say where it was written, and
    `document` and `index` where each of its keys was. `targets` stands where groups choose among
    destinations: then `dispatch` is what is the same for all objects. `reaches`: every
    destination that may get something. `arrival`: of a route that waits, the conditions that can
    be asked before the rest of the study is there."""

    route: Route
    checks: tuple[Check, ...]
    conditions: tuple[Holds, ...]
    dispatch: Dispatch
    file: str
    line: int
    document: Document = field(repr=False)
    index: int
    targets: tuple[str | Choose, ...] = ()
    reaches: tuple[str, ...] = ()
    arrival: tuple[Holds, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """All routes of a site, in order; disabled ones only among `all_routes`.

    `version` is short and the same for the same texts; `texts` are the files by name, for history.
    `files` are all that were read, tables too: when one of them changes, it is time to reload.
    """

    routes: tuple[CompiledRoute, ...]
    all_routes: tuple[CompiledRoute, ...]
    slots: Slots = field(repr=False)
    version: str
    texts: Mapping[str, str] = field(repr=False)
    files: tuple[Path, ...] = ()


def match(
    table: RouteTable, facts: Facts, down: Down = NOBODY_DOWN, *, arriving: bool = False
) -> Verdict:
    """Decide for one object. `down`: which destinations are, for how many seconds.

    `arriving`: what else belongs to the object's study is not known yet, and routes that wait for
    it are matched by their other conditions; `decide_alone` is asked when all is there.
    """
    view = View(table.slots, facts)
    matched: list[CompiledRoute] = []
    for compiled in table.routes:
        conditions = compiled.conditions
        if arriving and compiled.arrival is not None:
            conditions = compiled.arrival
        for holds in conditions:
            if not holds(view):
                break
        else:
            matched.append(compiled)
            if compiled.route.stop:
                break
    return Verdict(
        dispatches=_dispatches(matched, facts, down),
        routes=tuple(one.route.name for one in matched),
    )


def decide_alone(
    table: RouteTable, route: str, facts: Facts, down: Down = NOBODY_DOWN
) -> Dispatch | None:
    """What one route sends of an object whose group is known; None when it does not match.
    KeyError: there is no such route (any more)."""
    compiled = next((one for one in table.routes if one.route.name == route), None)
    if compiled is None:
        raise KeyError(route)
    view = View(table.slots, facts)
    if all(holds(view) for holds in compiled.conditions):
        return _dispatch(compiled, facts, down)
    return None


def explain(table: RouteTable, facts: Facts, down: Down = NOBODY_DOWN) -> Verdict:
    """The same verdict, with the way that led to it: for each route, why it did not match."""
    verdict = match(table, facts, down)
    view = View(table.slots, facts)
    trail: list[Step] = []
    stopped: str | None = None
    for compiled in table.all_routes:
        name = compiled.route.name
        if compiled.route.disabled:
            trail.append(Step(route=name, matched=False, skipped="disabled"))
        elif stopped is not None:
            trail.append(Step(route=name, matched=False, skipped=f"{stopped} says stop"))
        else:
            failure: Failure | None = first_failure(compiled.checks, view)
            trail.append(Step(route=name, matched=failure is None, failure=failure))
            if failure is None and compiled.route.stop:
                stopped = name
    return Verdict(dispatches=verdict.dispatches, routes=verdict.routes, trail=tuple(trail))


def _dispatches(matched: list[CompiledRoute], facts: Facts, down: Down) -> tuple[Dispatch, ...]:
    if len(matched) == 1:
        return (_dispatch(matched[0], facts, down),)
    served: set[str] = set()
    dispatches: list[Dispatch] = []
    for compiled in matched:
        whole = _dispatch(compiled, facts, down)
        left = tuple(name for name in whole.destinations if name not in served)
        served.update(left)
        if left == whole.destinations:
            dispatches.append(whole)
        elif left or whole.failures:
            dispatches.append(replace(whole, destinations=left))
    return tuple(dispatches)


def _dispatch(compiled: CompiledRoute, facts: Facts, down: Down) -> Dispatch:
    """What a matching route sends, its groups asked."""
    if not compiled.targets:
        return compiled.dispatch
    names: dict[str, None] = {}
    choices: list[Choice] = []
    for target in compiled.targets:
        if isinstance(target, str):
            names[target] = None
            continue
        choice = target(facts, down)
        choices.append(choice)
        if choice.chosen is not None:
            names[choice.chosen] = None
    return replace(compiled.dispatch, destinations=tuple(names), choices=tuple(choices))
