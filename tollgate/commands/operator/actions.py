"""`tollgate operator`: people and programs at the desk."""

import argparse

from admin_api.desk import Desk
from admin_api.operators import operations as operators
from admin_api.operators.operations import OperatorView
from tollgate.commands.at_the_desk import ACTOR, identifier, perform, print_table
from tollgate.commands.contract import OK


def list_operators(arguments: argparse.Namespace) -> int:
    _print(perform(arguments, operators.list_operators))
    return OK


def add(arguments: argparse.Namespace) -> int:
    new = perform(
        arguments,
        lambda desk: operators.register_operator(
            desk, name=arguments.name, role=arguments.role, actor=ACTOR
        ),
        may_create=True,
    )
    print(new.user_id)
    print(new.token)
    return OK


def change(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    view = perform(
        arguments,
        lambda desk: operators.change_operator(
            desk, user_id, name=arguments.name, role=arguments.role, actor=ACTOR
        ),
    )
    _print([view])
    return OK


def disable(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    _print(
        [perform(arguments, lambda desk: operators.disable_operator(desk, user_id, actor=ACTOR))]
    )
    return OK


def enable(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    view = perform(arguments, lambda desk: operators.enable_operator(desk, user_id, actor=ACTOR))
    _print([view])
    return OK


def erase(arguments: argparse.Namespace) -> int:
    user_id = identifier(arguments.operator)
    view = perform(arguments, lambda desk: operators.erase_operator(desk, user_id, actor=ACTOR))
    _print([view])
    return OK


def reset_token(arguments: argparse.Namespace) -> int:
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
