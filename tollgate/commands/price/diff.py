"""`tollgate price diff BOOK`: what publishing a draft would change."""

import argparse

from admin_api.desk import Desk
from admin_api.prices.operations.books import Compared, compare, draft_of
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import OK
from tollgate.commands.price.books import written_changes


def run(arguments: argparse.Namespace) -> int:
    draft = draft_of(arguments.book)

    async def work(desk: Desk) -> list[Compared]:
        return await compare(desk, draft)

    print_table(
        ("MODEL", "OUTCOME", "CHANGES"),
        (
            (each.model, each.outcome, written_changes(each.changes))
            for each in perform(arguments, work)
        ),
    )
    return OK
