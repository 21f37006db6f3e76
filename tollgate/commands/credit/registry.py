"""What can be said of credits, one function of `actions.py` each."""

from tollgate.commands.arguments import ACCOUNT, DATA_DIR
from tollgate.commands.contract import Action, argument

ACTIONS = (
    Action(
        "add",
        "credit an account; prints the position in the ledger. What would take all that the "
        "command line gave it today above the setting credits.alone_up_to is proposed: then an "
        "operator's token is read from standard input, or asked for, and another one approves",
        "tollgate.commands.credit.actions:add",
        (
            ACCOUNT,
            argument("amount", help="in USD, as in 12.50"),
            argument(
                "--source",
                choices=("manual", "payment", "promotion", "goodwill", "import"),
                required=True,
                help="where it comes from: paid by hand or by --method, a gift, an import",
            ),
            argument("--method", default="", help="of a payment: stripe, bank, ..."),
            argument(
                "--reference",
                default="",
                help="by what the payment is found there; statements show it",
            ),
            argument("--reason", default="manual", help="kept in the vault"),
            argument(
                "--idempotency-key", metavar="KEY", help="the same key credits once, for ever"
            ),
            DATA_DIR,
        ),
    ),
)
