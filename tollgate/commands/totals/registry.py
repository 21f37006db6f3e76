"""What can be said of totals, one function of `actions.py` each."""

from tollgate.commands.arguments import ACCOUNT, DATA_DIR, LIMIT
from tollgate.commands.contract import Action, argument

_AFTER = argument("--after", metavar="ID", help="as a page says it of the next")

ACTIONS = (
    Action(
        "accounts",
        "what each was credited and charged, has and holds",
        "tollgate.commands.totals.actions:list_accounts",
        (_AFTER, LIMIT, DATA_DIR),
    ),
    Action(
        "keys",
        "what each key of an account spent, and when it was last used",
        "tollgate.commands.totals.actions:list_keys",
        (ACCOUNT, _AFTER, LIMIT, DATA_DIR),
    ),
)
