"""What can be said: every command, its line of help, the function that does it, its arguments.

A new command is one file beside this one, and one entry here. A group of commands is a folder with
a registry of its own.
"""

from tollgate.commands.arguments import BEFORE, DATA_DIR, FROM_DAY, LIMIT, SINCE, TO_DAY, UNTIL
from tollgate.commands.contract import Action, Command, Group, argument

_HOST = argument("--host", help="the address to listen on (default: 0.0.0.0)")
_PORT = argument(
    "--port", help="the port to listen on; 0 takes a free one (default: PORT, or 3000)"
)
_WORKERS = argument("--workers", help="how many processes take calls (default: one per core)")
_BACKUP = argument("file", metavar="FILE", help="the backup, a tar.gz")

_VERIFY = (
    argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="what to check, taken together: .tlog-proof, checkpoints and the proof between "
        "them, `ledger prove --account`, `ledger export --format jsonl --what events`",
    ),
    argument(
        "--keys",
        metavar="FILE",
        required=True,
        help="whom to believe: a list of verifier keys, got when all was well",
    ),
    argument("--event", metavar="FILE", help="the entry of a receipt that does not have it"),
    argument(
        "--allow-unsealed",
        action="store_true",
        help="exit with 0 where the last events of a log are under no seal (otherwise with 4)",
    ),
    argument("--json", action="store_true", help="one JSON document instead of lines"),
)
_USAGE = (
    argument("--per", choices=("hour", "day", "total"), default="day", help="default: day"),
    argument(
        "--by",
        default="",
        metavar="NAMES",
        help="some of account,key,model,channel,group, with commas between",
    ),
    argument("--account", metavar="ACCOUNT", help="of this account"),
    argument("--key", metavar="KEY", help="of this key, by its id"),
    argument("--model", help="of this model"),
    argument("--channel", metavar="CHANNEL", help="answered by this channel"),
    argument("--group", help="at the prices of this group"),
    FROM_DAY,
    TO_DAY,
    DATA_DIR,
)
_ROUTE = (
    argument("who", metavar="ACCOUNT|KEY", help="the id of an account, or of one of its keys"),
    argument("model", metavar="MODEL", help="as a client would ask for it"),
    DATA_DIR,
)
_AUDIT = (
    argument("--actor", help="by this actor, as the list names it"),
    argument("--stream", metavar="ID", help="to this account, key, channel, ..."),
    argument("--account", metavar="ACCOUNT", help="of this account"),
    argument("--type", help="of this type of event, as the list names it"),
    SINCE,
    UNTIL,
    BEFORE,
    LIMIT,
    DATA_DIR,
)
_ALARMS = (
    argument("--kind", help="of this kind, as the list names it"),
    SINCE,
    UNTIL,
    BEFORE,
    LIMIT,
    DATA_DIR,
)
_RESTORE = (
    _BACKUP,
    argument(
        "--without-vault",
        action="store_true",
        help="restore although the CRYPTO_SECRET is another one: names and provider keys are lost",
    ),
    DATA_DIR,
)

COMMANDS: tuple[Command, ...] = (
    Action(
        "serve",
        "start the gateway and serve until stopped",
        "tollgate.commands.serve:run",
        (_HOST, _PORT, _WORKERS, DATA_DIR),
    ),
    Action(
        "demo",
        "serve on a throw-away directory, with an account, credit and a key",
        "tollgate.commands.demo:run",
        (_PORT, _WORKERS),
    ),
    Group(
        "account",
        "open accounts, change them and see what they have",
        "tollgate.commands.account.registry:ACTIONS",
    ),
    Group("key", "issue, list and revoke API keys", "tollgate.commands.key.registry:ACTIONS"),
    Group("credit", "put money on accounts", "tollgate.commands.credit.registry:ACTIONS"),
    Group(
        "operator",
        "people and programs at the desk",
        "tollgate.commands.operator.registry:ACTIONS",
    ),
    Group(
        "setting",
        "what holds for the whole installation",
        "tollgate.commands.setting.registry:ACTIONS",
    ),
    Group("channel", "the ways to providers", "tollgate.commands.channel.registry:ACTIONS"),
    Action(
        "route",
        "whom a call would be sent to, and why not the others",
        "tollgate.commands.route:run",
        _ROUTE,
    ),
    Group(
        "price",
        "what models cost: customers, and us",
        "tollgate.commands.price.registry:ACTIONS",
    ),
    Group(
        "request",
        "what was called, and what it cost",
        "tollgate.commands.request.registry:ACTIONS",
    ),
    Action(
        "usage",
        "requests, tokens and money; of the last 31 days of the log unless others are named",
        "tollgate.commands.usage:run",
        _USAGE,
    ),
    Group(
        "totals",
        "what accounts and keys came to since they were made",
        "tollgate.commands.totals.registry:ACTIONS",
    ),
    Action(
        "audit",
        "who did what, when and why; the newest first",
        "tollgate.commands.audit:run",
        _AUDIT,
    ),
    Action(
        "alarms",
        "what somebody should look at: money lost, usage in doubt; the newest first",
        "tollgate.commands.alarms:run",
        _ALARMS,
    ),
    Group("token", "the root operator's token", "tollgate.commands.token.registry:ACTIONS"),
    Group(
        "vault",
        "the secret that names and provider keys are sealed under",
        "tollgate.commands.vault.registry:ACTIONS",
    ),
    Group(
        "ledger",
        "the books: check, rebuild, report and prove, while the server runs or not",
        "tollgate.commands.ledger.registry:ACTIONS",
    ),
    Action(
        "verify",
        "check receipts, checkpoints, accounts or a whole exported log, offline",
        "tollgate.commands.verify:run",
        _VERIFY,
    ),
    Action(
        "doctor",
        "say what is wrong with this installation, and the remedy",
        "tollgate.commands.doctor:run",
        (DATA_DIR,),
    ),
    Action(
        "backup",
        "save the ledger and the sealed vault to a file",
        "tollgate.commands.backup:run",
        (_BACKUP, DATA_DIR),
    ),
    Action(
        "restore",
        "restore a backup into an empty installation, and check it",
        "tollgate.commands.restore:run",
        _RESTORE,
    ),
)
