"""What is said of accounts."""

from typing import Self
from uuid import UUID

from admin_api.accounts.operations import AccountChanges, AccountView
from admin_api.errors import InvalidInput
from admin_api.fields.as_of_queries import AsOfOutput
from admin_api.fields.bodies import (
    Amount,
    GroupName,
    Input,
    Moment,
    Name,
    Output,
    ReasonCode,
    SignedAmount,
)
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd, parse_usd
from ledger.streams.account import SpendingLimits


class NewAccount(Input):
    """An account to open."""

    name: Name


class LimitsOutput(Output):
    """What may be spent beyond the balance and in each period; null: no limit of that kind."""

    overdraft: Amount
    day: Amount | None
    week: Amount | None
    month: Amount | None

    @classmethod
    def of(cls, limits: SpendingLimits) -> Self:
        """As they are told."""
        return cls(
            overdraft=format_usd(limits.overdraft_nanos),
            day=_told(limits.day_nanos),
            week=_told(limits.week_nanos),
            month=_told(limits.month_nanos),
        )


class LimitsInput(Input):
    """Limits to change: what is absent stays, null is no limit. Periods are in the book's zone."""

    overdraft: Amount | None = None
    day: Amount | None = None
    week: Amount | None = None
    month: Amount | None = None

    def nanos(self) -> dict[str, int | None]:
        """Those that were given, as fields of SpendingLimits. Raises InvalidInput."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if given.get("overdraft", "0") is None:
            raise InvalidInput("limits.overdraft", "must be an amount; 0 is none")
        return {
            f"{name}_nanos": None if amount is None else parse_usd(amount)
            for name, amount in given.items()
        }


class AccountChange(Input):
    """What to change of an account; what is absent stays."""

    name: Name | None = None
    group: GroupName | None = None
    limits: LimitsInput | None = None
    reason: ReasonCode | None = None

    def changes(self) -> AccountChanges:
        """What was given. Raises InvalidInput."""
        limits_nanos = self.limits.nanos() if self.limits else {}
        return AccountChanges(self.name, self.group, limits_nanos)


class AccountOutput(Output):
    """An account."""

    id: UUID
    name: str | None
    group: str
    limits: LimitsOutput
    is_suspended: bool
    opened_at: Moment

    @classmethod
    def of(cls, view: AccountView) -> Self:
        """As it is told."""
        return cls(
            id=view.account_id,
            name=view.name,
            group=view.group,
            limits=LimitsOutput.of(view.limits),
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


def _told(nanos: int | None) -> str | None:
    return None if nanos is None else format_usd(nanos)
