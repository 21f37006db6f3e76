"""Usage by hour: requests, tokens and money per account, key, model, channel and group.

The hour is that of the closing event, in UTC. Adjustments count in the hour they were made in.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from ledger.usage import CLASSES, Usage
from projections.contract import Key, Projection, Row, Table
from projections.reading import list_rows

NO_CHANNEL = UUID(int=0)
"""Stands for the channel of calls that reached none, and of adjustments by early releases."""


class UsageRow(Row, frozen=True):
    """One hour of one combination; token counts by class as in `ledger.usage`."""

    hour: datetime
    account_id: UUID
    key_id: UUID
    model: str
    channel_id: UUID
    group_name: str
    requests: int = 0
    refunds: int = 0
    adjustments: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_in: int = 0
    image_in: int = 0
    output: int = 0
    reasoning: int = 0
    audio_out: int = 0
    image_out: int = 0
    calls: int = 0
    web_search: int = 0
    file_search: int = 0
    code_execution: int = 0
    charged_nanos: int = 0
    shortfall_nanos: int = 0


_KEY = ("hour", "account_id", "key_id", "model", "channel_id", "group_name")


def touches(event: Recorded) -> tuple[Key, ...]:
    """The one combination that the closing event, or the adjustment, belongs to."""
    closing = event.event
    match closing:
        case UsageSettled(channel_id=channel_id):
            pass
        case RefundIssued(attempts=attempts):
            channel_id = attempts[-1].channel_id if attempts else NO_CHANNEL
        case ChargeAdjusted(channel_id=answered, late=late):
            channel_id = answered or (late.channel_id if late else NO_CHANNEL)
        case _:
            return ()
    hour = event.recorded_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    terms = closing.terms
    key = (hour, closing.account_id, closing.key_id, terms.model, channel_id, terms.group)
    return (key,)


def apply(key: Key, row: UsageRow | None, event: Recorded) -> UsageRow:
    """Adds what the event says to the sums."""
    row = row or UsageRow(*key)  # type: ignore[arg-type]  # as `touches` made it
    match event.event:
        case UsageSettled() as settled:
            return replace(
                row,
                requests=row.requests + 1,
                charged_nanos=row.charged_nanos + settled.charged_nanos,
                shortfall_nanos=row.shortfall_nanos + settled.shortfall_nanos,
                **_with_usage(row, settled.usage),
            )
        case RefundIssued():
            return replace(row, refunds=row.refunds + 1)
        case ChargeAdjusted(delta_nanos=delta, usage=usage, reason=reason):
            # Late usage was counted nowhere yet; other adjustments are about money alone.
            late = _with_usage(row, usage) if usage and reason == "late_usage" else {}
            return replace(
                row,
                adjustments=row.adjustments + 1,
                charged_nanos=row.charged_nanos + delta,
                **late,
            )
        case _:
            return row


def _with_usage(row: UsageRow, usage: Usage) -> dict[str, int]:
    return {name: getattr(row, name) + count for name in CLASSES if (count := getattr(usage, name))}


TABLE = Table(
    name="usage_hourly",
    row=UsageRow,
    key=_KEY,
    events=(UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    apply=apply,
    indexes=(("account_id", "hour"),),
)
PROJECTION = Projection(
    name="usage_hourly",
    version=2,
    tables=(TABLE,),
    rows_are_of="account",
)


async def list_usage_of_account(
    connection: AsyncConnection[Any], account_id: UUID, *, since: datetime, until: datetime
) -> list[UsageRow]:
    """All combinations of an account in the hours since <= hour < until, by hour."""
    return await list_rows(
        connection,
        TABLE,
        UsageRow,
        "where account_id = %s and hour >= %s and hour < %s "
        "order by hour, key_id, model, channel_id, group_name",
        (account_id, since, until),
    )
