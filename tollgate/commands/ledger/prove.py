"""`tollgate ledger prove`: a file that proves an event, the growth of the log, or an account."""

import argparse

from admin_api.desk import Desk
from admin_api.integrity import operations as integrity
from tollgate.commands.at_the_desk import identifier, perform
from tollgate.commands.contract import OK, UsageRefused
from tollgate.commands.ledger.checkpoint import put


def run(arguments: argparse.Namespace) -> int:
    wanted = (arguments.event, arguments.account, arguments.consistency)
    if sum(each is not None for each in wanted) != 1:
        raise UsageRefused("give a position or an id, or --account, or --consistency")
    proof = perform(arguments, lambda desk: _proof(desk, arguments))
    put(proof, arguments.out, is_replacing=arguments.force)
    return OK


async def _proof(desk: Desk, arguments: argparse.Namespace) -> str:
    if arguments.event is not None:
        return (await integrity.read_receipt(desk, arguments.event)).text()
    if arguments.account is not None:
        return (await integrity.read_account_file(desk, identifier(arguments.account))).decode()
    old, new = arguments.consistency
    if not 1 <= old <= new <= integrity.POSITION_MAX:
        raise UsageRefused("--consistency takes two sizes, the smaller one first")
    return (await integrity.read_consistency(desk, old, new)).text()
