"""Adjustments: what was proposed, who decided it, and what it came to for which account."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.adjustment import (
    AdjustmentApproved,
    AdjustmentPosted,
    AdjustmentProposed,
    AdjustmentRejected,
    postings_expected,
)
from ledger.streams.credit import CreditGranted
from projections.contract import (
    Json,
    Key,
    Projection,
    Row,
    Table,
    document,
    one_by_one,
    starts_its_stream,
)
from projections.reading import list_rows


class AdjustmentRow(Row, frozen=True):
    """One adjustment. state: proposed, approved (a correction that is being posted), posted or
    rejected. decider: who approved or rejected it. amount_nanos: what it moves, or was proposed to;
    positive gives to the customers. accounts: how many postings it comes to; a credit has none, it
    is granted in the group of its approval.

    Of a correction: `correction` is a `ledger.streams.adjustment.Correction`; posted_accounts,
    charges and charged_nanos are what it has come to so far.
    """

    adjustment_id: UUID
    kind: str
    state: str
    account_id: UUID | None
    amount_nanos: int
    reason: str
    reverses: UUID | None
    reversed_position: int | None
    correction: Json | None
    proposer: str
    proposed_at: datetime
    position: int
    accounts: int
    decider: str | None = None
    decided_at: datetime | None = None
    decided_position: int | None = None
    posted_at: datetime | None = None
    posted_position: int | None = None
    posted_accounts: int = 0
    charges: int = 0
    charged_nanos: int = 0


class AdjustedAccountRow(Row, frozen=True):
    """What an adjustment is, or came to, for one account. position: None until it is posted."""

    account_id: UUID
    adjustment_id: UUID
    proposed_position: int
    position: int | None = None
    amount_nanos: int = 0
    charges: int = 0
    charged_nanos: int = 0


def touches(event: Recorded) -> tuple[Key, ...]:
    """The adjustment itself."""
    return ((event.stream_id,),)


def apply(key: Key, row: AdjustmentRow | None, event: Recorded) -> AdjustmentRow | None:  # noqa: ARG001
    """Each event adds what it says."""
    match event.event:
        case AdjustmentProposed() as proposed if row is None:
            return _proposed(event, proposed)
        case _ if row is None:
            return None  # no lawful log has it; fsck names the event
        case AdjustmentApproved(actor=actor):
            return _approved(row, event, actor)
        case AdjustmentRejected(actor=actor):
            return _decided(row, event, "rejected", actor)
        case AdjustmentPosted() as posted:
            return _posted(row, event, posted)
        case _:
            return row


def _proposed(event: Recorded, proposed: AdjustmentProposed) -> AdjustmentRow:
    reverses, correction = proposed.reverses, proposed.correction
    return AdjustmentRow(
        adjustment_id=event.stream_id,
        kind=proposed.kind,
        state="proposed",
        account_id=proposed.account_id,
        amount_nanos=proposed.amount_nanos if correction is None else -correction.delta_nanos,
        reason=proposed.reason,
        reverses=None if reverses is None else reverses.stream_id,
        reversed_position=None if reverses is None else reverses.position,
        correction=None if correction is None else document(correction),
        proposer=proposed.actor,
        proposed_at=event.recorded_at,
        position=event.position,
        accounts=postings_expected(proposed),
    )


def _approved(row: AdjustmentRow, event: Recorded, actor: str) -> AdjustmentRow:
    if row.accounts:
        return _decided(row, event, "approved", actor)
    decided = _decided(row, event, "posted", actor)
    return replace(decided, posted_at=event.recorded_at, posted_position=event.position)


def _decided(row: AdjustmentRow, event: Recorded, state: str, actor: str) -> AdjustmentRow:
    return replace(
        row,
        state=state,
        decider=actor,
        decided_at=event.recorded_at,
        decided_position=event.position,
    )


def _posted(row: AdjustmentRow, event: Recorded, posted: AdjustmentPosted) -> AdjustmentRow:
    posted_accounts = row.posted_accounts + 1
    return replace(
        row,
        state="posted" if posted_accounts >= row.accounts else row.state,
        posted_at=event.recorded_at,
        posted_position=event.position,
        posted_accounts=posted_accounts,
        charges=row.charges + posted.charges,
        charged_nanos=row.charged_nanos + posted.charged_nanos,
    )


def touches_account(event: Recorded) -> tuple[Key, ...]:
    """The adjustment at its account, if it is of one."""
    if isinstance(event.event, CreditGranted):
        proposal = event.event.proposal
        return () if proposal is None else ((event.event.account_id, proposal),)
    account_id = event.event.account_id  # type: ignore[attr-defined]  # both events have one
    return () if account_id is None else ((account_id, event.stream_id),)


def apply_to_account(
    key: Key, row: AdjustedAccountRow | None, event: Recorded
) -> AdjustedAccountRow | None:
    """Proposed, then posted or granted; a correction is seen when it is posted."""
    account_id, adjustment_id = key
    assert isinstance(account_id, UUID)
    assert isinstance(adjustment_id, UUID)
    row = row or AdjustedAccountRow(account_id, adjustment_id, event.position)
    match event.event:
        case AdjustmentProposed(amount_nanos=amount):
            return replace(row, amount_nanos=amount)
        case CreditGranted(amount_nanos=amount):
            return replace(row, position=event.position, amount_nanos=amount)
        case AdjustmentPosted() as posted:
            return replace(
                row,
                position=event.position,
                amount_nanos=posted.amount_nanos,
                charges=posted.charges,
                charged_nanos=posted.charged_nanos,
            )
        case _:
            return row


TABLE = Table(
    name="adjustments",
    row=AdjustmentRow,
    key=("adjustment_id",),
    events=(AdjustmentProposed, AdjustmentApproved, AdjustmentRejected, AdjustmentPosted),
    touches=touches,
    fold=one_by_one(apply),
    is_first=starts_its_stream,
    indexes=(("position",), ("state", "position")),
)
ACCOUNTS = Table(
    name="adjusted_accounts",
    row=AdjustedAccountRow,
    key=("account_id", "adjustment_id"),
    events=(AdjustmentProposed, AdjustmentPosted, CreditGranted),
    touches=touches_account,
    fold=one_by_one(apply_to_account),
    indexes=(("adjustment_id",),),
)
PROJECTION = Projection(name="adjustments", version=3, tables=(TABLE, ACCOUNTS))


async def list_adjustments(
    connection: AsyncConnection[Any],
    *,
    state: str | None,
    account_id: UUID | None,
    before: int,
    limit: int,
) -> list[AdjustmentRow]:
    """Adjustments, the newest first, proposed before the position `before`."""
    return await list_rows(
        connection,
        TABLE,
        AdjustmentRow,
        "where position < %s and (%s::text is null or state = %s) and (%s::uuid is null or "
        "adjustment_id in (select adjustment_id from projections.adjusted_accounts "
        "where account_id = %s)) order by position desc limit %s",
        (before, state, state, account_id, account_id, limit),
    )


async def list_adjusted_accounts(
    connection: AsyncConnection[Any], adjustment_id: UUID, *, after: UUID | None, limit: int
) -> list[AdjustedAccountRow]:
    """What one adjustment came to, account by account, in the order of their ids."""
    return await list_rows(
        connection,
        ACCOUNTS,
        AdjustedAccountRow,
        "where adjustment_id = %s "
        "and account_id > coalesce(%s, '00000000-0000-0000-0000-000000000000'::uuid) "
        "order by account_id limit %s",
        (adjustment_id, after, limit),
    )
