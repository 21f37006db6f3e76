"""Which windows a call has: those with a cap, from the first instant of the day, week and month."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from ledger.book_days import calendar
from ledger.ids import window_id
from ledger.streams.account import SpendingLimits
from ledger.streams.charge.events import Window
from ledger.windows import windows

OWNER = UUID(int=1)
ZONE = ZoneInfo("America/New_York")
DAYS = calendar([(datetime(2026, 1, 1, tzinfo=ZONE), ZONE.key)])
MOMENT = datetime(2026, 3, 18, 21, 34, 56, 789_012, tzinfo=ZONE)  # a Wednesday


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def of(limits: SpendingLimits, moment: datetime = MOMENT) -> tuple[Window, ...]:
    return windows(OWNER, limits, us(moment), DAYS)


def starting(period: str, day: int, cap_nanos: int) -> Window:
    start = datetime(2026, 3, day, tzinfo=ZONE)
    return Window(window_id(OWNER, period, us(start)), cap_nanos)


def test_each_window_begins_at_its_first_local_midnight() -> None:
    limits = SpendingLimits(day_nanos=1, week_nanos=2, month_nanos=3)
    assert of(limits) == (
        starting("day", 18, 1),
        starting("week", 16, 2),
        starting("month", 1, 3),
    )


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (SpendingLimits(), ()),
        (SpendingLimits(overdraft_nanos=5), ()),
        (SpendingLimits(day_nanos=0), (starting("day", 18, 0),)),
        (SpendingLimits(week_nanos=7), (starting("week", 16, 7),)),
        (SpendingLimits(month_nanos=8), (starting("month", 1, 8),)),
        (
            SpendingLimits(day_nanos=6, month_nanos=8),
            (starting("day", 18, 6), starting("month", 1, 8)),
        ),
    ],
)
def test_what_has_no_cap_has_no_window(
    limits: SpendingLimits, expected: tuple[Window, ...]
) -> None:
    assert of(limits) == expected


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (
            datetime(2026, 3, 18, tzinfo=ZONE),
            datetime(2026, 3, 18, 23, 59, 59, 999_999, tzinfo=ZONE),
        ),
        (datetime(2026, 3, 8, tzinfo=ZONE), datetime(2026, 3, 8, 23, 59, 59, tzinfo=ZONE)),
        (datetime(2026, 11, 1, tzinfo=ZONE), datetime(2026, 11, 1, 23, 59, 59, tzinfo=ZONE)),
    ],
)
def test_a_day_is_one_window_from_its_first_instant_to_its_last(
    first: datetime, last: datetime
) -> None:
    limits = SpendingLimits(day_nanos=1)
    assert of(limits, first) == of(limits, last)
    before = datetime.fromtimestamp(first.timestamp() - 1, UTC)
    assert of(limits, before) != of(limits, first)


def test_a8_a_day_whose_midnight_happens_twice_begins_with_the_first() -> None:
    """Its window has one name for ever: another release would open it a second time."""
    zone = ZoneInfo("Atlantic/Azores")
    first = datetime(2026, 10, 25, tzinfo=zone)
    days = calendar([(first, zone.key)])
    assert first.replace(fold=1).timestamp() - first.timestamp() == 3_600
    expected = (Window(window_id(OWNER, "day", us(first)), 1),)
    for hours in (0, 1, 12, 24):
        moment = int(first.timestamp() + 3_600 * hours) * 1_000_000
        assert windows(OWNER, SpendingLimits(day_nanos=1), moment, days) == expected
