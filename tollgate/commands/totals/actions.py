"""`tollgate totals`: what accounts and keys came to since they were made."""

import argparse

from admin_api.fields.inputs import format_moment
from admin_api.totals.operations import account_totals, key_totals
from ledger.money import format_usd
from projections.views import accounts, keys
from tollgate.commands.at_the_desk import identifier, print_table
from tollgate.commands.contract import OK
from tollgate.commands.read_models import perform_caught_up


def list_accounts(arguments: argparse.Namespace) -> int:
    after = arguments.after and identifier(arguments.after)
    found, _ = perform_caught_up(
        arguments,
        (accounts.PROJECTION,),
        lambda desk: account_totals(desk, after=after, limit=arguments.limit),
    )
    print_table(
        (
            "ID",
            "NAME",
            "CREDITED",
            "CHARGED",
            "ADJUSTED",
            "HELD",
            "AVAILABLE",
            "REQUESTS",
            "REFUNDS",
        ),
        (
            (
                each.row.account_id,
                each.name or "-",
                format_usd(each.row.credited_nanos),
                format_usd(each.row.charged_nanos),
                format_usd(each.row.adjusted_nanos),
                format_usd(each.row.held_nanos),
                format_usd(each.row.available_nanos),
                each.row.requests,
                each.row.refunds,
            )
            for each in found
        ),
    )
    if len(found) == arguments.limit:
        print(f"more: --after {found[-1].row.account_id}")
    return OK


def list_keys(arguments: argparse.Namespace) -> int:
    account_id, after = identifier(arguments.account), arguments.after
    found, _ = perform_caught_up(
        arguments,
        (keys.PROJECTION,),
        lambda desk: key_totals(
            desk, account_id, after=after and identifier(after), limit=arguments.limit
        ),
    )
    print_table(
        ("ID", "NAME", "SPENT", "HELD", "REQUESTS", "LAST USED AT"),
        (
            (
                each.row.key_id,
                each.name or "-",
                format_usd(each.row.spent_nanos),
                format_usd(each.row.held_nanos),
                each.row.requests,
                "-" if each.row.last_used_at is None else format_moment(each.row.last_used_at),
            )
            for each in found
        ),
    )
    if len(found) == arguments.limit:
        print(f"more: --after {found[-1].row.key_id}")
    return OK
