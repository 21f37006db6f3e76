"""`tollgate price set MODEL CLASS=USD ...`."""

import argparse
import sys

from admin_api.desk import Desk
from admin_api.prices.operations import prices
from admin_api.prices.operations.decisions import Decider
from tollgate.commands.at_the_desk import ACTOR, perform
from tollgate.commands.contract import OK
from tollgate.commands.price.books import (
    book_asked,
    opened_book,
    read_rates,
)


def run(arguments: argparse.Namespace) -> int:
    book_asked(arguments)
    given = read_rates(arguments.rate)

    async def work(desk: Desk) -> int:
        return await prices.set_price(
            desk,
            arguments.model,
            given,
            Decider(ACTOR, arguments.reason),
            book=await opened_book(desk, arguments),
            effective_from=arguments.effective_from,
        )

    print(f"version {perform(arguments, work, may_create=True)}")
    if "input" in given.rates and "output" not in given.rates:
        print("note: output has no price, so it is free", file=sys.stderr)
    return OK
