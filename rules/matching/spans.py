"""Spans of time as conditions write them: 30 days, 6 months, 12 hours; by the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from rules.documents.problems import Mistake

SPAN = re.compile(r"(\d{1,6})\s*([a-z]+)", re.IGNORECASE)
UNITS = {
    **dict.fromkeys(("min", "minute", "minutes"), "minutes"),
    **dict.fromkeys(("h", "hour", "hours"), "hours"),
    **dict.fromkeys(("d", "day", "days"), "days"),
    **dict.fromkeys(("w", "week", "weeks"), "weeks"),
    **dict.fromkeys(("mo", "month", "months"), "months"),
    **dict.fromkeys(("y", "year", "years"), "years"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time; `months` by the calendar, `exact` the rest."""

    months: int
    exact: timedelta

    @property
    def is_of_days(self) -> bool:
        return not self.exact % timedelta(days=1)

    def before(self, moment: datetime) -> datetime:
        """The moment that lies this span before another; the last day of a shorter month."""
        months = moment.year * 12 + moment.month - 1 - self.months
        year, month = months // 12, months % 12 + 1
        try:
            there = moment.replace(year=year, month=month, day=1)
            last = (there + timedelta(days=32)).replace(day=1) - timedelta(days=1)
            return there.replace(day=min(moment.day, last.day)) - self.exact
        except (ValueError, OverflowError):
            return datetime.min.replace(tzinfo=moment.tzinfo)


def parse_span(text: str) -> Span:
    """`30d`, `6 months`, `2y`, `12h`; Mistake for what is none."""
    found = SPAN.fullmatch(text.strip())
    unit = UNITS.get(found[2].casefold()) if found else None
    if found is None or unit is None:
        hint = ": minutes are min, months are mo" if found and found[2].casefold() == "m" else ""
        raise Mistake(f"{text!r} is not a span of time, such as 30d, 12h or 2y{hint}")
    count = int(found[1])
    if unit in ("months", "years"):
        return Span(count * (12 if unit == "years" else 1), timedelta())
    return Span(0, timedelta(**{unit: count}))
