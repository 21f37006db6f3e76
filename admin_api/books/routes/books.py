"""/ledger/...: the double entry behind every balance, and the profit. Amounts are exact, in USD."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.books.operations import books
from admin_api.books.schemas import (
    JournalDayOutput,
    JournalOutput,
    LedgerTotalOutput,
    ProfitOutput,
    TrialBalanceOutput,
)
from admin_api.fields.as_of_queries import AsOfQuery, AtLeast, FromDay, ToDay, as_of_output
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]


@router.get("/ledger/trial-balance")
async def read_trial_balance(
    desk: TheDesk, _operator: Reader, as_of: AsOfQuery = None, at_least: AtLeast = 0
) -> TrialBalanceOutput:
    """What was ever debited and credited to each ledger account."""
    await desk.wait_for_position(at_least)
    balance = await books.trial_balance(desk, as_of)
    accounts = [LedgerTotalOutput.of(total) for total in balance.totals]
    return TrialBalanceOutput(as_of=as_of_output(balance.as_of), accounts=accounts)


@router.get("/ledger/journal")
async def read_journal(
    desk: TheDesk,
    _operator: Reader,
    since: FromDay = None,
    until: ToDay = None,
    at_least: AtLeast = 0,
) -> JournalOutput:
    """What each day debited and credited; the last 31 days of the log unless others are named.

    Days are those of the setting `book.time_zone`, as it was then. 100 days at most.
    """
    await desk.wait_for_position(at_least)
    found = await books.journal(desk, since, until)
    days = [
        JournalDayOutput(
            day=day.day,
            after=day.after,
            until=day.until,
            accounts=[LedgerTotalOutput.of(total) for total in day.totals],
        )
        for day in found.days
    ]
    return JournalOutput(days=days, head=found.head)


@router.get("/ledger/profit")
async def read_profit(
    desk: TheDesk,
    _operator: Reader,
    by: Literal["channel", "model", "upstream_model", "account"] = "channel",
    since: FromDay = None,
    until: ToDay = None,
    daily: bool = False,
    at_least: AtLeast = 0,
) -> ProfitOutput:
    """Revenue, provider cost and profit of some days; the last 31 unless others are named.

    A correction counts on the day it was made.
    """
    report = await books.profit(desk, by, since, until, daily=daily, at_least=at_least)
    return ProfitOutput.of(report)
