"""/accounts: who pays, and what they have."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import Permit, PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator, Owner, require_own
from admin_api.accounts import operations
from admin_api.accounts.schemas import (
    AccountChange,
    AccountOutput,
    AccountPage,
    BalanceOutput,
    NewAccount,
)
from admin_api.books.operations import books
from admin_api.fields.as_of_queries import AsOfQuery, AtLeast, as_of_output
from admin_api.fields.bodies import Because
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["accounts"])

Reader = Annotated[Operator, Depends(Permit("accounts:read"))]
Writer = Annotated[Operator, Depends(Permit("accounts:write"))]


@router.post("/accounts", status_code=201)
async def open_account(
    desk: TheDesk,
    operator: Writer,
    given: NewAccount,
) -> AccountOutput:
    """Open an account."""
    opening = operations.open_account(desk, name=given.name, actor=operator.actor)
    account_id = await desk.commands.finish(opening)
    return AccountOutput.of(await operations.read_account(desk, account_id))


@router.get("/accounts")
async def list_accounts(
    desk: TheDesk,
    _operator: Reader,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> AccountPage:
    """Accounts in the order of their opening."""
    page = await operations.list_accounts(desk, after=after, limit=limit)
    following = page[-1].position if len(page) == limit else None
    return AccountPage(accounts=[AccountOutput.of(view) for view in page], next=following)


@router.get("/accounts/{account_id}")
async def read_account(desk: TheDesk, _operator: Reader, account_id: UUID) -> AccountOutput:
    """One account."""
    return AccountOutput.of(await operations.read_account(desk, account_id))


@router.patch("/accounts/{account_id}")
async def change_account(
    desk: TheDesk, operator: Writer, account_id: UUID, given: AccountChange
) -> AccountOutput:
    """Change an account's name, price group or limits.

    A larger overdraft, and a group that pays less, need a reason.
    """
    changing = operations.change_account(
        desk, account_id, given.changes(), actor=operator.actor, reason=given.reason or ""
    )
    return AccountOutput.of(await desk.commands.finish(changing))


@router.post("/accounts/{account_id}/suspend")
async def suspend_account(
    desk: TheDesk, operator: Writer, account_id: UUID, given: Because
) -> AccountOutput:
    """Let an account make no new calls."""
    suspending = operations.suspend_account(
        desk, account_id, actor=operator.actor, reason=given.reason or ""
    )
    return AccountOutput.of(await desk.commands.finish(suspending))


@router.post("/accounts/{account_id}/resume")
async def resume_account(
    desk: TheDesk, operator: Writer, account_id: UUID, given: Because
) -> AccountOutput:
    """Let an account make calls again."""
    resuming = operations.resume_account(
        desk, account_id, actor=operator.actor, reason=given.reason or ""
    )
    return AccountOutput.of(await desk.commands.finish(resuming))


@router.get("/accounts/{account_id}/balance", response_model_exclude_unset=True)
async def read_balance(
    desk: TheDesk,
    caller: Annotated[Operator | Owner, Depends(PermitOrOwn("accounts:read"))],
    account_id: UUID,
    as_of: AsOfQuery = None,
    at_least: AtLeast = 0,
) -> BalanceOutput:
    """What the account has now, from the budgets that decide; or what it had at `as_of`."""
    require_own(caller, account_id)
    await desk.wait_for_position(at_least)
    if as_of is None:
        balance = await operations.balance(desk, account_id)
        return BalanceOutput.of(balance.posted_nanos, balance.held_nanos, balance.position)
    then, resolved = await books.balance_as_of(desk, account_id, as_of)
    answer = BalanceOutput.of(then.standing.posted_nanos, then.standing.held_nanos, then.position)
    return answer.model_copy(update={"as_of": as_of_output(resolved)})
