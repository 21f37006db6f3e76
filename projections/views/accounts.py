"""Accounts: their limits and state, and what they were credited and charged, for people to read.

Decisions about money read `ledger.budget`; this says the same a moment later, with more around it.
"""

from collections.abc import Sequence
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
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from ledger.streams.contract import AccountEvent, Event
from ledger.streams.credit import CreditGranted
from ledger.streams.registry import STREAM_OF, stream_of
from projections.contract import Key, Projection, Row, Table, members
from projections.reading import list_rows


class AccountRow(Row, frozen=True):
    """One account. available = posted - held; all in nanodollars.

    charged_nanos: by settlements; corrections and adjustments are the rest of what was posted.
    requests: calls that were settled; refunds: those that were given back. events and position
    count and name the events of the account, as `seq` and `position` of its budget do.
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
    refunds: int = 0
    events: int = 0
    position: int = 0

    @property
    def adjusted_nanos(self) -> int:
        """What corrections and adjustments came to; positive in the customer's favour."""
        return self.posted_nanos - self.credited_nanos + self.charged_nanos


def touches(event: Recorded) -> tuple[Key, ...]:
    """The account of the event."""
    return ((event.account_id,),)


def fold(key: Key, row: AccountRow | None, events: Sequence[Recorded]) -> AccountRow:
    """Money by the events' effects, everything else by their types."""
    account_id = key[0]
    assert isinstance(account_id, UUID)
    row = row or AccountRow(account_id)
    held, posted, charged = row.held_nanos, row.posted_nanos, row.charged_nanos
    credited, credits_ = row.credited_nanos, row.credits
    requests, refunds = row.requests, row.refunds
    changes: dict[str, Any] = {}
    for event in events:
        match event.event:
            # Nearly all events are one of these, and their other effects need not be made for this.
            case QuotaReserved(hold_nanos=hold):
                held += hold
            case UsageSettled(released_nanos=released, charged_nanos=cost):
                held -= released
                posted -= cost
                charged += cost
                requests += 1
            case RefundIssued(released_nanos=released):
                held -= released
                refunds += 1
            case other:
                moved_held, moved_posted = _moved(account_id, other)
                held, posted = held + moved_held, posted + moved_posted
                if isinstance(other, CreditGranted):
                    credits_, credited = credits_ + 1, credited + other.amount_nanos
                else:
                    changes |= _facts(event)
    return replace(
        row,
        held_nanos=held,
        posted_nanos=posted,
        available_nanos=posted - held,
        credited_nanos=credited,
        charged_nanos=charged,
        credits=credits_,
        requests=requests,
        refunds=refunds,
        events=row.events + len(events),
        position=events[-1].position,
        **changes,
    )


def _moved(account_id: UUID, event: Event) -> tuple[int, int]:
    """What the event's effects do to the account itself: held and posted, in nanodollars."""
    effects = stream_of(event).effects(event)
    own = [effect for effect in effects if effect.scope == account_id]
    return sum(each.held_nanos for each in own), sum(each.posted_nanos for each in own)


def _facts(event: Recorded) -> dict[str, Any]:
    """What an event says of the account itself."""
    match event.event:
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
    fold=fold,
)
PROJECTION = Projection(
    name="accounts",
    version=2,
    tables=(TABLE,),
    folds_every_stream=True,
    rows_are_of="account",
    looks_at={
        QuotaReserved: members("hold_nanos"),
        UsageSettled: members("released_nanos charged_nanos"),
        RefundIssued: members("released_nanos"),
    },
    uses_places=members("recorded_at account_id"),
)


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
