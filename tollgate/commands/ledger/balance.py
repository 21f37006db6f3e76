"""`tollgate ledger balance ACCOUNT [--as-of]`."""

import argparse

from admin_api.books.operations import books
from ledger.money import format_usd
from projections.books.as_of import AsOf
from tollgate.commands.account.actions import print_balance
from tollgate.commands.at_the_desk import identifier, perform
from tollgate.commands.contract import OK


def say_as_of(as_of: AsOf) -> str:
    """What an answer is as of, in one line."""
    at = "" if as_of.recorded_at is None else f", recorded at {as_of.recorded_at.isoformat()}"
    note = "; the log had not come further" if as_of.beyond_head else ""
    day = (
        ""
        if as_of.day is None
        else f"; the end of {as_of.day} in {as_of.time_zone}, {as_of.moment.isoformat()}"
    )
    return f"as of position {as_of.position} of {as_of.head}{at}{day}{note}"


def run(arguments: argparse.Namespace) -> int:
    if arguments.as_of is None:
        return print_balance(arguments)
    account_id = identifier(arguments.account)
    balance, as_of = perform(
        arguments, lambda desk: books.balance_as_of(desk, account_id, arguments.as_of)
    )
    standing = balance.standing
    print(f"posted     {format_usd(standing.posted_nanos)} USD")
    print(f"held       {format_usd(standing.held_nanos)} USD")
    print(f"available  {format_usd(standing.available_nanos)} USD")
    print(f"position   {balance.position}")
    print(say_as_of(as_of))
    return OK
