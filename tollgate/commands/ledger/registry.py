"""`tollgate ledger`: what finance and auditors do with the books, while the server runs or not.

One file per action, and one entry here.
"""

from typing import get_args

from ledger.export.formats.registry import FORMATS as EXPORTED
from ledger.export.selection import What
from ledger.streams.adjustment import Direction, Reason
from projections.reconciliation.registry import FORMATS as RECONCILED
from tollgate.commands.arguments import ACCOUNT, DATA_DIR, FROM_DAY, LIMIT, SINCE, TO_DAY, UNTIL
from tollgate.commands.contract import Action, Command, Group, argument

_AS_OF = argument(
    "--as-of",
    dest="as_of",
    metavar="T|DAY|P",
    help="as of this moment, the end of this day of the books, or this position: "
    "2030-01-31T12:00:00Z, 2030-01-31, 4182934",
)
_FORCE = argument("--force", action="store_true", help="replace a file that is there")

_STATEMENT = (
    ACCOUNT,
    argument(
        "--from",
        dest="since",
        metavar="T",
        help="from this day or moment on: 2030-01-31, 2030-01-31T12:00:00Z",
    ),
    argument(
        "--to",
        dest="until",
        metavar="T",
        help="up to the end of this day, or until before this moment",
    ),
    _AS_OF,
    argument("--by", choices=("day", "model", "key"), help="a summary in place of the lines"),
    argument("--lines", action="store_true", help="the lines beside the summary"),
    argument("--pdf", metavar="FILE", help="as a PDF for people, with a manifest beside it"),
    _FORCE,
    DATA_DIR,
)

_EXPORT = (
    argument("--format", choices=tuple(EXPORTED), help="of the file"),
    argument("--out", metavar="FILE", help="where to; its manifest is FILE.manifest.json"),
    argument("--what", choices=get_args(What), help="default: what the format is best for"),
    argument("--account", metavar="ID", help="events of this account only"),
    argument("--type", metavar="TYPE", help="events of this type only"),
    argument(
        "--from",
        dest="since",
        metavar="T|P",
        help="from this position, day or moment on: 1200, 2030-01-31, 2030-01-31T12:00:00Z",
    ),
    argument(
        "--to",
        dest="until",
        metavar="T|P",
        help="up to this position, to the end of this day, or until before this moment",
    ),
    _FORCE,
    argument("--check", metavar="FILE", help="is it what was exported? needs no server"),
    DATA_DIR,
)

_RECONCILE = (
    argument("file", metavar="FILE", help="the export, as the provider gave it"),
    argument(
        "--format",
        required=True,
        choices=tuple(RECONCILED),
        help="; ".join(f"{each.name}: {each.help}" for each in RECONCILED.values()),
    ),
    argument("--mapping", metavar="FILE", help="JSON: names of models; columns of a table"),
    argument(
        "--channel",
        metavar="ID",
        action="append",
        default=[],
        help="a channel it is about; again for more (default: those of the provider's type)",
    ),
    argument("--provider-type", metavar="TYPE", help="all channels of this type"),
    argument("--from", dest="since", metavar="DAY", help="the first day, in UTC"),
    TO_DAY,
    argument(
        "--tolerance-bp",
        metavar="N",
        type=int,
        default=0,
        help="let differences pass of up to N basis points of their figure",
    ),
    argument(
        "--tolerance-usd",
        metavar="X",
        default="0",
        help="and, for amounts, of so many dollars more",
    ),
    argument("--json", action="store_true", help="print the whole report as JSON"),
    argument("--out", metavar="FILE", help="write all lines as CSV"),
    DATA_DIR,
)

_REPRICE = (
    argument("--book", help="a book of prices: sale is what customers pay"),
    argument(
        "--prices-as-of",
        metavar="T|DAY",
        default="now",
        help="when the book is read: `now` (default), `admission` of each call, a moment, or the "
        "end of a day",
    ),
    argument(
        "--price",
        nargs="+",
        action="append",
        default=[],
        metavar=("MODEL", "RATE"),
        help="this model at these rates, as in gpt-4o input=2.50 output=10; again for more",
    ),
    argument(
        "--multiplier",
        action="append",
        default=[],
        metavar="GROUP=X",
        help="this group at this multiplier; again for more",
    ),
    argument("--from", dest="since", metavar="P|DAY|T", help="the first position, day, moment"),
    argument("--to", dest="until", metavar="P|DAY|T", help="the last; of a moment, before it"),
    argument("--account", action="append", default=[], metavar="ID", help="again for more"),
    argument("--model", action="append", default=[], help="again for more"),
    argument("--json", action="store_true", help="print the whole answer as JSON"),
    argument(
        "--propose",
        choices=get_args(Direction),
        help="propose the differences as a correction, all of them or only those in the "
        "customer's favour; an operator's token is read from standard input",
    ),
    argument("--code", choices=get_args(Reason), help="why it is proposed, as a code"),
    argument("--reason", help="why, for people; kept in the vault"),
    DATA_DIR,
)

_PROVE = (
    argument(
        "event",
        metavar="POSITION|ID",
        nargs="?",
        help="an event's position, or the id of a request or a credit (ID:VERSION)",
    ),
    argument("--account", metavar="ID", help="all events of an account, and their balance"),
    argument(
        "--consistency",
        metavar=("OLD", "NEW"),
        nargs=2,
        type=int,
        help="that nothing was changed between two sizes of the log",
    ),
    argument("--out", metavar="FILE", help="write it there, as in payment.tlog-proof"),
    _FORCE,
    DATA_DIR,
)

ACTIONS: tuple[Command, ...] = (
    Action(
        "fsck",
        "check everything against the log",
        "tollgate.commands.ledger.fsck:run",
        (
            argument("--json", action="store_true", help="one JSON document instead of lines"),
            argument(
                "--without-vault",
                action="store_true",
                help="the vault was not restored: ask for no reasons of credits and adjustments",
            ),
            DATA_DIR,
        ),
    ),
    Action(
        "rebuild",
        "fold read models anew from the log, or the budgets that holds are decided by",
        "tollgate.commands.ledger.rebuild:run",
        (
            argument(
                "names", nargs="*", metavar="NAME", help="default: all read models; or budget"
            ),
            argument(
                "--compare", action="store_true", help="only tell what a replay gives otherwise"
            ),
            DATA_DIR,
        ),
    ),
    Action(
        "balance",
        "what an account has, or had then",
        "tollgate.commands.ledger.balance:run",
        (ACCOUNT, _AS_OF, DATA_DIR),
    ),
    Action(
        "statement",
        "how an account's balance came about, line by line",
        "tollgate.commands.ledger.statement:run",
        _STATEMENT,
    ),
    Action(
        "trial-balance",
        "what was debited and credited to every ledger account",
        "tollgate.commands.ledger.trial_balance:run",
        (_AS_OF, DATA_DIR),
    ),
    Action(
        "journal",
        "what each day debited and credited; the last 31 days of the log unless others are named",
        "tollgate.commands.ledger.journal:run",
        (
            argument("--day", metavar="DAY", help="this one day: 2030-01-31"),
            FROM_DAY,
            TO_DAY,
            DATA_DIR,
        ),
    ),
    Action(
        "profit",
        "revenue, provider cost and profit; of the last 31 days of the log unless others are named",
        "tollgate.commands.ledger.profit:run",
        (
            argument(
                "--by",
                choices=("channel", "model", "upstream_model", "account"),
                default="channel",
                help="default: channel",
            ),
            argument("--daily", action="store_true", help="day by day"),
            FROM_DAY,
            TO_DAY,
            DATA_DIR,
        ),
    ),
    Action(
        "export",
        "the log, or a part of it, as a file with a manifest",
        "tollgate.commands.ledger.export:run",
        _EXPORT,
    ),
    Action(
        "reconcile",
        "compare a provider's export with what was recorded; 1 if they disagree",
        "tollgate.commands.ledger.reconcile:run",
        _RECONCILE,
    ),
    Action(
        "reprice",
        "what calls would have cost under other prices; writes nothing unless --propose is given",
        "tollgate.commands.ledger.reprice:run",
        _REPRICE,
    ),
    Action(
        "oversight",
        "credits above what one operator may grant alone, and approvals within one hand",
        "tollgate.commands.ledger.oversight:run",
        (
            SINCE,
            UNTIL,
            LIMIT,
            argument("--json", action="store_true", help="one JSON document instead of tables"),
            DATA_DIR,
        ),
    ),
    Group(
        "adjust",
        "move money by hand, when two operators agree; what was posted is only ever reversed",
        "tollgate.commands.ledger.adjust.registry:ACTIONS",
    ),
    Action(
        "checkpoint",
        "seal the log as it is now, and show the signed checkpoint",
        "tollgate.commands.ledger.checkpoint:run",
        (
            argument("--show", action="store_true", help="the newest one there is; seal nothing"),
            argument("--out", metavar="FILE", help="write it there, and keep it elsewhere"),
            _FORCE,
            DATA_DIR,
        ),
    ),
    Action(
        "prove",
        "a file with which anybody can check an event offline (tollgate verify)",
        "tollgate.commands.ledger.prove:run",
        _PROVE,
    ),
    Group(
        "signing-key",
        "the keys that sign checkpoints of the log",
        "tollgate.commands.ledger.signing_key.registry:ACTIONS",
    ),
)
