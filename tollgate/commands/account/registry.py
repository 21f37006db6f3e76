"""What can be said of accounts, one function of `actions.py` each."""

from tollgate.commands.arguments import ACCOUNT, DATA_DIR
from tollgate.commands.contract import Action, argument

ACTIONS = (
    Action(
        "add",
        "open an account; prints its id",
        "tollgate.commands.account.actions:add",
        (argument("name"), DATA_DIR),
    ),
    Action(
        "list",
        "list accounts",
        "tollgate.commands.account.actions:list_accounts",
        (argument("--after", type=int, default=0, metavar="POSITION"), DATA_DIR),
    ),
    Action(
        "change",
        "change an account's name, price group or limits",
        "tollgate.commands.account.actions:change",
        (
            ACCOUNT,
            argument("--name"),
            argument("--group", help="the price group of its calls"),
            argument("--overdraft", metavar="USD", help="how far below nothing it may go"),
            argument("--day", metavar="USD", help="what it may spend in a day, or none"),
            argument("--week", metavar="USD", help="in a week, or none"),
            argument("--month", metavar="USD", help="in a month, or none"),
            argument(
                "--reason",
                default="",
                metavar="CODE",
                help="needed for a larger overdraft, and for a group that pays less",
            ),
            DATA_DIR,
        ),
    ),
    Action(
        "suspend",
        "let it make no new calls",
        "tollgate.commands.account.actions:suspend",
        (ACCOUNT, DATA_DIR),
    ),
    Action(
        "resume",
        "let it make calls again",
        "tollgate.commands.account.actions:resume",
        (ACCOUNT, DATA_DIR),
    ),
    Action(
        "balance",
        "what an account has",
        "tollgate.commands.account.actions:print_balance",
        (ACCOUNT, DATA_DIR),
    ),
)
