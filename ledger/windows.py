"""Which spending windows a call falls into: days, weeks and months as budget scopes. Pure."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from uuid import UUID

from ledger.book_days import BookDays
from ledger.ids import window_id
from ledger.streams.account import SpendingLimits
from ledger.streams.charge.events import Window

Period = Literal["day", "week", "month"]

_QUARTER_US = 15 * 60 * 1_000_000
"""Where the books' days begin: what holds a moment holds its quarter of an hour."""


class Span(NamedTuple):
    """A window's time; `ends_at`: the first moment that is not its, in the books' time zone."""

    period: Period
    starts_at: datetime
    ends_at: datetime


def windows(
    owner: UUID, limits: SpendingLimits, admitted_at_us: int, days: BookDays
) -> tuple[Window, ...]:
    """The windows with a cap that hold the moment of admission; they start with a day of the books,
    so that no change of their time zone opens one anew that has begun.
    """
    caps = {"day": limits.day_nanos, "week": limits.week_nanos, "month": limits.month_nanos}
    if not any(cap is not None for cap in caps.values()):
        return ()
    return tuple(
        Window(_scope(owner, span), cap)
        for span in _spans(days, admitted_at_us // _QUARTER_US)
        if (cap := caps[span.period]) is not None
    )


def span_of(scope: UUID, owner: UUID, admitted_at_us: int, days: BookDays) -> Span | None:
    """The time of one of the windows that hold a moment; None: the scope is none of them."""
    spans = _spans(days, admitted_at_us // _QUARTER_US)
    return next((span for span in spans if _scope(owner, span) == scope), None)


@lru_cache(maxsize=16)
def _spans(days: BookDays, quarter: int) -> tuple[Span, ...]:
    moment = datetime.fromtimestamp(quarter * _QUARTER_US // 1_000_000, UTC)
    day = days.day_of(moment)
    monday, first = day - timedelta(days=day.weekday()), day.replace(day=1)
    zone = days.zoneinfo_at(moment)
    next_first = (first + timedelta(days=31)).replace(day=1)

    def span(period: Period, start: date, end: date) -> Span:
        return Span(period, days.start(start), days.start(end).astimezone(zone))

    return (
        span("day", day, day + timedelta(days=1)),
        span("week", monday, monday + timedelta(days=7)),
        span("month", first, next_first),
    )


def _scope(owner: UUID, span: Span) -> UUID:
    return window_id(owner, span.period, int(span.starts_at.timestamp()) * 1_000_000)
