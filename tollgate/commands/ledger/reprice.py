"""`tollgate ledger reprice`: what calls would have cost under other prices; nothing is written."""

import argparse
import secrets
from collections.abc import Sequence

import msgspec

from admin_api.adjustments.operations import proposal_id
from admin_api.corrections.operations.corrections import propose_correction
from admin_api.corrections.operations.reprices import (
    AskedReprice,
    KeptWhatIf,
    ToldSums,
    ToldWhatIf,
    answer,
    read_question,
)
from admin_api.desk import Desk
from admin_api.prices.operations.price_inputs import PriceInput
from ledger.streams.adjustment import Direction
from tollgate.commands.at_the_desk import identifier, pairs, perform, print_table
from tollgate.commands.contract import OK, UsageRefused
from tollgate.commands.operator_token import read_token, signed_in
from tollgate.commands.progress_bar import progress_bar

_HEADS = ("CALLS", "UP", "DOWN", "BEFORE", "AFTER", "DIFFERENCE")


def run(arguments: argparse.Namespace) -> int:
    asked = AskedReprice(
        book=arguments.book,
        prices_as_of=arguments.prices_as_of,
        prices=_prices(arguments.price),
        multipliers=pairs(arguments.multiplier),
        since=arguments.since,
        until=arguments.until,
        accounts=[identifier(each) for each in arguments.account],
        models=arguments.model,
    )
    direction: Direction | None = arguments.propose
    if direction is not None and not (arguments.code and arguments.reason):
        raise UsageRefused("--propose needs --code and --reason")
    token = None if direction is None else read_token()

    async def work(desk: Desk) -> tuple[KeptWhatIf, str | None]:
        question = await read_question(desk, asked)
        with progress_bar("repriced") as progress:
            kept = await answer(desk, question, progress)
        if token is None or direction is None:
            return kept, None
        operator = await signed_in(desk, token, "adjustments:propose")
        proposed = await propose_correction(
            desk,
            kept.proposals[direction],
            code=arguments.code,
            reason=arguments.reason,
            adjustment_id=proposal_id(operator.actor, "correct", secrets.token_hex(16)),
            actor=operator.actor,
        )
        return kept, str(proposed.adjustment_id)

    kept, adjustment_id = perform(arguments, work)
    if arguments.json:
        told = msgspec.to_builtins(kept.answer) | {"proposed": adjustment_id}
        print(msgspec.json.encode(told).decode())
    else:
        _print(kept.answer, adjustment_id)
    return OK


def _prices(given: Sequence[Sequence[str]]) -> dict[str, PriceInput]:
    """`--price MODEL input=2.50 output=10`, each."""
    return {model: PriceInput(pairs(rates)) for model, *rates in given}


def _print(told: ToldWhatIf, adjustment_id: str | None) -> None:
    first, last = told.positions
    print(f"calls that ended at positions {first} to {last}, as of position {told.as_of}; in USD")
    if told.prices_as_of is not None:
        print(f"prices of {told.prices_as_of}")
    print()
    models = [(each.model, *_cells(each.sums)) for each in told.models]
    print_table(("MODEL", *_HEADS), [*models, ("sum", *_cells(told.total))])
    if told.accounts:
        print()
        print_table(
            ("ACCOUNT", *_HEADS), [(each.account, *_cells(each.sums)) for each in told.accounts]
        )
    print(f"{told.changed_accounts} accounts would change, {told.unchanged_accounts} would not")
    calls = [*told.raised[:5], *told.lowered[:5]]
    if calls:
        print()
        print_table(
            ("REQUEST", "MODEL", "BEFORE", "AFTER", "DIFFERENCE"),
            [(one.request, one.model, one.before, one.after, one.difference) for one in calls],
        )
    if told.unpriced:
        print()
        print_table(
            ("NOT REPRICED", "SERVICE", "WHY", "CALLS", "PAID"),
            [
                (one.model, one.service or "-", one.cause, one.calls, one.paid)
                for one in told.unpriced
            ],
        )
        print(
            f"{told.unpriced_calls} calls are in no sum above, {told.unpriced_paid} USD were paid"
        )
    if adjustment_id is None:
        print("nothing was written")
    else:
        print(f"proposed as correction {adjustment_id}: another operator must approve it")


def _cells(sums: ToldSums) -> tuple[object, ...]:
    return (
        sums.calls,
        sums.raised_calls,
        sums.lowered_calls,
        sums.before,
        sums.after,
        sums.difference,
    )
