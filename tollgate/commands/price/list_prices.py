"""`tollgate price list`: the prices in force in a book."""

import argparse

from admin_api.desk import Desk
from admin_api.prices.operations import prices
from ledger.streams.price import PriceSet
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import DATA_DIR, OK, Action
from tollgate.commands.price.books import BOOK, COST, book_asked, opened_book, written_rates


def _list(arguments: argparse.Namespace) -> int:
    book_asked(arguments)

    async def work(desk: Desk) -> list[tuple[int, PriceSet]]:
        return await prices.list_prices(desk, await opened_book(desk, arguments))

    print_table(
        ("MODEL", "VERSION", "USD PER MILLION"),
        (
            (event.model, version, written_rates(event.price))
            for version, event in perform(arguments, work)
        ),
    )
    return OK


COMMAND = Action("list", "list the prices in force", _list, (BOOK, *COST, DATA_DIR))
