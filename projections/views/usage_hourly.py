"""Usage by hour: requests, tokens and money per account, key, model, channel and group.

The hour is that of the closing event, in UTC. Adjustments count in the hour they were made in.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from ledger.usage import Usage, summed
from projections.contract import Key, Projection, Row, Table, beginning, members
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
    hour = beginning(event.recorded_at, 60)
    terms = closing.terms
    key = (hour, closing.account_id, closing.key_id, terms.model, channel_id, terms.group)
    return (key,)


def fold(key: Key, row: UsageRow | None, events: Sequence[Recorded]) -> UsageRow:
    """Adds what the events say to the sums."""
    row = row or UsageRow(*key)  # type: ignore[arg-type]  # as `touches` made it
    requests, refunds, adjustments = row.requests, row.refunds, row.adjustments
    charged, shortfall = row.charged_nanos, row.shortfall_nanos
    used: list[Usage] = []
    for event in events:
        match event.event:
            case UsageSettled() as settled:
                requests += 1
                charged += settled.charged_nanos
                shortfall += settled.shortfall_nanos
                used.append(settled.usage)
            case RefundIssued():
                refunds += 1
            case ChargeAdjusted(delta_nanos=delta, usage=usage, reason=reason):
                adjustments += 1
                charged += delta
                # Late usage was counted nowhere yet; other adjustments are about money alone.
                if usage is not None and reason == "late_usage":
                    used.append(usage)
            case _:
                pass
    return replace(
        row,
        requests=requests,
        refunds=refunds,
        adjustments=adjustments,
        charged_nanos=charged,
        shortfall_nanos=shortfall,
        **{kind: getattr(row, kind) + count for kind, count in summed(used).items()},
    )


TABLE = Table(
    name="usage_hourly",
    row=UsageRow,
    key=_KEY,
    events=(UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    fold=fold,
    indexes=(("account_id", "hour"),),
)
PROJECTION = Projection(
    name="usage_hourly",
    version=2,
    tables=(TABLE,),
    rows_are_of="account",
    looks_at={
        UsageSettled: members(
            "account_id key_id terms channel_id charged_nanos shortfall_nanos usage"
        ),
        RefundIssued: members("account_id key_id terms attempts"),
    },
    uses_places=members("recorded_at"),
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
