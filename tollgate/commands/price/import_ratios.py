"""`tollgate price import-ratios FILE`: ratios as new-api's operators know them, into prices."""

import argparse
import json
from decimal import Decimal
from pathlib import Path

from admin_api.desk import Desk
from admin_api.prices.operations.books import book_of
from admin_api.prices.operations.decisions import Decider
from admin_api.prices.operations.imports import Plan, carry_out, plan_ratios
from tollgate.commands.at_the_desk import ACTOR, perform
from tollgate.commands.contract import UsageRefused
from tollgate.commands.price.importing import told

_FILE_MAX_BYTES = 16_000_000


def run(arguments: argparse.Namespace) -> int:
    book = book_of(arguments.book)
    document = _read(Path(arguments.file))

    async def work(desk: Desk) -> Plan:
        plan = await plan_ratios(desk, book, document)
        if arguments.dry_run:
            return plan
        decider = Decider(ACTOR, arguments.reason)
        return await carry_out(desk, book, plan, decider, with_groups=arguments.with_groups)

    plan = perform(arguments, work, may_create=not arguments.dry_run)
    return told(plan, is_dry_run=arguments.dry_run)


def _read(path: Path) -> object:
    """The document in a file, its numbers with all their digits. Raises UsageRefused."""
    try:
        if path.stat().st_size > _FILE_MAX_BYTES:
            raise UsageRefused(f"{path} is larger than {_FILE_MAX_BYTES} bytes")
        return json.loads(path.read_text(), parse_float=Decimal)
    except OSError as refusal:
        raise UsageRefused(f"{path} cannot be read: {refusal.strerror}") from refusal
    except (ValueError, RecursionError) as refusal:
        raise UsageRefused(f"{path} is not JSON") from refusal
