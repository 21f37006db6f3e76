"""The request log: one row per charge, from its first hold to its last adjustment."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from projections.contract import Json, Key, Projection, Row, Table, document, starts_its_stream
from projections.reading import find_row, list_rows


class RequestRow(Row, frozen=True):
    """One request. status: open, settled or refunded; `ending` is the ending or the reason.

    position is that of its first event, positions are those of all. charged_nanos is what the
    settlement took; adjusted_nanos is what adjustments added to it.
    """

    charge_id: UUID
    status: str
    account_id: UUID
    key_id: UUID
    model: str
    group_name: str
    price_version: int
    multiplier_numerator: int
    multiplier_denominator: int
    dialect: str
    is_streaming: bool
    input_tokens_estimated: int
    output_tokens_max: int
    hold_nanos: int
    node: str
    reserved_at: datetime
    position: int
    positions: tuple[int, ...]
    charged_nanos: int = 0
    shortfall_nanos: int = 0
    adjusted_nanos: int = 0
    upstream_model: str | None = None
    channel_id: UUID | None = None
    usage: Json | None = None
    lines: Json | None = None
    basis: str | None = None
    ending: str | None = None
    attempts: Json | None = None
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
            return replace(
                row, hold_nanos=row.hold_nanos + hold, positions=(*row.positions, event.position)
            )
        case UsageSettled() as settled:
            return _settled(row, event, settled)
        case RefundIssued() as refund:
            return _refunded(row, event, refund)
        case ChargeAdjusted(delta_nanos=delta):
            return replace(
                row,
                adjusted_nanos=row.adjusted_nanos + delta,
                positions=(*row.positions, event.position),
            )
        case _:
            return row


def _opened(event: Recorded, reserved: QuotaReserved) -> RequestRow:
    terms = reserved.terms
    return RequestRow(
        event.stream_id,
        "open",
        reserved.account_id,
        reserved.key_id,
        terms.model,
        terms.group,
        terms.price_version,
        terms.multiplier.numerator,
        terms.multiplier.denominator,
        reserved.dialect,
        reserved.streaming,
        reserved.input_tokens_estimated,
        reserved.output_tokens_max,
        reserved.hold_nanos,
        reserved.node,
        event.recorded_at,
        event.position,
        (event.position,),
    )


def _settled(row: RequestRow, event: Recorded, settled: UsageSettled) -> RequestRow:
    return replace(
        row,
        status="settled",
        positions=(*row.positions, event.position),
        charged_nanos=settled.charged_nanos,
        shortfall_nanos=settled.shortfall_nanos,
        upstream_model=settled.upstream_model,
        channel_id=settled.channel_id,
        usage=document(settled.usage),
        lines=document(settled.lines),
        basis=settled.basis,
        ending=settled.ending,
        attempts=document(settled.attempts),
        anomaly=settled.anomaly,
        ttft_ms=settled.ttft_ms,
        duration_ms=settled.duration_ms,
        closed_at=event.recorded_at,
    )


def _refunded(row: RequestRow, event: Recorded, refund: RefundIssued) -> RequestRow:
    return replace(
        row,
        status="refunded",
        positions=(*row.positions, event.position),
        ending=refund.reason,
        attempts=document(refund.attempts),
        duration_ms=refund.duration_ms,
        closed_at=event.recorded_at,
    )


TABLE = Table(
    name="request_log",
    row=RequestRow,
    key=("charge_id",),
    events=(QuotaReserved, UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    apply=apply,
    is_first=starts_its_stream,
    indexes=(("account_id", "position"),),
)
PROJECTION = Projection(
    name="request_log",
    version=2,
    tables=(TABLE,),
    rows_are_of="stream",
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
