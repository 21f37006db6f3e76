"""/accounts/{id}/statement and /ledger/...: how a balance came about, and the double entry behind
it. All amounts are exact, in USD.
"""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import Permit, PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator
from admin_api.books.operations import books
from admin_api.fields.as_of_queries import (
    AsOfOutput,
    AsOfQuery,
    AtLeast,
    FromDay,
    ToDay,
    as_of_output,
)
from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from admin_api.http.strict_route import StrictRoute
from admin_api.ledger_events.operations import wait_for_position
from admin_api.requests.operations import Owner
from ledger.money import format_usd
from ledger.statement import BalanceAt, Standing, Statement, StatementLine
from projections.books.profit import Profit
from projections.books.trial_balance import LedgerTotal

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]
ReaderOrOwn = Annotated[Operator | Owner, Depends(PermitOrOwn("ledger:read"))]
_EDGE = "A day of the books, or a date-time with an offset."
_EDGES = ["2030-01-31", "2030-01-31T12:00:00Z"]
From = Annotated[str | None, Query(alias="from", max_length=64, description=_EDGE, examples=_EDGES)]
To = Annotated[str | None, Query(alias="to", max_length=64, description=_EDGE, examples=_EDGES)]


class BalanceAtOutput(Output):
    """available = posted - held. `position`: the account's last event until then, 0 for none."""

    position: int
    recorded_at: Moment | None
    posted: SignedAmount
    held: SignedAmount
    available: SignedAmount
    open_charges: int


class StatementTotals(Output):
    """What happened in the period: opening + credited - charged + adjusted = closing, posted."""

    credited: SignedAmount
    charged: SignedAmount
    adjusted: SignedAmount
    credits: int
    charges: int
    adjustments: int


class StatementLineOutput(Output):
    """`amount`: positive for the customer. `balance`: posted, after it. `detail` is a code."""

    position: int
    recorded_at: Moment
    kind: Literal["credit", "charge", "adjustment"]
    amount: SignedAmount
    balance: SignedAmount
    reference: UUID
    detail: str
    model: str | None
    key_id: UUID | None


class StatementOutput(Output):
    """`since` counts, `until` does not; null: the beginning, the end. All but `lines` is of the
    whole period; `next` is the `after` of the next page, null with the last line.
    """

    account_id: UUID
    since: Moment | None
    until: Moment | None
    as_of: AsOfOutput
    opening: BalanceAtOutput
    closing: BalanceAtOutput
    totals: StatementTotals
    lines: list[StatementLineOutput]
    next: int | None


class LedgerTotalOutput(Output):
    """What was posted to one ledger account: net = credits - debits."""

    account: str
    debits: SignedAmount
    credits: SignedAmount
    net: SignedAmount
    postings: int


class TrialBalanceOutput(Output):
    """Every ledger account, by name; the sum of `net` is zero, or there would be no answer."""

    as_of: AsOfOutput
    accounts: list[LedgerTotalOutput]


class JournalDayOutput(Output):
    """What a day posted: the events after `after`, up to and including `until`."""

    day: date
    after: int
    until: int
    accounts: list[LedgerTotalOutput]


class JournalOutput(Output):
    """The days that were asked for. The newest may still grow: the log ended at `head`."""

    days: list[JournalDayOutput]
    head: int


class ProfitSums(Output):
    """revenue = charged + adjusted; profit = revenue - cost.

    Calls beyond `costed_calls` had no known cost, so the profit is at most this.
    """

    calls: int
    costed_calls: int
    adjustments: int
    charged: SignedAmount
    adjusted: SignedAmount
    revenue: SignedAmount
    cost: SignedAmount
    profit: SignedAmount
    shortfall: SignedAmount


class ProfitLineOutput(ProfitSums):
    """One channel, model or account, on one day if `daily`.

    `name` is null for corrections of calls that nobody answered, and for those by early releases.
    """

    day: date | None
    name: str | None


class ProfitOutput(Output):
    """Everything up to `position` is counted."""

    lines: list[ProfitLineOutput]
    total: ProfitSums
    position: int


@router.get("/accounts/{account_id}/statement")
async def read_statement(  # noqa: PLR0913 - as many as the request has
    desk: TheDesk,
    caller: ReaderOrOwn,
    account_id: UUID,
    since: From = None,
    until: To = None,
    as_of: AsOfQuery = None,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    at_least: AtLeast = 0,
) -> StatementOutput:
    """How the balance got from opening to closing: credits, charges and adjustments, one by one.

    `from` and `to` are days, both included, or moments, of which `to` is not.
    """
    books.require_own(caller, account_id)
    await wait_for_position(desk, at_least)
    asked = books.Asked(since, until, as_of)
    page, resolved = await books.statement(desk, account_id, asked, after=after, limit=limit)
    return _statement(page, as_of_output(resolved))


@router.get("/ledger/trial-balance")
async def read_trial_balance(
    desk: TheDesk, _operator: Reader, as_of: AsOfQuery = None, at_least: AtLeast = 0
) -> TrialBalanceOutput:
    """What was ever debited and credited to each ledger account."""
    await wait_for_position(desk, at_least)
    balance = await books.trial_balance(desk, as_of)
    accounts = [_total(total) for total in balance.totals]
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
    await wait_for_position(desk, at_least)
    found = await books.journal(desk, since, until)
    days = [
        JournalDayOutput(
            day=day.day,
            after=day.after,
            until=day.until,
            accounts=[_total(total) for total in day.totals],
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
    lines = [
        ProfitLineOutput(day=line.day, name=line.name, **_sums(line.profit))
        for line in report.lines
    ]
    total = ProfitSums(**_sums(report.total))
    return ProfitOutput(lines=lines, total=total, position=report.position)


def _statement(page: Statement, as_of: AsOfOutput) -> StatementOutput:
    return StatementOutput(
        account_id=page.account_id,
        since=None if page.since is None else format_moment(page.since),
        until=None if page.until is None else format_moment(page.until),
        as_of=as_of,
        opening=_balance(page.opening),
        closing=_balance(page.closing),
        totals=_totals(page.moved),
        lines=[_line(line) for line in page.lines],
        next=page.next_after,
    )


def _balance(balance: BalanceAt) -> BalanceAtOutput:
    standing, at = balance.standing, balance.recorded_at
    return BalanceAtOutput(
        position=balance.position,
        recorded_at=None if at is None else format_moment(at),
        posted=format_usd(standing.posted_nanos),
        held=format_usd(standing.held_nanos),
        available=format_usd(standing.available_nanos),
        open_charges=standing.open_charges,
    )


def _totals(moved: Standing) -> StatementTotals:
    return StatementTotals(
        credited=format_usd(moved.credited_nanos),
        charged=format_usd(moved.charged_nanos),
        adjusted=format_usd(moved.adjusted_nanos),
        credits=moved.credits,
        charges=moved.charges,
        adjustments=moved.adjustments,
    )


def _line(line: StatementLine) -> StatementLineOutput:
    return StatementLineOutput(
        position=line.position,
        recorded_at=format_moment(line.recorded_at),
        kind=line.kind,
        amount=format_usd(line.amount_nanos),
        balance=format_usd(line.balance_nanos),
        reference=line.reference,
        detail=line.detail,
        model=line.model or None,
        key_id=line.key_id,
    )


def _total(total: LedgerTotal) -> LedgerTotalOutput:
    return LedgerTotalOutput(
        account=total.account,
        debits=format_usd(total.debits_nanos),
        credits=format_usd(total.credits_nanos),
        net=format_usd(total.net_nanos),
        postings=total.postings,
    )


def _sums(profit: Profit) -> dict[str, Any]:
    return {
        "calls": profit.calls,
        "costed_calls": profit.costed_calls,
        "adjustments": profit.adjustments,
        "charged": format_usd(profit.charged_nanos),
        "adjusted": format_usd(profit.adjusted_nanos),
        "revenue": format_usd(profit.revenue_nanos),
        "cost": format_usd(profit.cost_nanos),
        "profit": format_usd(profit.profit_nanos),
        "shortfall": format_usd(profit.shortfall_nanos),
    }
