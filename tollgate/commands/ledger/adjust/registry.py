"""What can be said of adjustments, one function of `actions.py` each."""

from typing import get_args

from ledger.streams.adjustment import Reason, State
from tollgate.commands.arguments import ACCOUNT, DATA_DIR
from tollgate.commands.contract import Action, argument

_SIGNING_IN = "The operator's token is read from standard input, or asked for at a terminal."
_CODE = argument("--code", required=True, choices=get_args(Reason), help="why, as a code")
_REASON = argument("--reason", required=True, help="why, for people; kept in the vault")
_ADJUSTMENT = argument("adjustment", metavar="ID", help="as it was printed when it was proposed")

ACTIONS = (
    Action(
        "propose",
        f"propose an adjustment; prints its id. {_SIGNING_IN}",
        "tollgate.commands.ledger.adjust.actions:propose",
        (
            ACCOUNT,
            argument("direction", choices=("credit", "debit"), help="to the customer, or from"),
            argument("amount", help="in USD, as in 12.50"),
            _CODE,
            _REASON,
            argument(
                "--idempotency-key", metavar="KEY", help="the same key proposes once, for ever"
            ),
            DATA_DIR,
        ),
    ),
    Action(
        "reverse",
        f"propose to take back a credit or a posted adjustment; prints its id. {_SIGNING_IN}",
        "tollgate.commands.ledger.adjust.actions:reverse",
        (
            argument("position", type=int, help="where it stands in the log"),
            _CODE,
            _REASON,
            DATA_DIR,
        ),
    ),
    Action(
        "approve",
        f"approve what another operator proposed, and post it. {_SIGNING_IN}",
        "tollgate.commands.ledger.adjust.actions:approve",
        (_ADJUSTMENT, DATA_DIR),
    ),
    Action(
        "reject",
        f"reject a proposal, or take back one's own. {_SIGNING_IN}",
        "tollgate.commands.ledger.adjust.actions:reject",
        (_ADJUSTMENT, _REASON, DATA_DIR),
    ),
    Action(
        "show",
        "one adjustment",
        "tollgate.commands.ledger.adjust.actions:show",
        (_ADJUSTMENT, DATA_DIR),
    ),
    Action(
        "list",
        "adjustments, the newest first",
        "tollgate.commands.ledger.adjust.actions:list_adjustments",
        (
            argument("--state", choices=get_args(State)),
            argument("--account", metavar="ID"),
            DATA_DIR,
        ),
    ),
)
