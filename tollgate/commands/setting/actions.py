"""`tollgate setting`: what holds for the whole installation, with its history in the ledger."""

import argparse

from admin_api.settings import operations as settings
from tollgate.commands.at_the_desk import ACTOR, perform, print_table
from tollgate.commands.contract import OK


def list_settings(arguments: argparse.Namespace) -> int:
    views = perform(arguments, settings.list_settings)
    print_table(("NAME", "VALUE", "WHAT"), ((view.name, view.value, view.about) for view in views))
    return OK


def set_value(arguments: argparse.Namespace) -> int:
    view = perform(
        arguments,
        lambda desk: settings.change_setting(
            desk,
            arguments.name,
            value=arguments.value,
            actor=ACTOR,
            reason=arguments.reason,
        ),
        may_create=True,
    )
    print(f"{view.name} = {view.value}")
    return OK
