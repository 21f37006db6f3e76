"""The days of the books, in zones and across changes of zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.book_days import BookDays, calendar

QUARTER = timedelta(minutes=15)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/Riga",
    "America/New_York",
    "America/Havana",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
]


def test_without_a_setting_days_are_those_of_utc() -> None:
    days = BookDays()
    assert days.start(date(2026, 3, 1)) == datetime(2026, 3, 1, tzinfo=UTC)
    assert days.day_of(datetime(2026, 3, 1, 23, 59, 59, 999_999, UTC)) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("Asia/Kolkata", date(2026, 3, 1), datetime(2026, 2, 28, 18, 30, tzinfo=UTC), 24),
        ("Europe/Riga", date(2026, 3, 29), datetime(2026, 3, 28, 22, tzinfo=UTC), 23),
        ("Europe/Riga", date(2026, 10, 25), datetime(2026, 10, 24, 21, tzinfo=UTC), 25),
        # Clocks go from 23:59 to 01:00: the day begins at one o'clock.
        ("America/Havana", date(2026, 3, 8), datetime(2026, 3, 8, 5, tzinfo=UTC), 23),
        # Midnight comes twice: the day begins with the first.
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC), 25),
    ],
)
def test_days_are_as_long_as_the_zone_has_them(
    zone: str, day: date, start: datetime, hours: int
) -> None:
    days = calendar([(datetime(2025, 1, 1, tzinfo=UTC), zone)])
    assert days.start(day) == start
    assert days.start(day + timedelta(days=1)) - start == timedelta(hours=hours)


def test_a_change_counts_from_the_next_quarter_of_an_hour() -> None:
    changed = datetime(2026, 5, 5, 18, 31, tzinfo=UTC)
    days = calendar([(BEGIN, "UTC"), (changed, "Asia/Kolkata")])  # where it is the 6th already
    assert days.day_of(changed + timedelta(minutes=13)) == date(2026, 5, 5)
    assert days.start(date(2026, 5, 6)) == datetime(2026, 5, 5, 18, 45, tzinfo=UTC)
    assert days.start(date(2026, 5, 7)) == datetime(2026, 5, 6, 18, 30, tzinfo=UTC)


def test_a_day_that_has_begun_is_not_opened_again() -> None:
    to_the_west = datetime(2026, 5, 5, 20, 0, tzinfo=UTC)
    days = calendar([(BEGIN, "Asia/Kolkata"), (to_the_west, "America/New_York")])
    assert days.start(date(2026, 5, 6)) == datetime(2026, 5, 5, 18, 30, tzinfo=UTC)
    assert days.day_of(to_the_west) == date(2026, 5, 6)  # though it is the 5th in New York
    assert days.start(date(2026, 5, 7)) == datetime(2026, 5, 7, 4, 0, tzinfo=UTC)


def test_a_name_that_no_zone_has_changes_nothing() -> None:
    assert calendar([(BEGIN, "Mars/Phobos"), (BEGIN, "../etc/passwd"), (BEGIN, "")]) == BookDays()


def test_of_two_changes_in_one_quarter_the_last_counts() -> None:
    days = calendar([(BEGIN, "Asia/Kolkata"), (BEGIN, "Europe/Riga")])
    assert [zone for _, zone in days.zones] == [ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Riga")]


@given(
    changes=st.lists(st.tuples(st.integers(0, 40 * 96 * 15), st.sampled_from(ZONES)), max_size=5),
    minutes=st.lists(st.integers(0, 45 * 96 * 15), min_size=1, max_size=20),
)
def test_days_part_all_of_time(changes: list[tuple[int, str]], minutes: list[int]) -> None:
    days = calendar([(BEGIN + timedelta(minutes=at), zone) for at, zone in sorted(changes)])
    first = date(2025, 12, 28)
    starts = [days.start(first + timedelta(days=number)) for number in range(60)]
    assert starts == sorted(starts)
    assert all((start - BEGIN) % QUARTER == timedelta() for start in starts)
    before = first
    for minute in sorted(minutes):
        moment = BEGIN + timedelta(minutes=minute)
        day = days.day_of(moment)
        assert days.start(day) <= moment < days.start(day + timedelta(days=1))
        assert day >= before
        before = day
