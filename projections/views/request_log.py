"""The request log: one row per charge, from its first hold to its last adjustment.

What lists show, filter by and add up. Everything else of a call (usage by class, price lines,
attempts, terms) is read from its own events, so it is not stored a second time.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.pricing import output_tokens, prompt_tokens
from ledger.store.reader import Recorded
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from projections.contract import (
    Key,
    Projection,
    Row,
    Table,
    members,
    one_by_one,
    starts_its_stream,
)
from projections.reading import find_row, list_rows


class RequestRow(Row, frozen=True):
    """One request. status: open, settled or refunded; `ending` is the ending or the reason.

    position and last_position are those of its first and its last event. charged_nanos is what the
    settlement took; adjusted_nanos is what adjustments added to it. cached_tokens are those of
    prompt_tokens that were read from a cache; tries is how many channels were asked.
    """

    charge_id: UUID
    status: str
    account_id: UUID
    key_id: UUID
    model: str
    group_name: str
    dialect: str
    is_streaming: bool
    hold_nanos: int
    reserved_at: datetime
    position: int
    last_position: int
    charged_nanos: int = 0
    shortfall_nanos: int = 0
    adjusted_nanos: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    tries: int = 0
    upstream_model: str | None = None
    channel_id: UUID | None = None
    basis: str | None = None
    ending: str | None = None
    anomaly: str | None = None
    ttft_ms: int | None = None
    duration_ms: int | None = None
    closed_at: datetime | None = None


def touches(event: Recorded) -> tuple[Key, ...]:
    """The charge itself."""
    return ((event.stream_id,),)


def apply(key: Key, row: RequestRow | None, event: Recorded) -> RequestRow | None:  # noqa: ARG001
    """Every event of a charge adds what it says."""
    match event.event:
        case QuotaReserved() as reserved if row is None:
            return _opened(event, reserved)
        case _ if row is None:
            return None  # no lawful log has it; fsck names the event
        case QuotaReserved(hold_nanos=hold):
            return replace(row, hold_nanos=row.hold_nanos + hold, last_position=event.position)
        case UsageSettled() as settled:
            return _settled(row, event, settled)
        case RefundIssued() as refund:
            return _refunded(row, event, refund)
        case ChargeAdjusted(delta_nanos=delta):
            adjusted_nanos = row.adjusted_nanos + delta
            return replace(row, adjusted_nanos=adjusted_nanos, last_position=event.position)
        case _:
            return row


def _opened(event: Recorded, reserved: QuotaReserved) -> RequestRow:
    return RequestRow(
        event.stream_id,
        "open",
        reserved.account_id,
        reserved.key_id,
        reserved.terms.model,
        reserved.terms.group,
        reserved.dialect,
        reserved.streaming,
        reserved.hold_nanos,
        event.recorded_at,
        event.position,
        event.position,
    )


def _settled(row: RequestRow, event: Recorded, settled: UsageSettled) -> RequestRow:
    usage = settled.usage
    return replace(
        row,
        status="settled",
        last_position=event.position,
        charged_nanos=settled.charged_nanos,
        shortfall_nanos=settled.shortfall_nanos,
        prompt_tokens=prompt_tokens(usage),
        cached_tokens=usage.cache_read,
        output_tokens=output_tokens(usage),
        tries=len(settled.attempts),
        upstream_model=settled.upstream_model,
        channel_id=settled.channel_id,
        basis=settled.basis,
        ending=settled.ending,
        anomaly=settled.anomaly,
        ttft_ms=settled.ttft_ms,
        duration_ms=settled.duration_ms,
        closed_at=event.recorded_at,
    )


def _refunded(row: RequestRow, event: Recorded, refund: RefundIssued) -> RequestRow:
    return replace(
        row,
        status="refunded",
        last_position=event.position,
        tries=len(refund.attempts),
        ending=refund.reason,
        duration_ms=refund.duration_ms,
        closed_at=event.recorded_at,
    )


TABLE = Table(
    name="request_log",
    row=RequestRow,
    key=("charge_id",),
    events=(QuotaReserved, UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    fold=one_by_one(apply),
    is_first=starts_its_stream,
    indexes=(("account_id", "position"),),
)
PROJECTION = Projection(
    name="request_log",
    version=3,
    tables=(TABLE,),
    rows_are_of="stream",
    looks_at={
        QuotaReserved: members("account_id key_id terms dialect streaming hold_nanos"),
        UsageSettled: members(
            "charged_nanos shortfall_nanos usage attempts upstream_model channel_id basis ending"
            " anomaly ttft_ms duration_ms"
        ),
        RefundIssued: members("attempts reason duration_ms"),
    },
)

_NEWEST = 1 << 62


async def find_request(connection: AsyncConnection[Any], charge_id: UUID) -> RequestRow | None:
    """One request, with its account and key for whoever must decide who may see it."""
    return await find_row(connection, TABLE, RequestRow, (charge_id,))


async def list_requests(
    connection: AsyncConnection[Any], *, before: UUID | None, limit: int
) -> list[RequestRow]:
    """All requests, the newest first by their time-ordered ids, beginning before `before`."""
    return await list_rows(
        connection,
        TABLE,
        RequestRow,
        "where charge_id < coalesce(%s, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) "
        "order by charge_id desc limit %s",
        (before, limit),
    )


async def list_requests_of_account(
    connection: AsyncConnection[Any], account_id: UUID, *, before: int | None, limit: int
) -> list[RequestRow]:
    """An account's requests, the newest first, beginning before the position `before`."""
    return await list_rows(
        connection,
        TABLE,
        RequestRow,
        "where account_id = %s and position < %s order by position desc limit %s",
        (account_id, before or _NEWEST, limit),
    )
