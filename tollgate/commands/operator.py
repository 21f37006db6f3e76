"""`tollgate operator`: people and programs at the desk."""

import argparse
from typing import get_args

from admin_api.desk import Desk
from admin_api.operators import operations as operators
from admin_api.operators.operations import OperatorView
from ledger.streams.user import Role
from tollgate.commands.at_the_desk import ACTOR, identifier, perform, print_table
from tollgate.commands.contract import DATA_DIR, OK, Action, Group, argument


def _list(arguments: argparse.Namespace) -> int:
    _print(perform(arguments, operators.list_operators))
    return OK


def _add(arguments: argparse.Namespace) -> int:
    new = perform(
        arguments,
        lambda desk: operators.register_operator(
            desk, name=arguments.name, role=arguments.role, actor=ACTOR
        ),
    )
    print(new.user_id)
    print(new.token)
    return OK


def _change(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    view = perform(
        arguments,
        lambda desk: operators.change_operator(
            desk, user_id, name=arguments.name, role=arguments.role, actor=ACTOR
        ),
    )
    _print([view])
    return OK


def _disable(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    _print(
        [perform(arguments, lambda desk: operators.disable_operator(desk, user_id, actor=ACTOR))]
    )
    return OK


def _enable(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    view = perform(arguments, lambda desk: operators.enable_operator(desk, user_id, actor=ACTOR))
    _print([view])
    return OK


def _erase(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    view = perform(arguments, lambda desk: operators.erase_operator(desk, user_id, actor=ACTOR))
    _print([view])
    return OK


def _token(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)

    async def reset(desk: Desk) -> str:
        return await operators.reset_token(desk, user_id, actor=ACTOR)

    print(perform(arguments, reset))
    return OK


def _print(views: list[OperatorView]) -> None:
    print_table(
        ("ID", "NAME", "ROLE", "STATE", "TOKENS"),
        (
            (
                view.user_id,
                view.name or "-",
                view.role,
                "erased" if view.is_erased else "disabled" if view.is_disabled else "active",
                view.tokens,
            )
            for view in views
        ),
    )


OPERATOR = argument("operator", metavar="OPERATOR", help="the operator's id")
ROLES = get_args(Role)

COMMAND = Group(
    "operator",
    "people and programs at the desk",
    (
        Action("list", "list operators", _list, (DATA_DIR,)),
        Action(
            "add",
            "register an operator; prints its id and its token, this once",
            _add,
            (argument("name"), argument("--role", choices=ROLES, required=True), DATA_DIR),
        ),
        Action(
            "change",
            "give another name or another role",
            _change,
            (OPERATOR, argument("--name"), argument("--role", choices=ROLES), DATA_DIR),
        ),
        Action("disable", "let nothing be done in this name", _disable, (OPERATOR, DATA_DIR)),
        Action("enable", "let it act again", _enable, (OPERATOR, DATA_DIR)),
        Action(
            "token",
            "revoke an operator's tokens and print a new one",
            _token,
            (OPERATOR, DATA_DIR),
        ),
        Action(
            "erase",
            "make what is personal unreadable, for good",
            _erase,
            (OPERATOR, DATA_DIR),
        ),
    ),
)
