"""Windows of time: from when to when, in which zone, on which days. The moment is passed in.

A window that ends before it begins goes past midnight; its days are those on which it opens. In
the night when clocks are put forward, a time that does not exist is the moment of the jump; when
they are put back, a time that comes twice opens at its first and closes at its second coming.
Moments are milliseconds since the epoch (UTC).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from rules.documents.problems import Mistake, suggest

WHOLE_DAYS: Final = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
DAYS: Final = tuple(day[:3] for day in WHOLE_DAYS)
DAY_MINUTES: Final = 24 * 60
LONGEST_TEXT: Final = 255
"""Characters of `Windows.text`: a column of the ledger holds it."""

_TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_AHEAD = timedelta(days=9)
"""Within so many days every window has opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Minutes of the day from midnight, the zone's name, and the days (0: Monday)."""

    opens: int
    closes: int
    zone: str
    days: tuple[int, ...]

    @property
    def text(self) -> str:
        """`19:00-06:00 Europe/Berlin mon,tue`; without days where it opens on all of them."""
        days = "" if len(self.days) == 7 else " " + ",".join(DAYS[day] for day in self.days)
        return f"{_clock(self.opens)}-{_clock(self.closes)} {self.zone}{days}"

    def stretches(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """When it is open, of all days that may touch `first` to `last`."""
        zone = _zone(self.zone)
        past_midnight = self.closes <= self.opens
        day = datetime.fromtimestamp(first / 1000, zone).date() - timedelta(days=2)
        end = datetime.fromtimestamp(last / 1000, zone).date() + timedelta(days=1)
        while day <= end:
            if day.weekday() in self.days:
                closing = day + timedelta(days=1) if past_midnight else day
                yield (
                    _moment(day, self.opens, zone, fold=0),
                    _moment(closing, self.closes, zone, fold=1),
                )
            day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Windows:
    """Several windows: open while one of them is."""

    windows: tuple[Window, ...]

    @property
    def text(self) -> str:
        """All of it in one line, which `parse` reads."""
        return "; ".join(window.text for window in self.windows)

    @staticmethod
    def parse(text: str) -> Windows:
        """What `text` wrote."""
        return _parse(text)

    def is_open(self, now: int) -> bool:
        moment = _within(now)
        return self.opens(moment) == moment

    def opens(self, now: int) -> int:
        """`now` while it is open, else when it opens next."""
        now = _within(now)
        for start, end in self._stretches(now, now + _ms(_AHEAD)):
            if end > now:
                return max(start, now)
        raise AssertionError("a window opens every week")

    def closes(self, now: int) -> int | None:
        """When the stretch that is open now ends; None while closed, or if it is always open."""
        now = _within(now)
        for start, end in self._stretches(now, now + _ms(_AHEAD)):
            if start <= now < end:
                return end if end < now + _ms(_AHEAD) - _ms(timedelta(days=1)) else None
        return None

    def open_ms(self, start: int, end: int) -> int:
        """For how long it was open between two moments."""
        start, end = _within(start), _within(end)
        stretches = self._stretches(start, end) if start < end else ()
        return sum(max(0, min(stop, end) - max(begin, start)) for begin, stop in stretches)

    def _stretches(self, first: int, last: int) -> list[tuple[int, int]]:
        """Those of all windows in order, joined where they touch."""
        each = sorted(one for window in self.windows for one in window.stretches(first, last))
        joined: list[tuple[int, int]] = []
        for start, end in each:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            elif start < end:
                joined.append((start, end))
        return joined


def window(opens: str | None, closes: str | None, zone: str, days: Sequence[str] = ()) -> Window:
    """A window as a user writes it; Mistake with what is wrong, `at` the key it is under."""
    start, end = parse_clock(opens or "00:00", "from"), parse_clock(closes or "24:00", "to")
    if start == end:
        raise Mistake(
            "`from` and `to` are the same time; leave both out for whole days", at=("to",)
        )
    if start == DAY_MINUTES:
        raise Mistake("a day ends with 24:00: write 00:00", at=("from",))
    _check_zone(zone)
    numbers = sorted({day for word in days for day in _days(word)}) or range(7)
    return Window(opens=start, closes=end, zone=zone, days=tuple(numbers))


def windows(given: Sequence[Window]) -> Windows:
    """Several as one; Mistake when there are too many to be kept with every delivery."""
    made = Windows(tuple(given))
    if len(made.text) > LONGEST_TEXT:
        raise Mistake(f"too many windows: {len(made.text)} characters, at most {LONGEST_TEXT}")
    return made


def parse_clock(text: str, key: str) -> int:
    """Minutes since midnight of `19:00`; `24:00` is the end of the day."""
    found = _TIME.fullmatch(text.strip())
    if found is None or (minutes := int(found[1]) * 60 + int(found[2])) > DAY_MINUTES:
        raise Mistake(f"{text!r} is not a time of day: write 19:00", at=(key,))
    return minutes


def _days(word: str) -> tuple[int, ...]:
    """`fri` or `mon-fri`; also past the end of the week, `sat-mon`."""
    ends = [_day(part) for part in word.split("-")]
    if len(ends) > 2:
        raise Mistake(f"{word!r} is not a day: write mon, or mon-fri", at=("weekdays",))
    first, last = ends[0], ends[-1]
    return tuple((first + step) % 7 for step in range((last - first) % 7 + 1))


def _day(word: str) -> int:
    name = word.strip().lower()
    for number, day in enumerate(WHOLE_DAYS):
        if name in (day, day[:3]):
            return number
    message = f"{word!r} is not a day: {', '.join(DAYS)}"
    near = suggest(name, (*WHOLE_DAYS, *DAYS))
    raise Mistake(message, at=("weekdays",), suggestion=near)


def _check_zone(name: str) -> None:
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {zone: zone for zone in available_timezones()}
        message = f"there is no time zone {name!r}: write a name such as Europe/Berlin or UTC"
        raise Mistake(message, at=("zone",), suggestion=_zone_meant(name, known)) from None


def _zone_meant(name: str, known: Mapping[str, str]) -> str | None:
    last = name.rpartition("/")[2].casefold().replace(" ", "_")
    cities = [zone for zone in sorted(known) if zone.rpartition("/")[2].casefold() == last]
    return cities[0] if cities else suggest(name, known)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=256)
def _parse(text: str) -> Windows:
    found = []
    for part in text.split("; "):
        clock, zone, *days = part.split(" ")
        opens, closes = clock.split("-")
        found.append(window(opens, closes, zone, days[0].split(",") if days else ()))
    return Windows(tuple(found))


def _moment(day: date, minutes: int, zone: ZoneInfo, *, fold: int) -> int:
    """When it is so many minutes past midnight there."""
    naive = datetime.combine(day, time.min) + timedelta(minutes=minutes)
    local = naive.replace(tzinfo=zone, fold=fold)
    utc = local.astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) == naive:
        return int(utc.timestamp() * 1000)
    return _jump(naive, zone)


def _jump(naive: datetime, zone: ZoneInfo) -> int:
    """The moment at which the clocks pass over this time: the first with the later offset."""
    ends = sorted(int(naive.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    before, after = ends
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after * 1000


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _within(now: int) -> int:
    """A moment in the years that a calendar can be asked of; no object's clock is right outside."""
    return min(max(now, _EARLIEST), _LATEST)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


_EARLIEST: Final = int(datetime(2, 1, 1, tzinfo=UTC).timestamp()) * 1000
_LATEST: Final = int(datetime(9998, 1, 1, tzinfo=UTC).timestamp()) * 1000
