"""`tollgate ledger journal [--day | --from --to]`: what each day debited and credited."""

import argparse

from admin_api.books.operations import books
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import DATA_DIR, OK, Action, UsageRefused, argument
from tollgate.commands.ledger.trial_balance import HEADS, rows, sum_of

FROM_DAY = argument("--from", dest="since", metavar="DAY", help="the first day: 2030-01-31")
TO_DAY = argument("--to", dest="until", metavar="DAY", help="the last day, included")


def _journal(arguments: argparse.Namespace) -> int:
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


COMMAND = Action(
    "journal",
    "what each day debited and credited; the last 31 days of the log unless others are named",
    _journal,
    (
        argument("--day", metavar="DAY", help="this one day: 2030-01-31"),
        FROM_DAY,
        TO_DAY,
        DATA_DIR,
    ),
)
