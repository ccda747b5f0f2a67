"""Windows of time: midnight, weekdays, and the two nights on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.documents.problems import Mistake
from rules.windows import DAYS, Windows, window, windows

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    """A moment there, in milliseconds since the epoch."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp() * 1000)


def night(*days: str) -> Windows:
    return windows([window("19:00", "06:00", BERLIN, days)])


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-11-20T18:59:59", False),
        ("2026-11-20T19:00", True),
        ("2026-11-21T00:00", True),
        ("2026-11-21T05:59:59", True),
        ("2026-11-21T06:00", False),
    ],
)
def test_a_window_goes_past_midnight(now: str, is_open: bool) -> None:
    assert night().is_open(at(now)) is is_open


def test_its_days_are_those_on_which_it_opens() -> None:
    weekdays = night("mon-fri")
    assert weekdays.is_open(at("2026-11-21T03:00"))  # Saturday morning, of Friday's window
    assert not weekdays.is_open(at("2026-11-21T20:00"))
    assert weekdays.opens(at("2026-11-21T07:00")) == at("2026-11-23T19:00")
    assert weekdays.closes(at("2026-11-20T23:00")) == at("2026-11-21T06:00")
    assert weekdays.closes(at("2026-11-21T12:00")) is None


def test_the_zone_counts_and_not_the_hosts() -> None:
    morning = windows([window("08:00", "09:00", "America/New_York")])
    assert morning.is_open(at("2026-07-01T14:30"))
    assert not morning.is_open(at("2026-07-01T08:30"))


def test_clocks_put_forward() -> None:
    """On 2026-03-29 at 02:00 it is 03:00."""
    opening = windows([window("02:30", "05:00", BERLIN)])
    assert opening.opens(at("2026-03-29T01:00")) == at("2026-03-29T03:00")
    closing = windows([window("01:00", "02:30", BERLIN)])
    assert closing.closes(at("2026-03-29T01:30")) == at("2026-03-29T03:00")


def test_clocks_put_back() -> None:
    """On 2026-10-25 at 03:00 it is 02:00 once more."""
    opening = windows([window("02:30", "05:00", BERLIN)])
    assert opening.opens(at("2026-10-25T01:00")) == at("2026-10-25T02:30", fold=0)
    closing = windows([window("01:00", "02:30", BERLIN)])
    assert closing.closes(at("2026-10-25T01:30")) == at("2026-10-25T02:30", fold=1)


def test_several_windows_are_one() -> None:
    both = windows(
        [window("19:00", "06:00", BERLIN, ["mon-fri"]), window(None, None, BERLIN, ["sat"])]
    )
    assert both.closes(at("2026-11-20T23:00")) == at("2026-11-22T00:00")
    assert both.opens(at("2026-11-22T01:00")) == at("2026-11-23T19:00")


def test_what_is_always_open_never_closes() -> None:
    always = windows([window("00:00", "12:00", "UTC"), window("12:00", None, "UTC")])
    assert always.closes(at("2026-11-20T23:00")) is None
    assert always.is_open(at("2026-11-20T12:00", "UTC"))


def test_the_time_it_was_open() -> None:
    hours = night("fri").open_ms(at("2026-11-16T00:00"), at("2026-11-30T00:00")) / 3_600_000
    assert hours == 22
    assert night().open_ms(at("2026-11-20T20:00"), at("2026-11-20T21:00")) == 3_600_000
    assert night().open_ms(at("2026-11-20T21:00"), at("2026-11-20T20:00")) == 0


minutes = st.integers(0, 24 * 60 - 1)
zones = st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
moments = st.integers(at("2025-01-01T00:00"), at("2027-12-31T00:00"))


@given(opens=minutes, closes=minutes, zone=zones, now=moments, days=st.sets(st.sampled_from(DAYS)))
def test_the_wall_clock_says_whether_it_is_open(
    opens: int, closes: int, zone: str, now: int, days: set[str]
) -> None:
    if opens == closes:
        return
    text = [f"{m // 60:02d}:{m % 60:02d}" for m in (opens, closes)]
    made = windows([window(text[0], text[1], zone, sorted(days))])
    assert Windows.parse(made.text) == made
    local = datetime.fromtimestamp(now / 1000, ZoneInfo(zone))
    around = [local.astimezone(UTC) + timedelta(hours=hours) for hours in (-30, 30)]
    if len({moment.astimezone(local.tzinfo).utcoffset() for moment in around}) > 1:
        return  # the nights on which clocks change have tests of their own
    minute = local.hour * 60 + local.minute
    today = not days or DAYS[local.weekday()] in days
    yesterday = not days or DAYS[local.weekday() - 1] in days
    if opens < closes:
        expected = today and opens <= minute < closes
    else:
        expected = (today and minute >= opens) or (yesterday and minute < closes)
    assert made.is_open(now) is expected
    assert made.is_open(made.opens(now))


@pytest.mark.parametrize(
    ("given", "where", "says"),
    [
        (("7", "8:00", "UTC", ()), "from", "write 19:00"),
        (("24:30", "08:00", "UTC", ()), "from", "not a time of day"),
        (("24:00", "08:00", "UTC", ()), "from", "write 00:00"),
        (("07:00", "07:00", "UTC", ()), "to", "the same time"),
        (("07:00", "08:00", "Berlin", ()), "zone", "no time zone 'Berlin'"),
        (("07:00", "08:00", "UTC", ("mo",)), "weekdays", "not a day"),
        (("07:00", "08:00", "UTC", ("mon-tue-wed",)), "weekdays", "not a day"),
    ],
)
def test_what_is_no_window(given: tuple[str, str, str, tuple[str, ...]], where: str, says: str):
    with pytest.raises(Mistake, match=says) as caught:
        window(*given)
    assert caught.value.at == (where,)


def test_a_city_alone_is_understood_as_a_hint() -> None:
    with pytest.raises(Mistake) as caught:
        window(None, "08:00", "new york")
    assert caught.value.suggestion == "America/New_York"


def test_days_in_words_and_ranges() -> None:
    assert window(None, None, "UTC", ["sat-mon"]).days == (0, 5, 6)
    assert window(None, None, "UTC", ["Friday", "tue"]).days == (1, 4)


def test_too_many_windows_to_keep_with_a_delivery() -> None:
    many = [window(f"{hour:02d}:00", f"{hour:02d}:30", BERLIN, ["mon"]) for hour in range(12)]
    with pytest.raises(Mistake, match="too many windows"):
        windows(many)


@pytest.mark.parametrize("now", [-(10**16), 10**16], ids=["before all calendars", "after them"])
def test_a_clock_that_is_wrong_by_ages_breaks_nothing(now: int) -> None:
    weekly = night("mon")
    assert weekly.is_open(now) in (True, False)
    assert weekly.opens(now) != weekly.closes(now)
    assert weekly.open_ms(now, now + 1000) >= 0
