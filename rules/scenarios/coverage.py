"""What the users' tests have seen of the rules: which routes matched, which conditions ever held
and ever failed. A condition that never failed in a test may as well not be there."""

from __future__ import annotations

from dataclasses import dataclass

from rules.facts import Facts
from rules.matching.view import View
from rules.routes import CompiledRoute, RouteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionCoverage:
    """One condition of a route: whether a test saw it hold, and fail."""

    key: str
    wanted: str
    held: bool
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCoverage:
    """One route: how many tests it matched in, and how many looked at it and it did not."""

    route: str
    file: str
    line: int
    matched: int
    passed_by: int
    conditions: tuple[ConditionCoverage, ...]

    @property
    def whole(self) -> bool:
        """Matched, and every condition seen both ways."""
        return bool(self.matched) and all(one.held and one.failed for one in self.conditions)


class Coverage:
    """Gathers, test by test."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table
        self._matched = dict.fromkeys((one.route.name for one in table.routes), 0)
        self._passed_by = dict(self._matched)
        self._held: set[tuple[str, int]] = set()
        self._failed: set[tuple[str, int]] = set()

    def see(self, facts: Facts, matched: tuple[str, ...]) -> None:
        """One test's object, and the routes that matched it. Conditions are asked of every route,
        whatever stopped before it."""
        view = View(self._table.slots, facts)
        for compiled in self._table.routes:
            name = compiled.route.name
            counts = self._matched if name in matched else self._passed_by
            counts[name] += 1
            for index, check in enumerate(compiled.checks):
                (self._held if check.holds(view) else self._failed).add((name, index))

    @property
    def matched(self) -> frozenset[str]:
        """The routes that matched in a test."""
        return frozenset(name for name, count in self._matched.items() if count)

    def routes(self) -> list[RouteCoverage]:
        """Every route in force, in order."""
        return [self._route(compiled) for compiled in self._table.routes]

    def _route(self, compiled: CompiledRoute) -> RouteCoverage:
        name = compiled.route.name
        return RouteCoverage(
            route=name,
            file=compiled.file,
            line=compiled.line,
            matched=self._matched[name],
            passed_by=self._passed_by[name],
            conditions=tuple(
                ConditionCoverage(
                    key=check.key,
                    wanted=check.wanted,
                    held=(name, index) in self._held,
                    failed=(name, index) in self._failed,
                )
                for index, check in enumerate(compiled.checks)
            ),
        )
