"""One paid call as its own events tell it: straight from its stream, so it is never behind.

Calls refused before a hold have no stream; what is known of them is in `operations.refusal`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never, cast
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.access.permissions import Owner
from admin_api.desk import Desk
from ledger.errors import NotFound
from ledger.pricing import Line
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    ChargeEvent,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
)
from ledger.usage import Usage

# The owner stands in the condition: what is another's does not exist.
_EVENTS = (
    f"select {RECORDED_COLUMNS} from ledger.event where originator_id = %(id)s "  # noqa: S608
    "and (%(account)s::uuid is null or account_id = %(account)s) order by originator_version"
)
_REFUSAL = """
    select refused_at, account_id, key_id, model, status, code from operations.refusal
    where refusal_id = %(id)s and (%(key)s::uuid is null or key_id = %(key)s)
"""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a delivered call was charged."""

    charged_nanos: int
    shortfall_nanos: int
    usage: Usage
    lines: tuple[Line, ...]
    basis: str
    ending: str
    channel_id: UUID
    upstream_model: str
    anomaly: str


@dataclass(frozen=True, slots=True)
class ChargeView:
    """A call that was admitted: the fold of its stream."""

    request_id: UUID
    account_id: UUID
    key_id: UUID
    terms: Terms
    dialect: str
    streaming: bool
    admitted_at: datetime
    closed_at: datetime | None = None
    held_nanos: int = 0
    settlement: Settlement | None = None
    refund_reason: str | None = None
    attempts: tuple[Attempt, ...] = ()
    adjustments: tuple[tuple[int, ChargeAdjusted], ...] = ()
    ttft_ms: int | None = None
    duration_ms: int | None = None
    positions: tuple[int, ...] = ()

    @property
    def cost_nanos(self) -> int:
        """What the customer pays for it after all corrections."""
        charged = self.settlement.charged_nanos if self.settlement else 0
        return charged + sum(event.delta_nanos for _, event in self.adjustments)


@dataclass(frozen=True, slots=True)
class RefusalView:
    """A call that was refused before anything was held."""

    request_id: UUID
    refused_at: datetime
    account_id: UUID | None
    key_id: UUID | None
    model: str | None
    status: int
    code: str


async def find_request(
    desk: Desk, request_id: UUID, owner: Owner | None
) -> ChargeView | RefusalView:
    """One call; with an `owner` only if it is theirs. Raises NotFound."""
    account_id = owner.account_id if owner else None
    key_id = owner.key_id if owner else None
    async with desk.pool.connection() as connection:
        cursor = await connection.execute(
            _EVENTS, {"id": request_id, "account": account_id}, binary=True
        )
        events = [recorded(row) for row in await cursor.fetchall()]
        if events and isinstance(events[0].event, QuotaReserved):
            view = _fold(events)
            if key_id in (None, view.key_id):
                return view
        elif not events:
            refusal = await _read_refusal(connection, request_id, key_id)
            if refusal is not None:
                return refusal
    raise NotFound("no such request")


async def _read_refusal(
    connection: AsyncConnection[Any], request_id: UUID, key_id: UUID | None
) -> RefusalView | None:
    cursor = await connection.execute(_REFUSAL, {"id": request_id, "key": key_id})
    row = await cursor.fetchone()
    return None if row is None else RefusalView(request_id, *row)


def _fold(events: list[Recorded]) -> ChargeView:
    opening = events[0]
    first = cast("QuotaReserved", opening.event)
    view = ChargeView(
        request_id=opening.stream_id,
        account_id=first.account_id,
        key_id=first.key_id,
        terms=first.terms,
        dialect=first.dialect,
        streaming=first.streaming,
        admitted_at=opening.recorded_at,
    )
    for one in events:
        view = _after(view, one)
    return view


def _after(view: ChargeView, one: Recorded) -> ChargeView:
    event = cast("ChargeEvent", one.event)
    view = replace(view, positions=(*view.positions, one.position))
    match event:
        case QuotaReserved():
            return replace(view, held_nanos=view.held_nanos + event.hold_nanos)
        case UsageSettled():
            return replace(
                view,
                closed_at=one.recorded_at,
                held_nanos=view.held_nanos - event.released_nanos,
                settlement=_settlement(event),
                attempts=event.attempts,
                ttft_ms=event.ttft_ms,
                duration_ms=event.duration_ms,
            )
        case RefundIssued():
            return replace(
                view,
                closed_at=one.recorded_at,
                held_nanos=view.held_nanos - event.released_nanos,
                refund_reason=event.reason,
                attempts=event.attempts,
                duration_ms=event.duration_ms,
            )
        case ChargeAdjusted():
            return replace(view, adjustments=(*view.adjustments, (one.position, event)))
        case _:
            assert_never(event)


def _settlement(event: UsageSettled) -> Settlement:
    return Settlement(
        charged_nanos=event.charged_nanos,
        shortfall_nanos=event.shortfall_nanos,
        usage=event.usage,
        lines=event.lines,
        basis=event.basis,
        ending=event.ending,
        channel_id=event.channel_id,
        upstream_model=event.upstream_model,
        anomaly=event.anomaly,
    )
