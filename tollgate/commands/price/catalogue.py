"""`tollgate price catalogue`: what providers ask, by the installed catalogue."""

import argparse
import asyncio

from admin_api.prices.operations.imports import search_catalogue
from ledger import clock
from ledger.price_book.catalogue import PACKAGE, Dated
from tollgate.commands.at_the_desk import print_table
from tollgate.commands.contract import OK
from tollgate.commands.price.books import written_rates

_ALL = 1_000_000


def run(arguments: argparse.Namespace) -> int:
    searching = search_catalogue(arguments.provider, arguments.search, 0, _ALL)
    known, entries, found = asyncio.run(searching)
    now_us = clock.now_us()
    print_table(
        ("MODEL", "USD PER MILLION"),
        (
            (f"{entry.provider}:{entry.model}", _told(entry.at(now_us), bool(entry.after(now_us))))
            for entry in entries
        ),
    )
    print(f"{found} models of {PACKAGE} {known.package_version}")
    return OK


def _told(dated: Dated, is_announced: bool) -> str:
    if dated.price is None:
        return f"(not expressed: {dated.refusal})"
    beside = f" (beside: {', '.join(dated.not_expressed)})" if dated.not_expressed else ""
    return written_rates(dated.price) + beside + (" (a change is announced)" * is_announced)
