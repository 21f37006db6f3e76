"""`tollgate price publish BOOK`: a draft becomes what customers pay, all of it at once."""

import argparse

from admin_api.desk import Desk
from admin_api.prices.operations import books as price_books
from admin_api.prices.operations.books import draft_of
from admin_api.prices.operations.decisions import Decider, Version
from tollgate.commands.at_the_desk import ACTOR, perform
from tollgate.commands.contract import OK


def run(arguments: argparse.Namespace) -> int:
    draft = draft_of(arguments.book)
    decider = Decider(ACTOR, arguments.reason, published=draft)

    async def work(desk: Desk) -> list[Version]:
        return await price_books.publish(
            desk, draft, effective_from=arguments.effective_from, decider=decider
        )

    for each in perform(arguments, work):
        print(f"{each.model}: version {each.version}")
    return OK
