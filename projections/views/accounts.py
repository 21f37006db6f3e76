"""Accounts: their limits and state, and what they were credited and charged, for people to read.

Decisions about money read `ledger.budget`; this says the same a moment later, with more around it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.account import (
    AccountOpened,
    AccountResumed,
    AccountSuspended,
    LimitsSet,
)
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from ledger.streams.contract import AccountEvent, Event
from ledger.streams.credit import CreditGranted
from ledger.streams.registry import STREAM_OF
from projections.contract import Key, Projection, Row, Table
from projections.reading import find_row, list_rows


class AccountRow(Row, frozen=True):
    """One account. available = posted - held; all in nanodollars.

    charged_nanos includes adjustments. events and position count and name the events of the
    account, as `seq` and `position` of its budget do.
    """

    account_id: UUID
    group_name: str = "default"
    overdraft_nanos: int = 0
    day_limit_nanos: int | None = None
    week_limit_nanos: int | None = None
    month_limit_nanos: int | None = None
    is_suspended: bool = False
    opened_at: datetime | None = None
    posted_nanos: int = 0
    held_nanos: int = 0
    available_nanos: int = 0
    credited_nanos: int = 0
    charged_nanos: int = 0
    credits: int = 0
    requests: int = 0
    events: int = 0
    position: int = 0


def touches(event: Recorded) -> tuple[Key, ...]:
    """The account of the event."""
    return ((event.event.account_id,),)  # type: ignore[attr-defined]  # only AccountEvents come here


def apply(key: Key, row: AccountRow | None, event: Recorded) -> AccountRow:
    """Money by the event's effects, everything else by its type."""
    account_id = key[0]
    assert isinstance(account_id, UUID)
    row = row or AccountRow(account_id)
    moved_held, moved_posted = _moved(account_id, event.event)
    held, posted = row.held_nanos + moved_held, row.posted_nanos + moved_posted
    return replace(
        row,
        held_nanos=held,
        posted_nanos=posted,
        available_nanos=posted - held,
        events=row.events + 1,
        position=event.position,
        **_facts(row, event),
    )


def _moved(account_id: UUID, event: Event) -> tuple[int, int]:
    """What the event's effects do to the account itself: held and posted, in nanodollars."""
    # Nearly all events are one of these, and their other effects need not be made for this.
    match event:
        case QuotaReserved():
            return event.hold_nanos, 0
        case UsageSettled():
            return -event.released_nanos, -event.charged_nanos
        case RefundIssued():
            return -event.released_nanos, 0
        case _:
            effects = STREAM_OF[type(event)].effects(event)
            own = [effect for effect in effects if effect.scope == account_id]
            return sum(each.held_nanos for each in own), sum(each.posted_nanos for each in own)


def _facts(row: AccountRow, event: Recorded) -> dict[str, Any]:
    match event.event:
        case QuotaReserved():
            return {"requests": row.requests + 1} if event.version == 1 else {}
        case UsageSettled(charged_nanos=charged):
            return {"charged_nanos": row.charged_nanos + charged}
        case ChargeAdjusted(delta_nanos=delta):
            return {"charged_nanos": row.charged_nanos + delta}
        case CreditGranted(amount_nanos=amount):
            return {"credits": row.credits + 1, "credited_nanos": row.credited_nanos + amount}
        case AccountOpened(group=group):
            return {"group_name": group, "opened_at": event.recorded_at}
        case LimitsSet(limits=limits, group=group):
            return {
                "group_name": group,
                "overdraft_nanos": limits.overdraft_nanos,
                "day_limit_nanos": limits.day_nanos,
                "week_limit_nanos": limits.week_nanos,
                "month_limit_nanos": limits.month_nanos,
            }
        case AccountSuspended():
            return {"is_suspended": True}
        case AccountResumed():
            return {"is_suspended": False}
        case _:
            return {}


TABLE = Table(
    name="accounts",
    row=AccountRow,
    key=("account_id",),
    events=tuple(event for event in STREAM_OF if issubclass(event, AccountEvent)),
    touches=touches,
    apply=apply,
)
PROJECTION = Projection(
    name="accounts",
    version=1,
    tables=(TABLE,),
    folds_every_stream=True,
    rows_are_of="account",
)


async def find_account(connection: AsyncConnection[Any], account_id: UUID) -> AccountRow | None:
    """One account."""
    return await find_row(connection, TABLE, AccountRow, (account_id,))


async def list_accounts(
    connection: AsyncConnection[Any], *, after: UUID | None, limit: int
) -> list[AccountRow]:
    """Accounts in the order of their ids, beginning behind `after`."""
    return await list_rows(
        connection,
        TABLE,
        AccountRow,
        "where account_id > coalesce(%s, '00000000-0000-0000-0000-000000000000'::uuid) "
        "order by account_id limit %s",
        (after, limit),
    )
