"""`tollgate price import-catalogue`: prices of the catalogue into a book."""

import argparse

from admin_api.desk import Desk
from admin_api.prices.operations.books import book_of
from admin_api.prices.operations.decisions import Decider
from admin_api.prices.operations.imports import Plan, carry_out, find_entries, plan_catalogue
from tollgate.commands.at_the_desk import ACTOR, perform
from tollgate.commands.price.importing import told


def run(arguments: argparse.Namespace) -> int:
    book = book_of(arguments.book)

    async def work(desk: Desk) -> Plan:
        entries = await find_entries(arguments.models, arguments.provider)
        plan = await plan_catalogue(desk, book, entries)
        if arguments.dry_run:
            return plan
        return await carry_out(desk, book, plan, Decider(ACTOR, arguments.reason))

    plan = perform(arguments, work, may_create=not arguments.dry_run)
    return told(plan, is_dry_run=arguments.dry_run)
