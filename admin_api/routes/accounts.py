"""/accounts: who pays, and what they have."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.auth import Operator, Permit, TheDesk
from admin_api.inputs import format_moment
from admin_api.operations import accounts
from admin_api.operations.accounts import AccountView
from admin_api.schemas import Input, Moment, Name, Output, SignedAmount
from admin_api.strict_route import StrictRoute
from ledger.money import format_usd

router = APIRouter(route_class=StrictRoute, tags=["accounts"])

Reader = Annotated[Operator, Depends(Permit("accounts:read"))]


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


class AccountPage(Output):
    """Some accounts; `next` is the `after` of the next page, null at the end."""

    accounts: list[AccountOutput]
    next: int | None


class BalanceOutput(Output):
    """available = posted - held, as of a position of the log."""

    posted: SignedAmount
    held: SignedAmount
    available: SignedAmount
    position: int


@router.post("/accounts", status_code=201)
async def open_account(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("accounts:write"))],
    given: NewAccount,
) -> AccountOutput:
    """Open an account."""
    opening = accounts.open_account(desk, name=given.name, actor=operator.actor)
    account_id = await desk.commands.finish(opening)
    return _output(await accounts.read_account(desk, account_id))


@router.get("/accounts")
async def list_accounts(
    desk: TheDesk,
    _operator: Reader,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> AccountPage:
    """Accounts in the order of their opening."""
    page = await accounts.list_accounts(desk, after=after, limit=limit)
    following = page[-1].position if len(page) == limit else None
    return AccountPage(accounts=[_output(view) for view in page], next=following)


@router.get("/accounts/{account_id}")
async def read_account(desk: TheDesk, _operator: Reader, account_id: UUID) -> AccountOutput:
    """One account."""
    return _output(await accounts.read_account(desk, account_id))


@router.get("/accounts/{account_id}/balance")
async def read_balance(desk: TheDesk, _operator: Reader, account_id: UUID) -> BalanceOutput:
    """What the account has now, from the budgets that decide."""
    balance = await accounts.balance(desk, account_id)
    return BalanceOutput(
        posted=format_usd(balance.posted_nanos),
        held=format_usd(balance.held_nanos),
        available=format_usd(balance.available_nanos),
        position=balance.position,
    )


def _output(view: AccountView) -> AccountOutput:
    return AccountOutput(
        id=view.account_id,
        name=view.name,
        group=view.group,
        is_suspended=view.is_suspended,
        opened_at=format_moment(view.opened_at),
    )
