"""What can be said of keys, one function of `actions.py` each."""

from tollgate.commands.arguments import ACCOUNT, DATA_DIR
from tollgate.commands.contract import Action, argument

ACTIONS = (
    Action(
        "add",
        "issue a key; prints its id and, this once, the key",
        "tollgate.commands.key.actions:add",
        (
            ACCOUNT,
            argument("name"),
            argument("--limit", metavar="USD", help="the most it may ever spend"),
            argument("--expires-at", metavar="TIME", help="as in 2030-01-31T00:00:00Z"),
            argument(
                "--model", action="append", metavar="MODEL", help="may use it; repeat for more"
            ),
            argument(
                "--allowed-ip", action="append", metavar="CIDR", help="may come from there; repeat"
            ),
            argument("--group", help="the price group, if not the account's"),
            argument(
                "--names-channels",
                action="store_true",
                help="sent as KEY-CHANNEL, with a channel's id, it asks that channel alone",
            ),
            DATA_DIR,
        ),
    ),
    Action(
        "list",
        "list an account's keys",
        "tollgate.commands.key.actions:list_keys",
        (ACCOUNT, DATA_DIR),
    ),
    Action(
        "revoke",
        "close a key for ever",
        "tollgate.commands.key.actions:revoke",
        (argument("key"), DATA_DIR),
    ),
)
