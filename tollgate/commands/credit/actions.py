"""`tollgate credit`: put money on an account."""

import argparse
import secrets

from admin_api.credits.operations import Idempotency, NewCredit, grant_credit
from tollgate.commands.at_the_desk import ACTOR, identifier, perform
from tollgate.commands.contract import OK


def add(arguments: argparse.Namespace) -> int:
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
