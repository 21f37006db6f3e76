"""An account: who pays. Its money is in the budgets; this stream holds its limits and its state."""

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never
from uuid import UUID

import msgspec

from ledger.errors import NotAllowedNow, NotFound
from ledger.streams.contract import AccountEvent, Event, Stream


class SpendingLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be spent beyond the balance, and in each period. None: no limit of that kind."""

    overdraft_nanos: int = 0
    day_nanos: int | None = None
    week_nanos: int | None = None
    month_nanos: int | None = None


class AccountOpened(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The account exists. Its name lives in the vault."""

    TOPIC: ClassVar[str] = "account.AccountOpened.v1"

    group: str
    actor: str


class LimitsSet(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """New limits; they stop new holds only."""

    TOPIC: ClassVar[str] = "account.LimitsSet.v1"

    limits: SpendingLimits
    group: str
    actor: str
    reason: str = ""


class AccountSuspended(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """No new holds until it is resumed; what is open closes as always."""

    TOPIC: ClassVar[str] = "account.AccountSuspended.v1"

    actor: str
    reason: str = ""


class AccountResumed(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """New holds are accepted again."""

    TOPIC: ClassVar[str] = "account.AccountResumed.v1"

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """Open an account in a price group."""

    account_id: UUID
    group: str
    actor: str


@dataclass(frozen=True, slots=True)
class SetLimits:
    """Replace the limits and the group."""

    limits: SpendingLimits
    group: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stop new holds."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Accept new holds again."""

    actor: str
    reason: str = ""


Command = Open | SetLimits | Suspend | Resume
AnyEvent = AccountOpened | LimitsSet | AccountSuspended | AccountResumed


@dataclass(frozen=True, slots=True)
class Account:
    """The fold of one account stream."""

    version: int = 0
    account_id: UUID | None = None
    group: str = "default"
    limits: SpendingLimits = SpendingLimits()
    is_suspended: bool = False


def decide(state: Account, command: Command) -> tuple[Event, ...]:
    """The events that answer a command. Raises NotFound, NotAllowedNow."""
    if isinstance(command, Open):
        if state.account_id is not None:
            raise NotAllowedNow("the account exists")
        return (
            AccountOpened(account_id=command.account_id, group=command.group, actor=command.actor),
        )
    account_id = state.account_id
    if account_id is None:
        raise NotFound("no such account")
    match command:
        case SetLimits(limits, group, actor, reason):
            if (limits, group) == (state.limits, state.group):
                return ()
            return (
                LimitsSet(
                    account_id=account_id, limits=limits, group=group, actor=actor, reason=reason
                ),
            )
        case Suspend(actor, reason):
            if state.is_suspended:
                return ()
            return (AccountSuspended(account_id=account_id, actor=actor, reason=reason),)
        case Resume(actor, reason):
            if not state.is_suspended:
                return ()
            return (AccountResumed(account_id=account_id, actor=actor, reason=reason),)
        case _:
            assert_never(command)


def evolve(state: Account, event: AnyEvent) -> Account:
    """The state after an event."""
    state = replace(state, version=state.version + 1)
    match event:
        case AccountOpened(account_id=account_id, group=group):
            return replace(state, account_id=account_id, group=group)
        case LimitsSet(limits=limits, group=group):
            return replace(state, limits=limits, group=group)
        case AccountSuspended():
            return replace(state, is_suspended=True)
        case AccountResumed():
            return replace(state, is_suspended=False)
        case _:
            assert_never(event)


STREAM = Stream(
    name="account",
    events=(AccountOpened, LimitsSet, AccountSuspended, AccountResumed),
    initial=Account,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
