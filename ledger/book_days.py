"""The days of the books: from when to when each one lasts, in whatever time zone was in force.

`book.time_zone` is set at first start and may change while the log grows. A change counts from the
next quarter of an hour, where the days of every zone begin, and no day that has begun is opened a
second time: so the days part all of time, each event is in exactly one, and a day that is over
stays what it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from ledger.store.reader import Recorded, read_stream
from ledger.streams.setting import SettingChanged, setting_stream_id

TIME_ZONE_SETTING = "book.time_zone"

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(9998, 12, 30)

_QUARTER = timedelta(minutes=15)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)
_UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class BookDays:
    """The calendar. `zones`: each with the moment from which it counts, oldest first."""

    zones: tuple[tuple[datetime, ZoneInfo], ...] = ((_BEGINNING, _UTC_ZONE),)

    def start(self, day: date) -> datetime:
        """The moment at which a day begins, in UTC: the first at which that date was reached."""
        ends = [since for since, _ in self.zones[1:]] + [_END]
        for (since, zone), until in zip(self.zones, ends, strict=True):
            midnight = datetime.combine(day, time(), zone).astimezone(UTC)
            begins = max(since, _next_quarter(midnight))
            if begins < until:
                return begins
        raise AssertionError("the last zone counts for ever")

    def end(self, day: date) -> datetime:
        """The last microsecond of a day, in UTC: nothing of it is recorded later."""
        return self.start(day + timedelta(days=1)) - timedelta(microseconds=1)

    def day_of(self, moment: datetime) -> date:
        """The day that a moment belongs to."""
        # No zone is further than a day from UTC, so the day is one of three.
        day = moment.astimezone(UTC).date() + timedelta(days=1)
        while self.start(day) > moment:
            day -= timedelta(days=1)
        return day

    def zone_at(self, moment: datetime) -> str:
        """The name of the zone whose days count at a moment."""
        return self.zoneinfo_at(moment).key

    def zoneinfo_at(self, moment: datetime) -> ZoneInfo:
        """That zone itself."""
        return next(zone for since, zone in reversed(self.zones) if since <= moment)


def calendar(changes: Sequence[tuple[datetime, str]]) -> BookDays:
    """The days, given when which zone was set. A name that no zone has changes nothing.

    The first zone counts from the beginning: it is set before there is anything else.
    """
    zones: list[tuple[datetime, ZoneInfo]] = []
    for at, name in changes:
        zone = _zone(name)
        if zone is not None:
            zones.append((_next_quarter(at) if zones else _BEGINNING, zone))
    if not zones:
        return BookDays()
    kept = [one for one, after in pairwise(zones) if one[0] < after[0]]
    return BookDays((*kept, zones[-1]))


async def read_days(connection: AsyncConnection[Any]) -> BookDays:
    """The days of these books."""
    return days_of(await read_stream(connection, setting_stream_id(TIME_ZONE_SETTING)))


def days_of(changes: Iterable[Recorded]) -> BookDays:
    """The days, given the events of the setting, oldest first."""
    return calendar([(one.recorded_at, cast("SettingChanged", one.event).value) for one in changes])


def _next_quarter(moment: datetime) -> datetime:
    """The moment itself where a quarter of an hour begins, else the beginning of the next."""
    at = moment.astimezone(UTC)
    over = (at - _BEGINNING) % _QUARTER
    return at + (_QUARTER - over) if over else at


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return None
