"""What one word of a condition asks of one fact, as a closure; times are in times.

A closure takes the view of one object and answers yes or no; it raises nothing, whatever the
object holds.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, TypeAlias

from rules.documents.problems import Mistake
from rules.matching.kinds import (
    DATE,
    NETWORK,
    RECEIVED,
    TEXT,
    TIME,
    WHOLE_OR_DECIMAL,
    Key,
    Kind,
    address_of,
    kind_of_vr,
)
from rules.matching.names import Fact
from rules.matching.patterns import compile_pattern
from rules.matching.schema import Between, Condition
from rules.matching.times import age, received_between
from rules.matching.view import UNREAD, Slots, View
from rules.tables import Tables

Holds: TypeAlias = Callable[[View], bool]

ORDER = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A fact and the condition on it, while it is compiled."""

    slots: Slots
    fact: Fact
    condition: Condition
    tables: Tables


def matcher(asked: Asked, word: str, wanted: Any) -> Holds:
    """Whether the fact is as this word of the condition wants it; or Mistake."""
    holds = _matcher(asked, word, wanted)
    if word in COSTLY or asked.fact.kind in (NETWORK, None):
        name = (asked.fact.name, word, str(wanted), asked.condition.zone)
        return asked.slots.answer(name, holds)
    return holds


COSTLY = ("between", "older_than", "newer_than")
"""Words whose answer is kept for the next condition that asks the same of the object."""


def _matcher(asked: Asked, word: str, wanted: Any) -> Holds:
    slots, fact = asked.slots, asked.fact
    if word == "present":
        return _present(slots.raw(fact), wanted)
    if word == "empty":
        return _empty(slots.raw(fact), wanted)
    if word in ("value", "one_of"):
        return _equal(slots, fact, (wanted,) if word == "value" else wanted)
    if word == "in_file":
        return _in_file(asked, wanted)
    if word in SEARCHES:
        return _search(slots, fact, word, wanted)
    if word in ("older_than", "newer_than"):
        return age(slots, fact, word, wanted, asked.condition.zone)
    if word == "between":
        return _between(asked, wanted)
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
    if kind is RECEIVED:
        hint = "{between: {from: '19:00', to: '06:00', zone: Europe/Berlin}}"
        raise Mistake("when an object came is asked with between", suggestion=hint)
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
    vr = slots.slot(("vr", fact.name), lambda view: view.facts.attributes.vr(path))

    def holds(view: View) -> bool:
        if view.get(raw) is None:
            return False
        kind = kind_of_vr(view.get(vr))
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


def _in_file(asked: Asked, name: str) -> Holds:
    """One of the lines of a list. A line that cannot be a value is the list's problem."""
    fact, sound = asked.fact, []
    for entry in asked.tables.entries(name):
        try:
            _equal(asked.slots, fact, (entry.text,))
        except Mistake as mistake:
            if fact.kind is not None and not fact.kind.equals:
                raise
            asked.tables.complain(name, entry.line, str(mistake), key=fact.name)
        else:
            sound.append(entry.text)
    return _equal(asked.slots, fact, sound)


def _limit(slots: Slots, fact: Fact, word: str, text: str) -> Holds:
    kind = _ordered(fact, word, text)
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


def _between(asked: Asked, wanted: tuple[Between, ...]) -> Holds:
    """One value within both ends, which belong to it; of several stretches, within one of them."""
    if asked.fact.kind is RECEIVED:
        return received_between(wanted)
    ways = []
    for index, one in enumerate(wanted):
        try:
            ways.append(_within(asked, one))
        except Mistake as mistake:
            at = (index, *mistake.at) if len(wanted) > 1 else mistake.at
            raise Mistake(str(mistake), at=at, suggestion=mistake.suggestion) from None
    return ways[0] if len(ways) == 1 else lambda view: any(within(view) for within in ways)


def _within(asked: Asked, one: Between) -> Holds:
    fact = asked.fact
    if one.zone is not None or one.weekdays:
        at = ("weekdays",) if one.weekdays else ("zone",)
        raise Mistake("days and zones are asked of `received`: when the object came", at=at)
    if one.start is None or one.end is None:
        raise Mistake("both ends are needed", suggestion="{from: 1, to: 5}")
    kind = _ordered(fact, "between", one.start)
    low, high = _bound(kind, one.start, "from"), _bound(kind, one.end, "to")
    slot = asked.slots.ordered(fact, kind)
    if kind is TIME:
        return lambda view: any(_in_hours(key, low, high) for key in view.get(slot))
    if high < low:
        swapped = f"{{from: {one.end}, to: {one.start}}}"
        raise Mistake("the end is before the beginning", at=("to",), suggestion=swapped)
    return lambda view: any(low <= key <= high for key in view.get(slot))


def _in_hours(key: Key, low: Key, high: Key) -> bool:
    """From the one up to the other and without it; over midnight where the end comes first."""
    return bool(low <= key < high if low <= high else key >= low or key < high)


def _bound(kind: Kind, text: str, word: str) -> Key:
    try:
        return kind.bound(text)
    except Mistake as mistake:
        raise Mistake(str(mistake), at=(word,), suggestion=mistake.suggestion) from None


def _ordered(fact: Fact, word: str, text: str) -> Kind:
    """The kind that gives the order; where only the object knows it, what the text looks like."""
    kind = fact.kind
    if kind is None:
        kind = WHOLE_OR_DECIMAL if WHOLE_OR_DECIMAL.keys(text) else DATE
    if not kind.ordered:
        raise Mistake(f"{word} compares numbers, dates, times and ages; {fact.name} is {kind.name}")
    return kind


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

    return slots.answer(name, read)
