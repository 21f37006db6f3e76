"""The request log: one row per closed charge, written once, when it is settled or refunded.

What lists show, filter by and add up. Everything else of a call (how it began, usage by class,
price lines, attempts) is read from its own events, so it is not stored a second time; what is not
closed yet is in `open_charges`.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.pricing import output_tokens, prompt_tokens
from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from projections.contract import Key, Projection, Row, Table, members, one_by_one
from projections.reading import find_row, list_rows


class RequestRow(Row, frozen=True):
    """One request. status: settled or refunded; `ending` is the ending or the reason.

    position and closed_at are those of the closing event. charged_nanos is what the settlement
    took; adjusted_nanos is what adjustments added to it. cached_tokens are those of prompt_tokens
    that were read from a cache; tries is how many channels were asked.
    """

    charge_id: UUID
    status: str
    account_id: UUID
    key_id: UUID
    model: str
    group_name: str
    ending: str
    closed_at: datetime
    tries: int
    duration_ms: int
    position: int
    charged_nanos: int = 0
    shortfall_nanos: int = 0
    adjusted_nanos: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    channel_id: UUID | None = None
    upstream_model: str | None = None
    basis: str | None = None
    anomaly: str | None = None
    ttft_ms: int | None = None


def touches(event: Recorded) -> tuple[Key, ...]:
    """The charge itself."""
    return ((event.stream_id,),)


def apply(key: Key, row: RequestRow | None, event: Recorded) -> RequestRow | None:  # noqa: ARG001
    """Made by the closing event; adjustments add to it."""
    match event.event:
        case UsageSettled() as settled:
            return _settled(event, settled)
        case RefundIssued() as refund:
            return _refunded(event, refund)
        case ChargeAdjusted(delta_nanos=delta) if row is not None:
            return replace(row, adjusted_nanos=row.adjusted_nanos + delta)
        case _:
            return row


def _settled(event: Recorded, settled: UsageSettled) -> RequestRow:
    usage, terms = settled.usage, settled.terms
    return RequestRow(
        event.stream_id,
        "settled",
        settled.account_id,
        settled.key_id,
        terms.model,
        terms.group,
        settled.ending,
        event.recorded_at,
        len(settled.attempts),
        settled.duration_ms,
        event.position,
        settled.charged_nanos,
        settled.shortfall_nanos,
        0,
        prompt_tokens(usage),
        usage.cache_read,
        output_tokens(usage),
        settled.channel_id,
        settled.upstream_model,
        settled.basis,
        settled.anomaly,
        settled.ttft_ms,
    )


def _refunded(event: Recorded, refund: RefundIssued) -> RequestRow:
    terms = refund.terms
    return RequestRow(
        event.stream_id,
        "refunded",
        refund.account_id,
        refund.key_id,
        terms.model,
        terms.group,
        refund.reason,
        event.recorded_at,
        len(refund.attempts),
        refund.duration_ms,
        event.position,
    )


def is_closing(event: Recorded) -> bool:
    """A charge is closed once, which the database sees to: there is no row of it before."""
    return not isinstance(event.event, ChargeAdjusted)


TABLE = Table(
    name="request_log",
    row=RequestRow,
    key=("charge_id",),
    events=(UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    fold=one_by_one(apply),
    is_first=is_closing,
    indexes=(("account_id", "position"),),
)
PROJECTION = Projection(
    name="request_log",
    version=3,
    tables=(TABLE,),
    rows_are_of="stream",
    looks_at={
        UsageSettled: members(
            "account_id key_id terms ending attempts duration_ms charged_nanos shortfall_nanos"
            " usage channel_id upstream_model basis anomaly ttft_ms"
        ),
        RefundIssued: members("account_id key_id terms reason attempts duration_ms"),
    },
    uses_places=members("stream_id recorded_at"),
)

_NEWEST = 1 << 62


async def find_request(connection: AsyncConnection[Any], charge_id: UUID) -> RequestRow | None:
    """One closed request, with its account and key for whoever must decide who may see it."""
    return await find_row(connection, TABLE, RequestRow, (charge_id,))


async def list_requests(
    connection: AsyncConnection[Any], *, before: UUID | None, limit: int
) -> list[RequestRow]:
    """Closed requests, the newest first by their time-ordered ids, beginning before `before`."""
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
    """An account's closed requests, the last closed first, before the position `before`."""
    return await list_rows(
        connection,
        TABLE,
        RequestRow,
        "where account_id = %s and position < %s order by position desc limit %s",
        (account_id, before or _NEWEST, limit),
    )
