"""What is said of accounts."""

from typing import Self
from uuid import UUID

from admin_api.accounts.operations import AccountView
from admin_api.fields.as_of_queries import AsOfOutput
from admin_api.fields.bodies import Input, Moment, Name, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd


class NewAccount(Input):
    """An account to open."""

    name: Name


class AccountOutput(Output):
    """An account."""

    id: UUID
    name: str | None
    group: str
    is_suspended: bool
    opened_at: Moment

    @classmethod
    def of(cls, view: AccountView) -> Self:
        """As it is told."""
        return cls(
            id=view.account_id,
            name=view.name,
            group=view.group,
            is_suspended=view.is_suspended,
            opened_at=format_moment(view.opened_at),
        )


class AccountPage(Output):
    """Some accounts; `next` is the `after` of the next page, null at the end."""

    accounts: list[AccountOutput]
    next: int | None


class BalanceOutput(Output):
    """available = posted - held, right after the account's event at `position`.

    `as_of` only where it was asked for.
    """

    posted: SignedAmount
    held: SignedAmount
    available: SignedAmount
    position: int
    as_of: AsOfOutput | None = None

    @classmethod
    def of(cls, posted_nanos: int, held_nanos: int, position: int) -> Self:
        """As it is told."""
        return cls(
            posted=format_usd(posted_nanos),
            held=format_usd(held_nanos),
            available=format_usd(posted_nanos - held_nanos),
            position=position,
        )
