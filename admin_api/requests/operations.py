"""Paid calls: one as its own events tell it, straight from its stream, so it is never behind; lists
of those that are closed from the request log, which says how far it has come.

Calls refused before a hold have no stream; what is known of them is in `operations.refusal`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never, cast
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.access.permissions import Owner, require_own, require_own_key
from admin_api.desk import Desk, served_position
from admin_api.errors import Forbidden
from admin_api.fields.log_range import read_range
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
from projections.views import request_log
from projections.views.request_log import RequestFilter, RequestPage

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRequests:
    """Which closed calls somebody asks for: all that are given must hold.

    `since` and `until`: a day of the books, included, or a moment, by when the call was closed.
    `before`: a position.
    """

    account_id: UUID | None = None
    key_id: UUID | None = None
    model: str | None = None
    channel_id: UUID | None = None
    status: str | None = None
    ending: str | None = None
    since: str | None = None
    until: str | None = None
    before: int | None = None


async def list_requests(
    desk: Desk, asked: AskedRequests, owner: Owner | None, *, limit: int, at_least: int = 0
) -> tuple[RequestPage, int]:
    """Closed calls, the last closed first, and up to which position they are known.

    With an `owner` only those of its key. Raises NotFound for what is another's, Forbidden for a
    channel, which owners are not told, InvalidInput, NotCaughtUp, QueryTooSlow.
    """
    if owner is not None:
        asked = _of_owner(asked, owner)
    async with desk.reading() as connection:
        position = await served_position(connection, request_log.PROJECTION.name, at_least)
        stretch = await read_range(connection, asked.since, asked.until, asked.before)
        if not position:
            return RequestPage([], None), 0
        wanted = RequestFilter(
            account_id=asked.account_id,
            key_id=asked.key_id,
            model=asked.model,
            channel_id=asked.channel_id,
            status=asked.status,
            ending=asked.ending,
            after=stretch.after,
            before=stretch.before,
        )
        return await request_log.list_requests(connection, wanted, limit), position


def _of_owner(asked: AskedRequests, owner: Owner) -> AskedRequests:
    if asked.channel_id is not None:
        raise Forbidden("API keys are not told of channels")
    if asked.account_id is not None:
        require_own(owner, asked.account_id)
    if asked.key_id is not None:
        require_own_key(owner, asked.key_id)
    return replace(asked, account_id=owner.account_id, key_id=owner.key_id)


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
            return replace(
                view,
                adjustments=(*view.adjustments, (one.position, event)),
                attempts=(*view.attempts, *event.attempts),
            )
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
