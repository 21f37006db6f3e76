"""`tollgate token reset`: a way back in for whoever owns the machine."""

import argparse

from admin_api.desk import Desk
from admin_api.operators import operations as operators
from tollgate.commands.at_the_desk import ACTOR, perform
from tollgate.commands.contract import OK


def reset(arguments: argparse.Namespace) -> int:
    print(perform(arguments, _fresh_token, may_create=True))
    return OK


async def _fresh_token(desk: Desk) -> str:
    # On an installation that was never served there is no root operator yet.
    first = await operators.open_root(desk, None, actor=ACTOR)
    return first or await operators.reset_token(desk, operators.ROOT_ID, actor=ACTOR)
