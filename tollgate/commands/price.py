"""`tollgate price`: what models cost, in USD per million tokens."""

import argparse

from admin_api.operations import prices
from admin_api.operations.prices import CLASS_OF_FIELD
from ledger.money import format_usd
from tollgate.commands.at_the_desk import ACTOR, pairs, perform, print_table
from tollgate.commands.contract import DATA_DIR, OK, Action, Group, UsageRefused, argument


def _set(arguments: argparse.Namespace) -> int:
    rates = pairs(arguments.rate)
    unknown = sorted(set(rates) - set(CLASS_OF_FIELD))
    if unknown:
        raise UsageRefused(f"no such rate: {unknown[0]}; there are {', '.join(CLASS_OF_FIELD)}")
    version = perform(
        arguments,
        lambda desk: prices.set_price(
            desk,
            arguments.model,
            rates=rates,
            effective_from=arguments.effective_from,
            actor=ACTOR,
        ),
    )
    print(f"version {version}")
    return OK


def _list(arguments: argparse.Namespace) -> int:
    listed = perform(arguments, prices.list_prices)
    fields = {kind: field for field, kind in CLASS_OF_FIELD.items()}
    print_table(
        ("MODEL", "VERSION", "USD PER MILLION"),
        (
            (
                event.model,
                version,
                " ".join(
                    f"{fields[kind]}={format_usd(nanos)}"
                    for kind, nanos in event.price.rates.items()
                ),
            )
            for version, event in listed
        ),
    )
    return OK


COMMAND = Group(
    "price",
    "what models cost",
    (
        Action(
            "set",
            "price a model; prints the price's version",
            _set,
            (
                argument("model"),
                argument("rate", nargs="+", metavar="CLASS=USD", help="as in input=2.50 output=10"),
                argument("--effective-from", metavar="TIME", help="default: now"),
                DATA_DIR,
            ),
        ),
        Action("list", "list the prices in force", _list, (DATA_DIR,)),
    ),
)
