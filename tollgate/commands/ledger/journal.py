"""`tollgate ledger journal [--day | --from --to]`: what each day debited and credited."""

import argparse

from admin_api.books.operations import books
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import OK, UsageRefused
from tollgate.commands.ledger.trial_balance import HEADS, rows, sum_of


def run(arguments: argparse.Namespace) -> int:
    since, until = arguments.since, arguments.until
    if arguments.day is not None:
        if since is not None or until is not None:
            raise UsageRefused("give either --day, or --from and --to")
        since = until = arguments.day
    found = perform(arguments, lambda desk: books.journal(desk, since, until))
    table = [
        (day.day.isoformat(), *row)
        for day in found.days
        if day.totals
        for row in rows([*day.totals, sum_of(day.totals)])
    ]
    print_table(("DAY", *HEADS), table)
    first, last = found.days[0], found.days[-1]
    print(
        f"{first.day} to {last.day}: positions {first.after + 1} to {last.until} of {found.head}"
        if last.until > first.after
        else f"{first.day} to {last.day}: no event of {found.head}"
    )
    return OK
