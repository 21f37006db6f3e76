"""`tollgate ledger prove`: a file that proves an event, the growth of the log, or an account."""

import argparse

from admin_api.desk import Desk
from admin_api.integrity import operations as integrity
from tollgate.commands.at_the_desk import identifier, perform
from tollgate.commands.contract import DATA_DIR, OK, Action, UsageRefused, argument
from tollgate.commands.ledger.checkpoint import put
from tollgate.commands.out_file import FORCE


def _prove(arguments: argparse.Namespace) -> int:
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


COMMAND = Action(
    "prove",
    "a file with which anybody can check an event offline (tollgate verify)",
    _prove,
    (
        argument(
            "event",
            metavar="POSITION|ID",
            nargs="?",
            help="an event's position, or the id of a request or a credit (ID:VERSION)",
        ),
        argument("--account", metavar="ID", help="all events of an account, and their balance"),
        argument(
            "--consistency",
            metavar=("OLD", "NEW"),
            nargs=2,
            type=int,
            help="that nothing was changed between two sizes of the log",
        ),
        argument("--out", metavar="FILE", help="write it there, as in payment.tlog-proof"),
        FORCE,
        DATA_DIR,
    ),
)
