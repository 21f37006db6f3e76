"""What can be said of operators, one function of `actions.py` each."""

from typing import get_args

from ledger.streams.user import Role
from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action, argument

_OPERATOR = argument("operator", metavar="OPERATOR", help="the operator's id")

ACTIONS = (
    Action(
        "list",
        "list operators",
        "tollgate.commands.operator.actions:list_operators",
        (DATA_DIR,),
    ),
    Action(
        "add",
        "register an operator; prints its id and its token, this once",
        "tollgate.commands.operator.actions:add",
        (argument("name"), argument("--role", choices=get_args(Role), required=True), DATA_DIR),
    ),
    Action(
        "change",
        "give another name or another role",
        "tollgate.commands.operator.actions:change",
        (_OPERATOR, argument("--name"), argument("--role", choices=get_args(Role)), DATA_DIR),
    ),
    Action(
        "disable",
        "let nothing be done in this name",
        "tollgate.commands.operator.actions:disable",
        (_OPERATOR, DATA_DIR),
    ),
    Action(
        "enable",
        "let it act again",
        "tollgate.commands.operator.actions:enable",
        (_OPERATOR, DATA_DIR),
    ),
    Action(
        "token",
        "revoke an operator's tokens and print a new one",
        "tollgate.commands.operator.actions:reset_token",
        (_OPERATOR, DATA_DIR),
    ),
    Action(
        "erase",
        "make what is personal unreadable, for good",
        "tollgate.commands.operator.actions:erase",
        (_OPERATOR, DATA_DIR),
    ),
)
