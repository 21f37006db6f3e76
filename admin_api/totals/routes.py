"""/totals: what accounts and keys came to since they were made."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.as_of_queries import AtLeast
from admin_api.http.strict_route import StrictRoute
from admin_api.totals.operations import account_totals, key_totals
from admin_api.totals.schemas import (
    AccountTotalsOutput,
    AccountTotalsPage,
    KeyTotalsOutput,
    KeyTotalsPage,
)

router = APIRouter(route_class=StrictRoute, tags=["totals"])

Reader = Annotated[Operator, Depends(Permit("accounts:read"))]
Limit = Annotated[int, Query(ge=1, le=1_000)]


@router.get("/totals/accounts")
async def read_account_totals(
    desk: TheDesk,
    _operator: Reader,
    after: UUID | None = None,
    limit: Limit = 100,
    at_least: AtLeast = 0,
) -> AccountTotalsPage:
    """What each account was credited and charged, has and holds; in the order of their ids."""
    found, position = await account_totals(desk, after=after, limit=limit, at_least=at_least)
    following = found[-1].row.account_id if len(found) == limit else None
    told = [AccountTotalsOutput.of(each) for each in found]
    return AccountTotalsPage(accounts=told, next=following, position=position)


@router.get("/totals/keys")
async def read_key_totals(
    desk: TheDesk,
    _operator: Reader,
    account: UUID,
    after: UUID | None = None,
    limit: Limit = 100,
    at_least: AtLeast = 0,
) -> KeyTotalsPage:
    """What each key of an account spent, and when it was last used; in the order of their ids."""
    found, position = await key_totals(desk, account, after=after, limit=limit, at_least=at_least)
    following = found[-1].row.key_id if len(found) == limit else None
    told = [KeyTotalsOutput.of(each) for each in found]
    return KeyTotalsPage(keys=told, next=following, position=position)
