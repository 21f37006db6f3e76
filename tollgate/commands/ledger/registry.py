"""`tollgate ledger`: what finance and auditors do with the books, while the server runs or not.

One file per action, and one line here.
"""

from tollgate.commands.contract import Group, Modules

COMMAND = Group(
    "ledger",
    "the books: check, rebuild, report and prove, while the server runs or not",
    Modules(
        "tollgate.commands.ledger",
        {
            "fsck": "fsck",
            "rebuild": "rebuild",
            "balance": "balance",
            "statement": "statement",
            "trial-balance": "trial_balance",
            "journal": "journal",
            "profit": "profit",
            "export": "export",
            "reconcile": "reconcile",
            "reprice": "reprice",
            "adjust": "adjust",
            "checkpoint": "checkpoint",
            "prove": "prove",
            "signing-key": "signing_key",
        },
    ),
)
