"""One object's way through the rules, told: each route, and each of its conditions with what was
wanted and what was found. It repeats values of the object: for whoever asked, and for no log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rules.choosing import NOBODY_DOWN, Down
from rules.conditions import Check
from rules.edits import EditFailed, apply_edits
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.facts import Facts
from rules.matching.names import GROUP
from rules.matching.view import View
from rules.routes import RouteTable, match
from rules.uids import name_of
from rules.verdict import Failure, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionTold:
    """One condition of a route. `below`: of `any`, why each alternative does not hold."""

    key: str
    wanted: str
    found: str
    holds: bool
    below: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTold:
    """One route. `skipped` says why it was not looked at; its conditions are told all the same.
    `waits_for`: study or series; conditions on that count as true until it is there."""

    route: str
    file: str
    line: int
    matched: bool
    skipped: str | None
    waits_for: str | None
    conditions: tuple[ConditionTold, ...]

    @property
    def failing(self) -> tuple[ConditionTold, ...]:
        return tuple(one for one in self.conditions if not one.holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The verdict, the routes in order, and why edits or groups hold it, by route."""

    verdict: Verdict
    routes: tuple[RouteTold, ...]
    held: tuple[tuple[str, str], ...]


def explained(
    table: RouteTable, facts: Facts, data_set: EncodedDataSet, down: Down = NOBODY_DOWN
) -> Explanation:
    """Decide, try the edits, and tell. What else belongs to the object's study is not known: as
    when it came. MalformedDataSet where the header makes no sense."""
    verdict = match(table, facts, down, arriving=True)
    view = View(table.slots, facts)
    told: list[RouteTold] = []
    stopped: str | None = None
    for compiled in table.all_routes:
        route = compiled.route
        waits = route.wait_for.level if route.wait_for is not None else None
        conditions = tuple(_told(check, view, waits) for check in compiled.checks)
        skipped = "disabled" if route.disabled else stopped
        matched = skipped is None and all(one.holds for one in conditions)
        told.append(
            RouteTold(
                route=route.name,
                file=compiled.file,
                line=compiled.line,
                matched=matched,
                skipped=skipped,
                waits_for=waits,
                conditions=conditions,
            )
        )
        if matched and route.stop:
            stopped = f"{route.name} says stop"
    return Explanation(verdict=verdict, routes=tuple(told), held=_held(verdict, data_set))


def why_not(table: RouteTable, facts: Facts, destination: str) -> list[str]:
    """Of each route that reaches the destination and does not match: its first condition that
    fails, in a line. For tests: what was given, the author knows."""
    view = View(table.slots, facts)
    lines: list[str] = []
    for compiled in table.routes:
        failing = [
            one for one in (_told(check, view) for check in compiled.checks) if not one.holds
        ]
        if failing and destination in compiled.reaches:
            one = failing[0]
            words = f"{one.key}: wanted {one.wanted}, found {one.found}"
            lines.append(f"{compiled.route.name} does not match: {words}")
    return lines


def nearest(routes: Sequence[RouteTold], most: int) -> list[RouteTold]:
    """Of many routes those that matched, and then those of whose conditions the fewest fail; in
    the order of the rules."""
    ranked = sorted(
        range(len(routes)),
        key=lambda index: (
            not routes[index].matched,
            routes[index].skipped is not None,
            len(routes[index].failing),
            -len(routes[index].conditions),
            index,
        ),
    )
    return [routes[index] for index in sorted(ranked[:most])]


def _told(check: Check, view: View, waits: str | None = None) -> ConditionTold:
    if waits is not None and check.key in GROUP and view.facts.group is None:
        found = f"not known until the {waits} is there"
        return ConditionTold(key=check.key, wanted=check.wanted, found=found, holds=True)
    holds = check.holds(view)
    failure = check.fails(view)
    found = failure.found
    if check.key in ("any", "not") and holds:
        found = "it holds"
    elif check.key in ("sop_class", "transfer_syntax"):
        found = name_of(found)
    return ConditionTold(
        key=check.key,
        wanted=check.wanted,
        found=found,
        holds=holds,
        below=() if holds else failure.below,
    )


def _held(verdict: Verdict, data_set: EncodedDataSet) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for dispatch in verdict.dispatches:
        found += [(dispatch.route, choice.why) for choice in dispatch.failures]
        try:
            if dispatch.edits_key:
                apply_edits(dispatch.edits, data_set, record=None, profile=dispatch.profile)
        except (EditFailed, MalformedDataSet) as error:
            found.append((dispatch.route, str(error)))
    return tuple(found)
