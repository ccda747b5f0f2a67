"""Conditions as closures: one for each word, made once and asked for every object.

A closure takes the view of one object and answers yes or no; it raises nothing, whatever the
object holds. What does not fit (a limit for a text, a misspelt keyword) is a Mistake on loading.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from rules.conditions_schema import Condition, When
from rules.kinds import DATE, NETWORK, TEXT, WHOLE_OR_DECIMAL, Key, Kind, address_of, kind_of_vr
from rules.names import Fact, parse_fact
from rules.patterns import compile_pattern
from rules.problems import Mistake, Step
from rules.tables import Tables
from rules.verdict import Failure
from rules.view import UNREAD, Slots, View

Holds = Callable[[View], bool]

ORDER = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One compiled condition; `fails` tells, of a view where it does not hold, why."""

    key: str
    wanted: str
    holds: Holds
    fails: Callable[[View], Failure]


@dataclass(slots=True)
class Compiler:
    """Compiles the conditions of one table; mistakes are gathered with their paths."""

    slots: Slots
    mistakes: list[Mistake]
    tables: Tables

    def when(self, when: When | None, at: tuple[Step, ...] = ()) -> tuple[Check, ...]:
        """One check for each condition: facts first, as they are cheap, then the groups."""
        if when is None:
            return ()
        checks: list[Check] = []
        for name, condition in when.facts.items():
            checks += self._fact(name, condition, (*at, name))
        if when.all is not None:
            for index, below in enumerate(when.all):
                checks += self.when(below, (*at, "all", index))
        if when.any is not None:
            ways = [self.when(below, (*at, "any", i)) for i, below in enumerate(when.any)]
            checks.append(_any(ways))
        if when.not_ is not None:
            checks.append(_not(self.when(when.not_, (*at, "not"))))
        return tuple(checks)

    def _fact(self, name: str, condition: Condition, at: tuple[Step, ...]) -> list[Check]:
        try:
            fact = parse_fact(name)
        except Mistake as mistake:
            self.mistakes.append(Mistake(str(mistake), at=at, suggestion=mistake.suggestion))
            return []
        checks: list[Check] = []
        for word in condition.words:
            wanted = getattr(condition, word)
            try:
                holds = _holds(self.slots, fact, word, wanted)
            except Mistake as mistake:
                where = (*at, word, *mistake.at)
                hint = mistake.suggestion
                self.mistakes.append(Mistake(str(mistake), at=where, suggestion=hint))
            else:
                checks.append(_check(self.slots, fact, word, wanted, holds))
        return checks


def all_hold(checks: Sequence[Check], view: View) -> bool:
    for check in checks:  # noqa: SIM110 - a generator costs more than the checks
        if not check.holds(view):
            return False
    return True


def first_failure(checks: Sequence[Check], view: View) -> Failure | None:
    """The first check that does not hold, explained; None when all hold."""
    return next((check.fails(view) for check in checks if not check.holds(view)), None)


def _holds(slots: Slots, fact: Fact, word: str, wanted: Any) -> Holds:
    if word == "present":
        return _present(slots.raw(fact), wanted)
    if word == "empty":
        return _empty(slots.raw(fact), wanted)
    if word in ("value", "one_of"):
        return _equal(slots, fact, (wanted,) if word == "value" else wanted)
    if word in SEARCHES:
        return _search(slots, fact, word, wanted)
    return _limit(slots, fact, word, wanted)


def _present(raw: int, wanted: bool) -> Holds:
    return lambda view: (view.get(raw) is not None) is wanted


def _empty(raw: int, wanted: bool) -> Holds:
    def holds(view: View) -> bool:
        values = view.get(raw)
        return values is not None and (not any(values)) is wanted

    return holds


def _equal(slots: Slots, fact: Fact, texts: Sequence[str]) -> Holds:
    kind = fact.kind
    if kind is None:
        return _equal_by_object(slots, fact, texts)
    if not kind.equals:
        raise Mistake(f"{fact.name} holds no text: only present and empty can be asked of it")
    if kind is NETWORK:
        return _in_networks(slots, fact, texts)
    slot = slots.keys(fact, kind)
    keys = [_wanted(kind, texts, index) for index in range(len(texts))]
    if len(keys) == 1:
        return _has(slot, keys[0])
    return _shares(slot, frozenset(keys))


def _wanted(kind: Kind, texts: Sequence[str], index: int) -> Key:
    try:
        return kind.wanted(texts[index])
    except Mistake as mistake:
        at = (index,) if len(texts) > 1 else ()
        raise Mistake(str(mistake), at=at, suggestion=mistake.suggestion) from None


def _has(slot: int, key: Key) -> Holds:
    def holds(view: View) -> bool:
        keys = view[slot]
        if keys is UNREAD:
            keys = view.read(slot)
        return key in keys

    return holds


def _shares(slot: int, wanted: frozenset[Key]) -> Holds:
    def holds(view: View) -> bool:
        keys = view[slot]
        if keys is UNREAD:
            keys = view.read(slot)
        return not wanted.isdisjoint(keys)

    return holds


def _equal_by_object(slots: Slots, fact: Fact, texts: Sequence[str]) -> Holds:
    """A private attribute, or one that the dictionary lacks: only the object knows its VR."""
    path, raw = fact.path, slots.raw(fact)
    assert path is not None
    known: dict[str, Holds] = {}

    def compiled(kind: Kind) -> Holds:
        keys = []
        for text in texts:
            try:
                keys.append(kind.wanted(text))
            except Mistake:
                continue  # this text is no value of the kind, so no value equals it
        return _shares(slots_of[kind.name], frozenset(keys))

    kinds = {kind.name: kind for kind in map(kind_of_vr, VRS_WITH_TEXT)} | {TEXT.name: TEXT}
    slots_of = {name: slots.keys(fact, kind) for name, kind in kinds.items()}

    def holds(view: View) -> bool:
        if view.get(raw) is None:
            return False
        kind = kind_of_vr(view.facts.attributes.vr(path))
        kind = kind if kind.equals else TEXT
        if kind.name not in known:
            known[kind.name] = compiled(kind)
        return known[kind.name](view)

    return holds


VRS_WITH_TEXT = ("PN", "DS", "FL", "DA", "TM", "DT", "AS", "UI", "LT")


def _in_networks(slots: Slots, fact: Fact, texts: Sequence[str]) -> Holds:
    networks = []
    for index, text in enumerate(texts):
        at = (index,) if len(texts) > 1 else ()
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            raise Mistake(f"{text!r} is not an address or a network", at=at) from None
        if "/" in text and str(network.network_address) != text.split("/")[0].casefold():
            raise Mistake(f"{text} has bits set after the prefix", at=at, suggestion=str(network))
        networks.append(network)
    raw = slots.raw(fact)

    def holds(view: View) -> bool:
        address = address_of(view.get(raw)[0])
        return address is not None and any(address in network for network in networks)

    return holds


def _limit(slots: Slots, fact: Fact, word: str, text: str) -> Holds:
    kind = fact.kind or _kind_of_limit(text)
    if not kind.ordered:
        raise Mistake(f"{word} compares numbers, dates, times and ages; {fact.name} is {kind.name}")
    bound = kind.bound(text)
    slot = slots.ordered(fact, kind)
    compare = ORDER[word]

    def holds(view: View) -> bool:
        keys = view[slot]
        if keys is UNREAD:
            keys = view.read(slot)
        for key in keys:  # noqa: SIM110
            if compare(key, bound):
                return True
        return False

    return holds


def _kind_of_limit(text: str) -> Kind:
    return WHOLE_OR_DECIMAL if WHOLE_OR_DECIMAL.keys(text) else DATE


def _search(slots: Slots, fact: Fact, word: str, text: str) -> Holds:
    kind = fact.kind or TEXT
    if not kind.searchable:
        raise Mistake(f"{word} searches text; {fact.name} is {kind.name or 'not'}")
    slot = slots.raw(fact) if word == "matches" else slots.folded(fact)
    return _any_value(slots, slot, (word, fact.name, text), SEARCHES[word](text))


def _contains(text: str) -> Callable[[str], object]:
    needle = text.casefold()
    return lambda value: needle in value


def _starts_with(text: str) -> Callable[[str], object]:
    needle = text.casefold()
    return lambda value: value.startswith(needle)


def _ends_with(text: str) -> Callable[[str], object]:
    needle = text.casefold()
    return lambda value: value.endswith(needle)


def _wildcards(text: str) -> Callable[[str], object]:
    """`*` is any text, `?` one character; all else is itself."""
    needle = text.casefold()
    middle = needle.strip("*")
    if "?" not in middle and "*" not in middle:
        if needle == f"{middle}*":
            return lambda value: value.startswith(middle)
        if needle == f"*{middle}":
            return lambda value: value.endswith(middle)
    form = "".join(WILD.get(char) or re.escape(char) for char in needle)
    return compile_pattern(f"^(?s:{form})$").search


WILD = {"*": ".*", "?": "."}
SEARCHES: dict[str, Callable[[str], Callable[[str], object]]] = {
    "like": _wildcards,
    "matches": lambda text: compile_pattern(text).search,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
}


def _any_value(slots: Slots, slot: int, name: Hashable, fits: Callable[[str], object]) -> Holds:
    """Searching costs more than remembering, so the answer has a slot, too."""

    def read(view: View) -> bool:
        values = view[slot]
        if values is UNREAD:
            values = view.read(slot)
        for value in values or ():  # noqa: SIM110 - as above
            if fits(value):
                return True
        return False

    answer = slots.slot(name, read)

    def holds(view: View) -> bool:
        known = view[answer]
        return bool(view.read(answer) if known is UNREAD else known)

    return holds


def _any(ways: Sequence[Sequence[Check]]) -> Check:
    def holds(view: View) -> bool:
        for way in ways:  # noqa: SIM110
            if all_hold(way, view):
                return True
        return False

    def fails(view: View) -> Failure:
        below = tuple(f for way in ways if (f := first_failure(way, view)) is not None)
        return Failure(key="any", wanted=wanted, found="none of them holds", below=below)

    wanted = f"one of {len(ways)} alternatives"
    return Check(key="any", wanted=wanted, holds=holds, fails=fails)


def _not(checks: Sequence[Check]) -> Check:
    words = " and ".join(f"{check.key} {check.wanted}" for check in checks)
    failure = Failure(key="not", wanted=f"not ({words})", found="it holds")
    return Check(
        key="not",
        wanted=f"not ({words})",
        holds=lambda view: not all_hold(checks, view),
        fails=lambda view: failure,
    )


def _check(slots: Slots, fact: Fact, word: str, wanted: Any, holds: Holds) -> Check:
    raw = slots.raw(fact)
    failure = Failure(key=fact.name, wanted=f"{word} {shown(wanted)}", found="")
    return Check(
        key=fact.name,
        wanted=failure.wanted,
        holds=holds,
        fails=lambda view: replace(failure, found=found(view.get(raw))),
    )


def shown(wanted: object) -> str:
    """What a rule wants, as it is written there."""
    if isinstance(wanted, bool):
        return "true" if wanted else "false"
    if isinstance(wanted, tuple):
        return f"[{', '.join(map(str, wanted))}]"
    return str(wanted)


def found(values: Sequence[str] | None) -> str:
    """What the object has, for the eyes of whoever asked."""
    if values is None:
        return "absent"
    return "\\".join(values) if any(values) else "empty"
