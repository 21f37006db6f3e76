"""What can be said of the root operator's token, one function of `actions.py` each."""

from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action

ACTIONS = (
    Action(
        "reset",
        "revoke the root operator's tokens and print a new one",
        "tollgate.commands.token.actions:reset",
        (DATA_DIR,),
    ),
)
