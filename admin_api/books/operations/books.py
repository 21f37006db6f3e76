"""The books at the desk: balances, statements, the trial balance, the journal and the profit."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.accounts.operations import require_account
from admin_api.desk import Desk, served_position
from admin_api.errors import DeskError, InvalidInput
from admin_api.fields.as_of import parse_as_of, parse_day_or_moment
from admin_api.fields.log_range import read_day_range
from ledger.book_days import read_days
from ledger.statement import BalanceAt, Statement, StatementBroken
from projections.books import journal as journals
from projections.books import profit as profits
from projections.books import statements
from projections.books.as_of import AsOf, resolve_as_of
from projections.books.balances import balance_at
from projections.books.journal import Journal, RangeTooLarge
from projections.books.profit import By, ProfitReport, ReportTooLarge
from projections.books.statements import Period
from projections.books.trial_balance import BooksBroken, TrialBalance
from projections.books.trial_balance import trial_balance as trial_balance_at
from projections.views import profit_quarter_hours


@dataclass(frozen=True, slots=True)
class StatementPeriod:
    """The period of a statement as somebody wrote it.

    `since`: a day or a moment, from which on. `until`: a day, with which it ends, or a moment,
    before which. `as_of`: a position, a moment or the end of a day; what is later is not looked
    at.
    """

    since: str | None = None
    until: str | None = None
    as_of: str | None = None


async def balance_as_of(desk: Desk, account_id: UUID, when: str | None) -> tuple[BalanceAt, AsOf]:
    """What an account stood at then. Raises NotFound, InvalidInput, QueryTooSlow."""
    moment = parse_as_of("as_of", when)
    await require_account(desk, account_id)
    async with _reading(desk) as connection:
        as_of = await resolve_as_of(connection, moment)
        return await balance_at(connection, account_id, as_of.position), as_of


async def statement(
    desk: Desk, account_id: UUID, asked: StatementPeriod, *, after: int = 0, limit: int = 100
) -> tuple[Statement, AsOf]:
    """A page of an account's statement. Raises NotFound, InvalidInput, QueryTooSlow."""
    since = parse_day_or_moment("from", asked.since)
    until = parse_day_or_moment("to", asked.until)
    moment = parse_as_of("as_of", asked.as_of)
    await require_account(desk, account_id)
    async with _reading(desk) as connection:
        period = await _period(connection, since, until, moment)
        page = await statements.statement(connection, account_id, period, after=after, limit=limit)
        return page, period.as_of


async def trial_balance(desk: Desk, when: str | None) -> TrialBalance:
    """The trial balance then. Raises InvalidInput, QueryTooSlow."""
    moment = parse_as_of("as_of", when)
    async with _reading(desk) as connection:
        return await trial_balance_at(connection, await resolve_as_of(connection, moment))


async def journal(desk: Desk, since: str | None, until: str | None) -> Journal:
    """The journal of some days. Raises InvalidInput, QueryTooSlow."""
    async with _reading(desk) as connection:
        return await journals.journal(connection, await read_day_range(connection, since, until))


async def profit(
    desk: Desk,
    by: By,
    since: str | None,
    until: str | None,
    *,
    daily: bool,
    at_least: int = 0,
) -> ProfitReport:
    """Revenue, cost and profit of some days. Raises InvalidInput, NotCaughtUp, QueryTooSlow."""
    async with _reading(desk) as connection:
        await served_position(connection, profit_quarter_hours.PROJECTION.name, at_least)
        days = await read_day_range(connection, since, until)
        return await profits.profit(connection, days, by, daily=daily)


@contextlib.asynccontextmanager
async def _reading(desk: Desk) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection for questions; what the books refuse is told as the desk tells it."""
    try:
        async with desk.reading() as connection:
            yield connection
    except (RangeTooLarge, ReportTooLarge) as refusal:
        raise InvalidInput("from", str(refusal)) from refusal
    except (BooksBroken, StatementBroken) as broken:
        raise DeskError(f"{broken}: run tollgate ledger fsck") from broken


async def _period(
    connection: AsyncConnection[Any],
    since: date | datetime | None,
    until: date | datetime | None,
    when: date | datetime | int | None,
) -> Period:
    book_days = await read_days(connection)
    begin = since if since is None or isinstance(since, datetime) else book_days.start(since)
    if until is None or isinstance(until, datetime):
        end, is_reversed = until, begin is not None and until is not None and begin > until
    else:
        end = book_days.start(until + timedelta(days=1))
        is_reversed = begin is not None and begin >= end
    if is_reversed:
        raise InvalidInput("to", "must not be before from")
    return Period(await resolve_as_of(connection, when), begin, end)
