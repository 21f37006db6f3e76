"""What can be said of settings, one function of `actions.py` each."""

from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action, argument

ACTIONS = (
    Action(
        "list",
        "every setting, and what it is now",
        "tollgate.commands.setting.actions:list_settings",
        (DATA_DIR,),
    ),
    Action(
        "set",
        "change one",
        "tollgate.commands.setting.actions:set_value",
        (
            argument("name"),
            argument("value"),
            argument("--reason", default="", help="a code, kept in the ledger: one_operator"),
            DATA_DIR,
        ),
    ),
)
