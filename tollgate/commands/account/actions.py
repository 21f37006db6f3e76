"""`tollgate account`: open accounts, change them and list them."""

import argparse

from admin_api.accounts import operations as accounts
from admin_api.accounts.operations import AccountChanges, AccountView
from admin_api.fields import inputs
from ledger.money import format_usd, parse_usd
from tollgate.commands.at_the_desk import ACTOR, identifier, perform, print_table
from tollgate.commands.contract import OK

_PAGE = 200
_LIMITS = ("overdraft", "day", "week", "month")
_NONE = "none"


def add(arguments: argparse.Namespace) -> int:
    print(
        perform(
            arguments,
            lambda desk: accounts.open_account(desk, name=arguments.name, actor=ACTOR),
            may_create=True,
        )
    )
    return OK


def list_accounts(arguments: argparse.Namespace) -> int:
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


def change(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    given = {name: getattr(arguments, name) for name in _LIMITS}
    limits_nanos = {
        f"{name}_nanos": _no_limit(name) if amount == _NONE else parse_usd(amount)
        for name, amount in given.items()
        if amount is not None
    }
    reason = arguments.reason and inputs.reason_code("reason", arguments.reason)
    changes = AccountChanges(arguments.name, arguments.group, limits_nanos)
    view = perform(
        arguments,
        lambda desk: accounts.change_account(desk, account_id, changes, actor=ACTOR, reason=reason),
    )
    _print_one(view)
    return OK


def suspend(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    _print_one(
        perform(arguments, lambda desk: accounts.suspend_account(desk, account_id, actor=ACTOR))
    )
    return OK


def resume(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    _print_one(
        perform(arguments, lambda desk: accounts.resume_account(desk, account_id, actor=ACTOR))
    )
    return OK


def _no_limit(name: str) -> int | None:
    return 0 if name == "overdraft" else None


def _print_one(view: AccountView) -> None:
    limits = view.limits
    print(f"name       {view.name or '-'}")
    print(f"group      {view.group}")
    print(f"state      {'suspended' if view.is_suspended else 'active'}")
    print(f"overdraft  {format_usd(limits.overdraft_nanos)} USD")
    for period, nanos in (
        ("day", limits.day_nanos),
        ("week", limits.week_nanos),
        ("month", limits.month_nanos),
    ):
        print(f"{period:9}  {'no limit' if nanos is None else f'{format_usd(nanos)} USD'}")


def print_balance(arguments: argparse.Namespace) -> int:
    """What `arguments.account` has, holds and may spend, in USD."""
    account_id = identifier(arguments.account)
    balance = perform(arguments, lambda desk: accounts.balance(desk, account_id))
    print(f"posted     {format_usd(balance.posted_nanos)} USD")
    print(f"held       {format_usd(balance.held_nanos)} USD")
    print(f"available  {format_usd(balance.available_nanos)} USD")
    print(f"position   {balance.position}")
    return OK
