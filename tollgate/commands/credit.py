"""`tollgate credit`: put money on an account."""

import argparse
import secrets
from typing import get_args

from admin_api.credits.operations import Idempotency, Kind, NewCredit, grant_credit
from tollgate.commands.account import ACCOUNT
from tollgate.commands.at_the_desk import ACTOR, identifier, perform
from tollgate.commands.contract import DATA_DIR, OK, Action, Group, argument


def _add(arguments: argparse.Namespace) -> int:
    account_id = identifier(arguments.account)
    key = arguments.idempotency_key or secrets.token_hex(16)
    wanted = NewCredit(
        arguments.amount,
        arguments.reason,
        arguments.source,
        arguments.method,
        arguments.reference,
    )
    position = perform(
        arguments,
        lambda desk: grant_credit(
            desk,
            account_id,
            wanted,
            idempotency=Idempotency(ACTOR, "credit", key),
            actor=ACTOR,
        ),
    )
    print(f"position {position}")
    return OK


COMMAND = Group(
    "credit",
    "put money on accounts",
    (
        Action(
            "add",
            "credit an account; prints the position in the ledger",
            _add,
            (
                ACCOUNT,
                argument("amount", help="in USD, as in 12.50"),
                argument(
                    "--source",
                    choices=get_args(Kind),
                    required=True,
                    help="where it comes from: paid by hand or by --method, a gift, an import",
                ),
                argument("--method", default="", help="of a payment: stripe, bank, ..."),
                argument(
                    "--reference",
                    default="",
                    help="by what the payment is found there; statements show it",
                ),
                argument("--reason", default="manual", help="kept in the vault"),
                argument(
                    "--idempotency-key", metavar="KEY", help="the same key credits once, for ever"
                ),
                DATA_DIR,
            ),
        ),
    ),
)
