"""`tollgate ledger profit`: what calls brought in, and what they cost us."""

import argparse

from admin_api.books.operations import books
from ledger.money import format_usd
from projections.books.profit import Profit
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import OK


def run(arguments: argparse.Namespace) -> int:
    report = perform(
        arguments,
        lambda desk: books.profit(
            desk, arguments.by, arguments.since, arguments.until, daily=arguments.daily
        ),
    )
    days = ("DAY",) if arguments.daily else ()
    heads = (*days, arguments.by.upper(), "CALLS", "REVENUE", "COST", "PROFIT", "COST UNKNOWN")
    table = [
        (*((line.day,) if arguments.daily else ()), line.name or "-", *_sums(line.profit))
        for line in report.lines
    ]
    print_table(heads, [*table, (*("" for _ in days), "sum", *_sums(report.total))])
    print(f"everything up to position {report.position} is counted")
    return OK


def _sums(profit: Profit) -> tuple[object, ...]:
    return (
        profit.calls,
        format_usd(profit.revenue_nanos),
        format_usd(profit.cost_nanos),
        format_usd(profit.profit_nanos),
        profit.calls - profit.costed_calls,
    )
