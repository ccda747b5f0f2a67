"""Two versions of the rules beside each other: what was written differently, and what becomes of
an object differently. Nothing here repeats a value of an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rules.documents.reading import DocumentError, parse_document
from rules.verdict import Dispatch, Verdict

RouteChange: TypeAlias = Literal["added", "removed", "changed", "moved"]
VerdictChange: TypeAlias = Literal["unrouted", "routed", "destinations", "edits", "priority"]
"""No longer routed; routed now; other destinations; the same ones after other edits (or edits
noted in the object or not); the same with another priority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenChange:
    """What became of one route; `keys` are those in which it differs."""

    route: str
    kind: RouteChange
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        keys = f" ({', '.join(self.keys)})" if self.keys else ""
        return f"{self.kind}: {self.route}{keys}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one object's verdict would be in place of another: destinations and routes by name."""

    kind: VerdictChange
    detail: str


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[WrittenChange]:
    """What differs in the routes of these texts (by file name), in the order of the new ones."""
    before, after = dict(_routes(old)), dict(_routes(new))
    common = [name for name in before if name in after]
    order = [name for name in after if name in before]
    found: list[WrittenChange] = []
    for name, route in after.items():
        if name not in before:
            found.append(WrittenChange(route=name, kind="added"))
        elif route != before[name]:
            every = dict.fromkeys([*before[name], *route])
            keys = [key for key in every if before[name].get(key) != route.get(key)]
            found.append(WrittenChange(route=name, kind="changed", keys=tuple(keys)))
        elif common.index(name) != order.index(name):
            found.append(WrittenChange(route=name, kind="moved"))
    gone = [name for name in before if name not in after]
    return found + [WrittenChange(route=name, kind="removed") for name in gone]


def _routes(texts: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for file in sorted(texts):
        try:
            data = parse_document(texts[file], file).data
        except DocumentError:  # written by another release, under other rules of writing
            continue
        routes = data.get("routes") if isinstance(data, dict) else None
        for route in routes if isinstance(routes, list) else ():
            if isinstance(route, dict) and isinstance(name := route.get("name"), str):
                yield name, route


def difference(old: Verdict, new: Verdict) -> Difference | None:
    """What is different for the object; None where the same goes to the same places."""
    if old.unrouted != new.unrouted:
        kind: VerdictChange = "unrouted" if new.unrouted else "routed"
        return Difference(kind=kind, detail=f"{_places(old)} -> {_places(new)}")
    before, after = _sent(old), _sent(new)
    if before.keys() != after.keys():
        return Difference(kind="destinations", detail=f"{_places(old)} -> {_places(new)}")
    edited = [name for name in after if _key(before[name]) != _key(after[name])]
    if edited:
        return Difference(kind="edits", detail=f"at {_by_route(edited, before, after)}")
    other = [name for name in after if before[name].priority != after[name].priority]
    if other:
        levels = [f"{one} {before[one].priority} -> {after[one].priority}" for one in other]
        return Difference(kind="priority", detail=", ".join(levels))
    return None


def _sent(verdict: Verdict) -> dict[str, Dispatch]:
    return {name: one for one in verdict.dispatches for name in one.destinations}


def _key(dispatch: Dispatch) -> tuple[str, bool]:
    return dispatch.edits_key, dispatch.record and bool(dispatch.edits_key)


def _by_route(
    names: list[str], before: Mapping[str, Dispatch], after: Mapping[str, Dispatch]
) -> str:
    return ", ".join(f"{one} ({before[one].route} -> {after[one].route})" for one in names)


def _places(verdict: Verdict) -> str:
    if verdict.unrouted:
        return "no route"
    return ", ".join(sorted(_sent(verdict))) or "nowhere"
