"""`tollgate price list`: the prices in force in a book."""

import argparse

from admin_api.desk import Desk
from admin_api.prices.operations import prices
from ledger.streams.price import PriceSet
from tollgate.commands.at_the_desk import perform, print_table
from tollgate.commands.contract import OK
from tollgate.commands.price.books import book_asked, opened_book, written_rates


def run(arguments: argparse.Namespace) -> int:
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
