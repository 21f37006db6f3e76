"""`tollgate ledger statement ACCOUNT`: how a balance came about, line by line."""

import argparse
from pathlib import Path
from uuid import UUID

from admin_api.books.operations import books
from admin_api.books.operations.statement_files import (
    StatementShape,
    shape_of,
    whole_statement,
)
from admin_api.desk import Desk
from admin_api.fields.inputs import format_moment
from ledger.book_days import read_days
from ledger.export.files import write_with_manifest
from ledger.export.manifest import manifest_path
from ledger.export.statement_file import export_statement
from ledger.money import format_usd
from ledger.statement import BalanceAt, Statement, StatementLine
from ledger.statement_summary import StatementSummary
from projections.books.statements import PAGE_LINES_MAX
from tollgate.commands.at_the_desk import identifier, perform, print_table
from tollgate.commands.contract import OK
from tollgate.commands.ledger.balance import say_as_of
from tollgate.commands.out_file import writing_to

_LINE = "{:>12}  {:27}  {:10}  {:>22}  {:>22}  {}"


def run(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    asked = books.StatementPeriod(arguments.since, arguments.until, arguments.as_of)
    if arguments.pdf is not None:
        return _write_pdf(arguments, account_id, asked)
    shape = shape_of(arguments.by, arguments.lines or None)
    perform(arguments, lambda desk: _print_pages(desk, account_id, asked, shape))
    return OK


def _write_pdf(
    arguments: argparse.Namespace, account_id: UUID, asked: books.StatementPeriod
) -> int:
    path = Path(arguments.pdf)
    with writing_to(path):
        shape = shape_of(arguments.by, arguments.lines or None)
        named = perform(arguments, lambda desk: whole_statement(desk, account_id, asked, shape))
        manifest = write_with_manifest(
            path,
            lambda file: export_statement(file, named, path.name),
            is_replacing=arguments.force,
        )
    print(
        f"{path}: {manifest.rows} rows, as of position {manifest.as_of_position}; "
        f"{manifest_path(path).name} tells what it is"
    )
    return OK


async def _print_pages(
    desk: Desk, account_id: UUID, asked: books.StatementPeriod, shape: StatementShape
) -> None:
    """Page by page, so that a statement of any length is printed in little memory.

    What is printed is the same whenever it is asked for as of the same position. All pages are as
    of the position of the first, and of the same moments: the log may grow, and the days of the
    books may become others meanwhile.
    """
    page, as_of = await books.statement(desk, account_id, asked, limit=PAGE_LINES_MAX)
    since = None if page.since is None else format_moment(page.since)
    until = None if page.until is None else format_moment(page.until)
    asked = books.StatementPeriod(since, until, str(as_of.position))
    async with desk.reading() as connection:
        days = await read_days(connection)
    summary = None if shape.by is None else StatementSummary(shape.by, days)
    print(_LINE.format("POSITION", "RECORDED AT", "KIND", "AMOUNT", "BALANCE", "WHAT"))
    _print_end("opening", page.opening)
    while True:
        if summary is not None:
            summary.take(page.lines)
        for line in page.lines if shape.with_lines else ():
            _print_line(line)
        if page.next_after is None:
            break
        page, _ = await books.statement(
            desk, account_id, asked, after=page.next_after, limit=PAGE_LINES_MAX
        )
    _print_end("closing", page.closing)
    _print_sums(page)
    if summary is not None:
        summary.check(page)
        _print_summary(summary)
    zones = ", then ".join(summary.time_zones) if summary is not None else ""
    told = say_as_of(as_of).replace(f" of {as_of.head}", "", 1)
    print(f"{told}; days in {zones}" if zones else told)


def _print_end(name: str, balance: BalanceAt) -> None:
    at = "" if balance.recorded_at is None else format_moment(balance.recorded_at)
    posted = format_usd(balance.standing.posted_nanos)
    print(_LINE.format(balance.position, at, name, "", posted, "").rstrip())


def _print_line(line: StatementLine) -> None:
    what = " ".join(part for part in (line.model, line.detail, str(line.reference)) if part)
    amount, balance = format_usd(line.amount_nanos), format_usd(line.balance_nanos)
    at = format_moment(line.recorded_at)
    print(_LINE.format(line.position, at, line.kind, amount, balance, what))


def _print_summary(summary: StatementSummary) -> None:
    print()
    print_table(
        (summary.by.upper(), "CALLS", "CHARGED", "CREDITED", "ADJUSTED", "CHANGE", "BALANCE"),
        (
            (
                row.label or "-",
                row.moved.charges,
                format_usd(row.moved.charged_nanos),
                format_usd(row.moved.credited_nanos),
                format_usd(row.moved.adjusted_nanos),
                format_usd(row.moved.posted_nanos),
                "-" if row.balance_nanos is None else format_usd(row.balance_nanos),
            )
            for row in summary.rows()
        ),
    )


def _print_sums(page: Statement) -> None:
    moved, closing = page.moved, page.closing.standing
    print(f"credited   {format_usd(moved.credited_nanos)} USD ({moved.credits})")
    print(f"charged    {format_usd(moved.charged_nanos)} USD ({moved.charges})")
    print(f"adjusted   {format_usd(moved.adjusted_nanos)} USD ({moved.adjustments})")
    print(f"held       {format_usd(closing.held_nanos)} USD ({closing.open_charges} open)")
    print(f"available  {format_usd(closing.available_nanos)} USD")
