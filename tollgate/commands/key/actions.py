"""`tollgate key`: issue, list and revoke the API keys of an account."""

import argparse

from admin_api.keys import operations as api_keys
from admin_api.keys.operations import TermsInput
from ledger.money import format_usd
from tollgate.commands.at_the_desk import ACTOR, identifier, perform, print_table
from tollgate.commands.contract import OK


def add(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    issued = perform(
        arguments,
        lambda desk: api_keys.issue_key(
            desk, account_id, name=arguments.name, terms=_terms(arguments), actor=ACTOR
        ),
    )
    print(f"{issued.key_id}\n{issued.secret}")
    return OK


def _terms(arguments: argparse.Namespace) -> TermsInput:
    terms = TermsInput()
    if arguments.limit is not None:
        terms["limit"] = arguments.limit
    if arguments.expires_at is not None:
        terms["expires_at"] = arguments.expires_at
    if arguments.model:
        terms["models"] = arguments.model
    if arguments.allowed_ip:
        terms["allowed_ips"] = arguments.allowed_ip
    if arguments.group is not None:
        terms["group"] = arguments.group
    if arguments.names_channels:
        terms["names_channels"] = True
    return terms


def list_keys(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    views = perform(arguments, lambda desk: api_keys.list_keys(desk, account_id))
    rows = []
    for view in views:
        issued = view.state.issued
        assert issued is not None
        rows.append(
            (
                view.key_id,
                view.name or "-",
                f"{issued.prefix}...{issued.last_four}",
                "revoked" if view.state.is_revoked else "active",
                format_usd(view.used_nanos),
            )
        )
    print_table(("ID", "NAME", "KEY", "STATE", "USED USD"), rows)
    return OK


def revoke(arguments: argparse.Namespace) -> int:
    key_id = identifier(arguments.key)
    perform(arguments, lambda desk: api_keys.revoke_key(desk, key_id, actor=ACTOR))
    return OK
