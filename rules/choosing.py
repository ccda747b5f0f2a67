"""Which destination a group chooses for one object, and why. Pure: who is down is passed in.

A failover group takes its first member that is not out. A balanced one takes the member with the
highest score of a hash (rendezvous hashing): the same study, or patient, always goes to the same
member, in every process; and when a member comes or goes, only its own share moves.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rules.documents.problems import Mistake
from rules.durations import in_words
from rules.facts import Facts
from rules.send_to import MISSING_HOLDS, Balance, Failover, FromTable, Target
from rules.tables import Tables
from rules.tags import AttributePath, parse_path

Down: TypeAlias = Mapping[str, float]
"""The destinations that are down, and for how many seconds."""

NOBODY_DOWN: Down = {}

_KEYS: Mapping[str, tuple[AttributePath, ...]] = {
    "study": tuple(parse_path(name) for name in ("StudyInstanceUID", "SOPInstanceUID")),
    "patient": tuple(
        parse_path(name) for name in ("PatientID", "StudyInstanceUID", "SOPInstanceUID")
    ),
}
"""What an object is balanced by: the first of these that has a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a group decided: `why` in words without a value of the object.

    `chosen` is None where a table names nothing: then the object is held. `members` may take it
    over when the chosen one has been down for `after` seconds (None: it waits).
    """

    group: str
    chosen: str | None
    why: str
    members: tuple[str, ...] = ()
    after: float | None = None


Choose: TypeAlias = Callable[[Facts, Down], Choice]


def compile_target(target: Target, tables: Tables) -> str | Choose:
    """A destination's name, or what chooses one. Mistake for a table that cannot be used."""
    match target:
        case str():
            return target
        case Failover():
            return _failover(target)
        case Balance():
            return _balance(target)
        case FromTable():
            return _from_table(target, tables)


def destinations_in(target: FromTable, tables: Tables) -> tuple[str, ...]:
    """The destinations that a table names, each once. Mistake below `from_table`."""
    source = target.source
    try:
        names = tables.mapping(source.table, source.key, source.value).values()
    except Mistake as mistake:
        at = ("from_table", *(mistake.at or ("table",)))
        raise Mistake(str(mistake), at=at, suggestion=mistake.suggestion) from None
    return tuple(sorted({name for name in names if name}))


def _failover(group: Failover) -> Choose:
    words = f"failover [{', '.join(group.members)}]"

    def choose(facts: Facts, down: Down) -> Choice:
        out = _out(group.members, down, group.after)
        chosen = next((name for name in group.members if name not in out), group.members[0])
        if chosen in out:
            why = "all of them are down"
        else:
            before = group.members[: group.members.index(chosen)]
            why = _are_down(before, down) or "it is the first"
        return Choice(group=words, chosen=chosen, why=why, members=group.members, after=group.after)

    return choose


def _balance(group: Balance) -> Choose:
    words = f"balance [{', '.join(group.members)}]"
    weights = {name: group.weight(name) for name in group.members if group.weight(name)}

    def choose(facts: Facts, down: Down) -> Choice:
        key = _key(facts, group.by)
        out = () if group.after is None else _out(tuple(weights), down, group.after)
        there = [name for name in weights if name not in out] or list(weights)
        ranked = sorted(weights, key=lambda name: -score(name, weights[name], key))
        chosen = next(name for name in ranked if name in there)
        passed = ranked[: ranked.index(chosen)]
        why = f"by {group.by}" + (f"; {_are_down(passed, down)}" if passed else "")
        members = () if group.after is None else tuple(ranked)
        return Choice(group=words, chosen=chosen, why=why, members=members, after=group.after)

    return choose


def score(name: str, weight: float, key: str) -> float:
    """How strongly this member wants what has this key; the highest gets it.

    Of many keys each member wins a share in proportion to its weight.
    """
    digest = hashlib.blake2b(f"{len(name)}:{name}{key}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)  # in (0, 1)
    return -weight / math.log(chance)


def _from_table(target: FromTable, tables: Tables) -> Choose:
    destinations_in(target, tables)
    source = target.source
    rows = tables.mapping(source.table, source.key, source.value)
    words = f"from_table {source.table} by {source.tag}"
    otherwise = None if target.missing == MISSING_HOLDS else target.missing

    def choose(facts: Facts, down: Down) -> Choice:
        values = facts.attributes.values(source.tag) or ()
        if not any(values):
            return Choice(group=words, chosen=otherwise, why=f"the object has no {source.tag}")
        chosen = next((rows[value] for value in values if rows.get(value)), None)
        if chosen is None:
            why = f"the table has no row for its {source.tag}"
            return Choice(group=words, chosen=otherwise, why=why)
        return Choice(group=words, chosen=chosen, why="its row says so")

    return choose


def _key(facts: Facts, by: str) -> str:
    for path in _KEYS[by]:
        values = facts.attributes.values(path)
        if values and values[0]:
            return values[0]
    return ""


def _out(members: tuple[str, ...], down: Down, after: float) -> tuple[str, ...]:
    return tuple(name for name in members if down.get(name, -1.0) >= after)


def _are_down(names: tuple[str, ...] | list[str], down: Down) -> str:
    told = [f"{name} has been down for {in_words(int(down[name]))}" for name in names]
    return ", ".join(told)
