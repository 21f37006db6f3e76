"""A8: one civil day is one window, in every zone there is."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.book_days import BookDays, calendar
from ledger.ids import window_id
from ledger.streams.account import SpendingLimits
from ledger.windows import windows

OWNER = UUID(int=1)
EACH = SpendingLimits(day_nanos=1, week_nanos=2, month_nanos=3)
FLIPPED = ["UTC", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"]
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


def days_in(zone: ZoneInfo) -> BookDays:
    return calendar([(FIRST, zone.key)])


def scopes(zone: ZoneInfo, moment: datetime) -> tuple[UUID, ...]:
    us = int(moment.timestamp()) * 1_000_000
    return tuple(window.scope for window in windows(OWNER, EACH, us, days_in(zone)))


def changes(zone: ZoneInfo) -> list[datetime]:
    """The days on which clocks are put forward or back."""
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [day for day, (one, next_) in zip(days, pairwise(offsets), strict=False) if one != next_]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Atlantic/Azores", "2026-10-25"),
        ("America/Havana", "2026-11-01"),
        ("America/Santiago", "2026-09-06"),  # its midnight does not happen
        ("Africa/Cairo", "2026-10-30"),
        ("Asia/Beirut", "2026-10-25"),
    ],
)
def test_a8_a_day_whose_midnight_happens_twice_or_never_is_one_window(zone: str, day: str) -> None:
    where = ZoneInfo(zone)
    around = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    found: dict[str, set[UUID]] = {}
    for minutes in range(0, 3 * 24 * 60, 15):
        moment = around + timedelta(minutes=minutes)
        found.setdefault(moment.astimezone(where).date().isoformat(), set()).add(
            scopes(where, moment)[0]
        )
    assert {date: len(each) for date, each in found.items()} == dict.fromkeys(found, 1)
    assert len(set.union(*found.values())) == len(found)


def test_a8_no_zone_has_two_windows_for_one_day_week_or_month() -> None:
    """Around every change of a clock from 2026 to 2030."""
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for change in changes(zone):
            days: dict[object, set[UUID]] = {}
            weeks: dict[object, set[UUID]] = {}
            months: dict[object, set[UUID]] = {}
            for minutes in range(-24 * 60, 48 * 60, 30):
                moment = change + timedelta(minutes=minutes)
                date = moment.astimezone(zone).date()
                day, week, month = scopes(zone, moment)
                days.setdefault(date, set()).add(day)
                weeks.setdefault(date.isocalendar()[:2], set()).add(week)
                months.setdefault((date.year, date.month), set()).add(month)
            for found in (days, weeks, months):
                assert all(len(each) == 1 for each in found.values()), (name, change)
                assert len(set.union(*found.values())) == len(found), (name, change)


def test_windows_begin_at_local_midnight_on_monday_and_on_the_first() -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    moment = datetime(2026, 12, 3, 1, 30, tzinfo=zone)  # a Thursday
    starts = [
        datetime(2026, 12, 3, tzinfo=zone),
        datetime(2026, 11, 30, tzinfo=zone),
        datetime(2026, 12, 1, tzinfo=zone),
    ]
    assert scopes(zone, moment) == tuple(
        window_id(OWNER, period, int(start.timestamp()) * 1_000_000)
        for period, start in zip(("day", "week", "month"), starts, strict=True)
    )
    assert windows(OWNER, SpendingLimits(), 0, BookDays()) == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 5 * 96 * 15), st.sampled_from(FLIPPED)), min_size=1, max_size=12
    )
)
def test_a8_no_change_of_the_zone_opens_a_window_twice(changes: list[tuple[int, str]]) -> None:
    """A day that was limited is limited to its end; the one after it begins once."""
    start = datetime(2026, 11, 28, tzinfo=UTC)
    told = [(start + timedelta(minutes=at), name) for at, name in sorted(changes)]
    found: dict[str, dict[object, set[UUID]]] = {"day": {}, "week": {}, "month": {}}
    for quarter in range(6 * 96):
        moment = start + timedelta(minutes=15 * quarter)
        # What a process knows then, or learns within the quarter of an hour.
        days = calendar(
            [(start - timedelta(days=9), "UTC"), *(one for one in told if one[0] <= moment)]
        )
        day = days.day_of(moment)
        of_window = windows(OWNER, EACH, int(moment.timestamp()) * 1_000_000, days)
        names = (day, day.isocalendar()[:2], (day.year, day.month))
        for period, name, window in zip(found, names, of_window, strict=True):
            found[period].setdefault(name, set()).add(window.scope)
    for period, each in found.items():
        assert all(len(scopes_) == 1 for scopes_ in each.values()), period
        assert len(set.union(*each.values())) == len(each), period
    assert len(found["day"]) <= 8
