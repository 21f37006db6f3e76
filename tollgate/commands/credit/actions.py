"""`tollgate credit`: put money on an account."""

import argparse
import secrets

from admin_api.credits.operations import (
    Credited,
    Idempotency,
    NewCredit,
    grant_credit,
    needs_approval,
)
from admin_api.desk import Desk
from tollgate.commands.at_the_desk import ACTOR, identifier, perform
from tollgate.commands.contract import OK
from tollgate.commands.operator_token import read_token, signed_in


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
    alone = Idempotency(ACTOR, "credit", key)
    is_proposal = perform(
        arguments, lambda desk: needs_approval(desk, account_id, wanted.amount, idempotency=alone)
    )
    token = read_token() if is_proposal else None

    async def work(desk: Desk) -> Credited:
        actor = ACTOR
        if token is not None:
            actor = (await signed_in(desk, token, "adjustments:propose")).actor
        idempotency = Idempotency(actor, "credit", key)
        return await grant_credit(
            desk,
            account_id,
            wanted,
            idempotency=idempotency,
            actor=actor,
            is_proposal=is_proposal,
        )

    credited = perform(arguments, work)
    if credited.adjustment_id is None:
        print(f"position {credited.position}")
        return OK
    print(f"proposed as {credited.adjustment_id}: nothing is credited yet")
    print(
        f"{wanted.amount} USD are more than one credits alone on a day (`tollgate setting list`); "
        f"another one approves it: tollgate ledger adjust approve {credited.adjustment_id}"
    )
    return OK
