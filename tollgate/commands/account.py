"""`tollgate account`: open accounts and list them."""

import argparse

from admin_api.accounts import operations as accounts
from ledger.money import format_usd
from tollgate.commands.at_the_desk import ACTOR, identifier, perform, print_table
from tollgate.commands.contract import DATA_DIR, OK, Action, Group, argument

_PAGE = 200


def _add(arguments: argparse.Namespace) -> int:
    print(
        perform(
            arguments,
            lambda desk: accounts.open_account(desk, name=arguments.name, actor=ACTOR),
        )
    )
    return OK


def _list(arguments: argparse.Namespace) -> int:
    views = perform(
        arguments, lambda desk: accounts.list_accounts(desk, after=arguments.after, limit=_PAGE)
    )
    print_table(
        ("ID", "NAME", "GROUP", "STATE", "POSITION"),
        (
            (
                view.account_id,
                view.name or "-",
                view.group,
                "suspended" if view.is_suspended else "active",
                view.position,
            )
            for view in views
        ),
    )
    if len(views) == _PAGE:
        print(f"more: --after {views[-1].position}")
    return OK


def print_balance(arguments: argparse.Namespace) -> int:
    """What `arguments.account` has, holds and may spend, in USD."""
    account_id = identifier(arguments.account)
    balance = perform(arguments, lambda desk: accounts.balance(desk, account_id))
    print(f"posted     {format_usd(balance.posted_nanos)} USD")
    print(f"held       {format_usd(balance.held_nanos)} USD")
    print(f"available  {format_usd(balance.available_nanos)} USD")
    print(f"position   {balance.position}")
    return OK


ACCOUNT = argument("account", metavar="ACCOUNT", help="the account's id")

COMMAND = Group(
    "account",
    "open accounts and see what they have",
    (
        Action("add", "open an account; prints its id", _add, (argument("name"), DATA_DIR)),
        Action(
            "list",
            "list accounts",
            _list,
            (argument("--after", type=int, default=0, metavar="POSITION"), DATA_DIR),
        ),
        Action("balance", "what an account has", print_balance, (ACCOUNT, DATA_DIR)),
    ),
)
