"""An account's whole statement, and what it is as a PDF."""

import asyncio
import io
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from admin_api.accounts.operations import read_account
from admin_api.books.operations import books
from admin_api.books.operations.exports import read_period
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields.inputs import format_moment
from ledger.book_days import BookDays, read_days
from ledger.export.manifest import Manifest
from ledger.export.statement_file import LINES_MAX, NamedStatement, export_statement
from ledger.integrity.reading import read_last_sealed
from ledger.statement import Statement, StatementLine
from ledger.statement_summary import By, StatementSummary
from projections.books.statements import PAGE_LINES_MAX

LINES_AT_ONCE_MAX = 2_000
"""More lines than this take so long that they are a job."""

SUMMARISED_AT_ONCE_MAX = 20_000
"""Lines that are only summed take less."""


@dataclass(frozen=True, slots=True)
class StatementShape:
    """What of a statement is written: its lines, or what they come to by day, model or key, or
    both.
    """

    by: By | None = None
    with_lines: bool = True


def shape_of(by: By | None, with_lines: bool | None) -> StatementShape:
    """What was asked for; a summary stands for the lines unless they are wanted as well.

    Raises InvalidInput where nothing would be left.
    """
    if by is None and with_lines is False:
        raise InvalidInput("lines", "are left out of a summary only: say by what with `by`")
    return StatementShape(by, by is None or bool(with_lines))


async def whole_statement(
    desk: Desk,
    account_id: UUID,
    asked: books.StatementPeriod,
    shape: StatementShape = StatementShape(),
    lines_max: int = LINES_MAX,
) -> NamedStatement:
    """Every line of the period, as of one position, and their summary where it is wanted.

    Raises NotFound, InvalidInput for a period that is not in the past or has too many lines.
    """
    account = await read_account(desk, account_id)
    await require_past(desk, asked)
    first, as_of = await books.statement(desk, account_id, asked, limit=PAGE_LINES_MAX)
    moved = first.moved
    count = moved.credits + moved.charges + moved.adjustments
    if count > lines_max:
        raise InvalidInput(
            "from", f"the statement has {count} lines, at most {lines_max} may be asked for here"
        )
    lines: list[StatementLine] = list(first.lines)
    after = first.next_after
    # The days of the books may become others while it is read; moments and positions do not.
    pinned = books.StatementPeriod(_text(first.since), _text(first.until), str(as_of.position))
    while after is not None:
        page, _ = await books.statement(desk, account_id, pinned, after=after, limit=PAGE_LINES_MAX)
        lines += page.lines
        after = page.next_after
    statement = replace(first, lines=tuple(lines), next_after=None)
    statement.check()
    async with desk.reading() as connection:
        last = await read_last_sealed(connection)
        days = await read_days(connection)
    return NamedStatement(
        statement,
        account.name,
        as_of.recorded_at,
        checkpoint=None if last is None else last.sealed.note,
        time_zone=days.zone_at(as_of.moment),
        summary=None if shape.by is None else await _summed(statement, shape.by, days),
        with_lines=shape.with_lines,
    )


async def _summed(statement: Statement, by: By, days: BookDays) -> StatementSummary:
    summary = StatementSummary(by, days)
    await asyncio.to_thread(summary.take, statement.lines)
    summary.check(statement)
    return summary


async def statement_pdf(
    desk: Desk, account_id: UUID, asked: books.StatementPeriod, shape: StatementShape
) -> tuple[bytes, Manifest]:
    """A statement of moderate length as a PDF. Raises as `whole_statement`."""
    lines_max = LINES_AT_ONCE_MAX if shape.with_lines else SUMMARISED_AT_ONCE_MAX
    named = await whole_statement(desk, account_id, asked, shape, lines_max)
    return await asyncio.to_thread(_rendered, named)


async def summary_of(
    desk: Desk, account_id: UUID, asked: books.StatementPeriod, by: By
) -> NamedStatement:
    """A statement with what its lines come to. Raises as `whole_statement`."""
    shape = StatementShape(by, with_lines=False)
    return await whole_statement(desk, account_id, asked, shape, SUMMARISED_AT_ONCE_MAX)


async def require_past(desk: Desk, asked: books.StatementPeriod) -> None:
    """Raises InvalidInput for a period that has not begun, or is not one of times."""
    async with desk.reading() as connection:
        since, until = await read_period(connection, asked.since, asked.until)
    for field, bound in (("from", since), ("to", until)):
        if bound is not None and not isinstance(bound, datetime):
            raise InvalidInput(field, "must be a day of the books or a moment")


def file_name(account_id: UUID) -> str:
    """What the file of a statement is called."""
    return f"tollgate-statement-{account_id}.pdf"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else format_moment(moment)


def _rendered(named: NamedStatement) -> tuple[bytes, Manifest]:
    file = io.BytesIO()
    manifest = export_statement(file, named, file_name(named.statement.account_id))
    return file.getvalue(), manifest
