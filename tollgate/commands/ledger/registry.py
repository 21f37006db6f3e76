"""`tollgate ledger`: what finance and auditors do with the books, while the server runs or not.

One file per action, and one line here.
"""

from tollgate.commands.contract import Group
from tollgate.commands.ledger import (
    adjust,
    balance,
    checkpoint,
    export,
    fsck,
    journal,
    profit,
    prove,
    rebuild,
    reconcile,
    reprice,
    signing_key,
    statement,
    trial_balance,
)

COMMAND = Group(
    "ledger",
    "the books: check, rebuild, report and prove, while the server runs or not",
    (
        fsck.ACTION,
        rebuild.ACTION,
        balance.ACTION,
        statement.ACTION,
        trial_balance.ACTION,
        journal.ACTION,
        profit.ACTION,
        export.ACTION,
        reconcile.ACTION,
        reprice.ACTION,
        adjust.ACTION,
        checkpoint.ACTION,
        prove.ACTION,
        signing_key.ACTION,
    ),
)
