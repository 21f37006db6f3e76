"""What can be said of requests, one function of `actions.py` each."""

from tollgate.commands.arguments import BEFORE, DATA_DIR, LIMIT, SINCE, UNTIL
from tollgate.commands.contract import Action, argument

ACTIONS = (
    Action(
        "list",
        "closed calls, the last closed first",
        "tollgate.commands.request.actions:list_closed",
        (
            argument("--account", metavar="ACCOUNT", help="of this account"),
            argument("--key", metavar="KEY", help="of this key, by its id"),
            argument("--model", help="of this model"),
            argument("--channel", metavar="CHANNEL", help="answered by this channel"),
            argument("--status", choices=("settled", "refunded")),
            argument("--ending", help="how it ended, or why it was refunded"),
            SINCE,
            UNTIL,
            BEFORE,
            LIMIT,
            DATA_DIR,
        ),
    ),
)
