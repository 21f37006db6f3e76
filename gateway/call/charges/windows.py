"""Which spending windows a call falls into: days, weeks and months as budget scopes. Pure."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from ledger.ids import window_id
from ledger.streams.account import SpendingLimits
from ledger.streams.charge.events import Window


def windows(
    owner: UUID, limits: SpendingLimits, admitted_at_us: int, zone: ZoneInfo
) -> tuple[Window, ...]:
    """The windows with a cap that hold the moment of admission; they start at local midnight."""
    caps = {"day": limits.day_nanos, "week": limits.week_nanos, "month": limits.month_nanos}
    if not any(cap is not None for cap in caps.values()):
        return ()
    moment = datetime.fromtimestamp(admitted_at_us / 1_000_000, UTC).astimezone(zone)
    # Where midnight happens twice a day begins with the first, or it would be two windows.
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    starts = {
        "day": midnight,
        "week": midnight - timedelta(days=midnight.weekday()),
        "month": midnight.replace(day=1),
    }
    return tuple(
        Window(window_id(owner, period, int(starts[period].timestamp()) * 1_000_000), cap)
        for period, cap in caps.items()
        if cap is not None
    )
