"""The request log: one row per closed charge, written once, when it is settled or refunded.

What lists show, filter by and add up. Everything else of a call (how it began, usage by class,
price lines, attempts) is read from its own events, so it is not stored a second time; what is not
closed yet is in `open_charges`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection, sql

from ledger.pricing import output_tokens, prompt_tokens
from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from projections.contract import Key, Projection, Row, Table, members, one_by_one
from projections.reading import list_rows, where_equal


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
    indexes=(("position",), ("account_id", "position"), ("key_id", "position")),
)
PROJECTION = Projection(
    name="request_log",
    version=4,
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

SCANNED_MAX = 50_000
"""Requests that are looked through for one page where what is asked for has no index."""

_POSITIONS = sql.SQL("select position from projections.request_log ")
_IN_RANGE = sql.SQL("where position > %s and position < %s ")
_NEWEST_FIRST = sql.SQL("order by position desc limit %s ")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """Which requests: all that are given must hold, and after < position < before."""

    account_id: UUID | None = None
    key_id: UUID | None = None
    model: str | None = None
    channel_id: UUID | None = None
    status: str | None = None
    ending: str | None = None
    after: int = 0
    before: int = (1 << 63) - 1


class RequestPage(NamedTuple):
    """Some requests, the last closed first, and the `before` of the next page; None at the end."""

    requests: list[RequestRow]
    next_before: int | None


async def list_requests(
    connection: AsyncConnection[Any], wanted: RequestFilter, limit: int
) -> RequestPage:
    """Closed requests, at most `limit`. A page may be empty and still have a next one."""
    indexed: dict[str, object] = {"account_id": wanted.account_id, "key_id": wanted.key_id}
    others: dict[str, object] = {
        "model": wanted.model,
        "channel_id": wanted.channel_id,
        "status": wanted.status,
        "ending": wanted.ending,
    }
    oldest = None
    if any(value is not None for value in others.values()):
        oldest = await _oldest_looked_at(connection, indexed, wanted)
    condition, values = where_equal(indexed | others)
    rows = await list_rows(
        connection,
        TABLE,
        RequestRow,
        _IN_RANGE + condition + _NEWEST_FIRST,
        (oldest - 1 if oldest else wanted.after, wanted.before, *values, limit),
    )
    return RequestPage(rows, rows[-1].position if len(rows) == limit else oldest)


async def _oldest_looked_at(
    connection: AsyncConnection[Any], indexed: Mapping[str, object], wanted: RequestFilter
) -> int | None:
    """The position of the last of SCANNED_MAX requests that the indexes alone give, if so many."""
    condition, values = where_equal(indexed)
    cursor = await connection.execute(
        _POSITIONS + _IN_RANGE + condition + _NEWEST_FIRST + sql.SQL("offset %s"),
        (wanted.after, wanted.before, *values, 1, SCANNED_MAX - 1),
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])
