"""`tollgate ledger trial-balance [--as-of]`: every ledger account; the sum is zero."""

import argparse
from collections.abc import Iterable, Iterator

from admin_api.books.operations import books
from ledger.money import format_usd
from projections.books.trial_balance import LedgerTotal
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import OK
from tollgate.commands.ledger.balance import say_as_of

HEADS = ("LEDGER ACCOUNT", "DEBITS", "CREDITS", "NET", "POSTINGS")


def rows(totals: Iterable[LedgerTotal]) -> Iterator[tuple[object, ...]]:
    """A row of HEADS for every ledger account."""
    for total in totals:
        yield (
            total.account,
            format_usd(total.debits_nanos),
            format_usd(total.credits_nanos),
            format_usd(total.net_nanos),
            total.postings,
        )


def sum_of(totals: Iterable[LedgerTotal]) -> LedgerTotal:
    """All of them together."""
    total = LedgerTotal("sum")
    for each in totals:
        total = total.changed(each.debits_nanos, each.credits_nanos, each.postings)
    return total


def run(arguments: argparse.Namespace) -> int:
    found = perform(arguments, lambda desk: books.trial_balance(desk, arguments.as_of))
    print_table(HEADS, rows([*found.totals, sum_of(found.totals)]))
    print(say_as_of(found.as_of))
    return OK
