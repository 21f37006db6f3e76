"""`tollgate token reset`: a way back in for whoever owns the machine."""

import argparse

from admin_api.operations import operators
from tollgate.cli.at_the_desk import ACTOR, perform
from tollgate.cli.contract import DATA_DIR, OK, Action, Group


def _reset(arguments: argparse.Namespace) -> int:
    print(
        perform(
            arguments,
            lambda desk: operators.reset_token(desk, operators.ROOT_ID, actor=ACTOR),
        )
    )
    return OK


COMMAND = Group(
    "token",
    "the root operator's token",
    (
        Action(
            "reset",
            "revoke the root operator's tokens and print a new one",
            _reset,
            (DATA_DIR,),
        ),
    ),
)
