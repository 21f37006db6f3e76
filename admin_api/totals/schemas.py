"""What is said of totals."""

from typing import Self
from uuid import UUID

from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from admin_api.totals.operations import AccountTotals, KeyTotals
from ledger.money import format_usd


class AccountTotalsOutput(Output):
    """What an account came to. posted = credited - charged + adjusted; available = posted - held.

    `requests` were settled and `charged`, `refunds` given back whole. `adjusted`: by corrections
    and adjustments, positive in the customer's favour. `position` is that of its last event.
    """

    id: UUID
    name: str | None
    group: str
    is_suspended: bool
    posted: SignedAmount
    held: SignedAmount
    available: SignedAmount
    credited: SignedAmount
    credits: int
    charged: SignedAmount
    adjusted: SignedAmount
    requests: int
    refunds: int
    position: int

    @classmethod
    def of(cls, totals: AccountTotals) -> Self:
        """As it is told."""
        row = totals.row
        return cls(
            id=row.account_id,
            name=totals.name,
            group=row.group_name,
            is_suspended=row.is_suspended,
            posted=format_usd(row.posted_nanos),
            held=format_usd(row.held_nanos),
            available=format_usd(row.available_nanos),
            credited=format_usd(row.credited_nanos),
            credits=row.credits,
            charged=format_usd(row.charged_nanos),
            adjusted=format_usd(row.adjusted_nanos),
            requests=row.requests,
            refunds=row.refunds,
            position=row.position,
        )


class AccountTotalsPage(Output):
    """Some accounts; `next` is the `after` of the next page, null at the end.

    Everything up to `position` is counted.
    """

    accounts: list[AccountTotalsOutput]
    next: UUID | None
    position: int


class KeyTotalsOutput(Output):
    """What a key came to. `spent`: what was charged, and what corrections added; `requests` and
    `refunds` as of accounts.
    """

    id: UUID
    account_id: UUID
    name: str | None
    is_revoked: bool
    requests: int
    refunds: int
    held: SignedAmount
    spent: SignedAmount
    last_used_at: Moment | None

    @classmethod
    def of(cls, totals: KeyTotals) -> Self:
        """As it is told."""
        row = totals.row
        return cls(
            id=row.key_id,
            account_id=row.account_id,
            name=totals.name,
            is_revoked=row.is_revoked,
            requests=row.requests,
            refunds=row.refunds,
            held=format_usd(row.held_nanos),
            spent=format_usd(row.spent_nanos),
            last_used_at=None if row.last_used_at is None else format_moment(row.last_used_at),
        )


class KeyTotalsPage(Output):
    """Some keys of an account; `next` and `position` as of accounts."""

    keys: list[KeyTotalsOutput]
    next: UUID | None
    position: int
