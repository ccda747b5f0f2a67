"""What is allowed in rules and yet not meant: findings with their place, their kind and a fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rules.lint import contradictions, routes
from rules.lint.edits import of_edits
from rules.lint.findings import Finding, Level, SiteNames, mistake
from rules.lint.values import of_values
from rules.lint.wanted import wanted
from rules.routes import CompiledRoute, RouteTable

__all__ = ["KINDS", "Finding", "Level", "SiteNames", "in_order", "lint", "mistake"]

KINDS = {
    "mistake": "The rules cannot be used: structure, names, values that do not fit.",
    "unreachable": "An earlier route takes all of its objects and says stop.",
    "served-before": "A destination gets all of the route's objects from an earlier route already.",
    "alike-names": "Two names that a reader takes for one.",
    "contradiction": "Conditions that cannot hold together.",
    "impossible-value": "A value that the attribute's type cannot have.",
    "enumerated-value": "A value that is not among those the standard allows.",
    "defined-term": "A value that is none of the standard's terms: misspelt, or a device's own.",
    "matches-everything": "A search that is true of every object.",
    "matches-nothing": "A regular expression that is true of none.",
    "wildcard": "A star where it is no wildcard, or a regular expression where it is none.",
    "blank": "Blanks at an end, where they cannot be.",
    "repeated-value": "The same twice in a list.",
    "unknown-source": "A listener or an AE title that the site does not have.",
    "unused-destination": "A destination of the site to which no route sends.",
    "same-identity": "An edit that gives all objects the same UID.",
    "undone-edit": "An edit whose result a later one throws away.",
    "useless-edit": "An edit that changes nothing.",
    "pseudonym-undone": "A pseudonym in an object that says what it stands for.",
    "may-hold": "An edit that holds objects which lack an attribute.",
    "no-assertion": "A test that cannot fail.",
    "unknown-destination": "A test that expects a destination to which no route sends.",
    "untested": "A route that no test reaches.",
}

_BESIDE: tuple[Callable[[Sequence[CompiledRoute]], Iterator[Finding]], ...] = (
    routes.unreachable,
    routes.served_before,
    routes.alike_names,
    routes.sent_twice,
)


def lint(table: RouteTable, *, site: SiteNames | None = None) -> list[Finding]:
    """All findings about rules that loaded, in the order of the files."""
    every = table.all_routes
    found = [finding for check in _BESIDE for finding in check(every)]
    for route in every:
        conditions = wanted(route)
        for each in conditions:
            found += of_values(route, each)
            found += contradictions.of_one(route, each)
        found += contradictions.of_all(route, conditions)
        found += of_edits(route)
    if site is not None:
        found += routes.site_names(every, site)
        found += routes.unused(every, sorted(site.needed))
    return in_order(found)


def in_order(found: Sequence[Finding]) -> list[Finding]:
    """By place; of two that are alike, one."""
    unique = {(one.file, one.line, one.column, one.kind, one.message): one for one in found}
    return sorted(unique.values(), key=lambda one: (one.file, one.line, one.column))
