"""`tollgate price ratios`: the prices of a book as ratios, for `import-ratios` or elsewhere."""

import argparse
import json
import sys

from admin_api.desk import Desk
from admin_api.prices.operations.books import book_of
from admin_api.prices.operations.imports import ratio_views
from ledger.price_book.exact import write_exact
from ledger.price_book.ratio_view import RatioView
from ledger.price_book.ratios import MODEL_TABLES
from tollgate.commands.at_the_desk import perform
from tollgate.commands.contract import FINDINGS, OK


def run(arguments: argparse.Namespace) -> int:
    book = book_of(arguments.book)

    async def work(desk: Desk) -> list[tuple[str, RatioView]]:
        return await ratio_views(desk, book)

    views = perform(arguments, work)
    tables = {
        option: {
            model: write_exact(view.ratios[option])
            for model, view in views
            if option in view.ratios
        }
        for option in MODEL_TABLES
    }
    print(json.dumps(tables, indent=2, ensure_ascii=False))
    lost = [(model, each) for model, view in views for each in view.lost]
    for model, each in lost:
        print(f"{model}: {each}", file=sys.stderr)
    return FINDINGS if lost else OK
