"""Conditions on times: when the object came, and how long before that a date lies.

The clock is what comes with the object: the moment it was received (`Facts.received`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from rules.documents.problems import Mistake
from rules.matching.kinds import DATE, MOMENT_KIND, moment_of
from rules.matching.names import Fact
from rules.matching.schema import Between
from rules.matching.spans import Span, parse_span
from rules.matching.view import Slots, View
from rules.windows import Windows, window


def received_between(wanted: tuple[Between, ...]) -> Callable[[View], bool]:
    """Whether one of the windows was open when the object came."""
    every = []
    for index, one in enumerate(wanted):
        at = (index,) if len(wanted) > 1 else ()
        if one.zone is None:
            message = "clocks and days need a time zone"
            raise Mistake(message, at=at, suggestion="zone: Europe/Berlin")
        try:
            every.append(window(one.start, one.end, one.zone, one.weekdays))
        except Mistake as mistake:
            where = (*at, *mistake.at)
            raise Mistake(str(mistake), at=where, suggestion=mistake.suggestion) from None
    windows = Windows(tuple(every))

    def holds(view: View) -> bool:
        received = view.facts.received
        return received is not None and windows.is_open(int(received.timestamp() * 1000))

    return holds


def age(slots: Slots, fact: Fact, word: str, text: str, zone: str | None) -> Callable[[View], bool]:
    """Whether a date lies this long before the clock, or longer (`older_than`); or not so long
    (`newer_than`)."""
    kind = fact.kind or DATE
    span = parse_span(text)
    there = ZoneInfo(zone) if zone else UTC
    older = word == "older_than"
    if kind is DATE:
        if not span.is_of_days:
            raise Mistake(f"{fact.name} is a date without a time: count in days", suggestion="1d")
        return _days(slots, fact, span, there, older)
    if kind is MOMENT_KIND:
        return _moments(slots, fact, span, there, older)
    raise Mistake(f"{word} is asked of dates; {fact.name} is {kind.name or 'none'}")


def _days(
    slots: Slots, fact: Fact, span: Span, zone: tzinfo, older: bool
) -> Callable[[View], bool]:
    slot = slots.ordered(fact, DATE)

    def holds(view: View) -> bool:
        received = view.facts.received
        if received is None:
            return False
        limit = span.before(received.astimezone(zone)).date().isoformat()
        return any((key <= limit) is older for key in view.get(slot))

    return holds


def _moments(
    slots: Slots, fact: Fact, span: Span, zone: tzinfo, older: bool
) -> Callable[[View], bool]:
    slot = slots.raw(fact)

    def holds(view: View) -> bool:
        received = view.facts.received
        if received is None:
            return False
        limit = span.before(received.astimezone(zone))
        found = [moment_of(value) for value in view.get(slot) or ()]
        return any(_is_before(one, limit) is older for one in found if one is not None)

    return holds


def _is_before(moment: datetime, limit: datetime) -> bool:
    """A moment without an offset is by the clocks of the limit's zone."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=limit.tzinfo)) <= limit
