"""`tollgate price`: what models cost, in USD per million tokens (tools: per 1,000 calls).

One file per action, and one entry here.
"""

from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action, argument

_BOOK = argument(
    "--book", default="sale", metavar="NAME", help="sale (default), cost, or a draft's name"
)
_COST = (
    argument("--cost", action="store_true", help="what providers take from us"),
    argument("--channel", metavar="ID", help="with --cost: in one channel"),
)
_REASON = argument("--reason", help="why; kept apart from the ledger, sealed")
_DRY_RUN = argument("--dry-run", action="store_true", help="only show what would be set")
_DRAFT = argument("book", metavar="BOOK", help="the draft's name")
_EFFECTIVE_FROM = argument("--effective-from", metavar="TIME", help="default: now")

ACTIONS = (
    Action(
        "set",
        "price a model; prints the price's version",
        "tollgate.commands.price.set_price:run",
        (
            argument("model"),
            argument(
                "rate",
                nargs="+",
                metavar="CLASS=USD",
                help="input=2.50 output=10, above-200000.input=5, flex.input=1.25",
            ),
            _EFFECTIVE_FROM,
            _BOOK,
            *_COST,
            _REASON,
            DATA_DIR,
        ),
    ),
    Action(
        "list",
        "list the prices in force",
        "tollgate.commands.price.list_prices:run",
        (_BOOK, *_COST, DATA_DIR),
    ),
    Action(
        "catalogue",
        "list what providers ask; no network is used",
        "tollgate.commands.price.catalogue:run",
        (
            argument("--provider", metavar="NAME"),
            argument("--search", default="", metavar="WORDS", help="words in the model's name"),
        ),
    ),
    Action(
        "import-catalogue",
        "take prices of the catalogue over into a book",
        "tollgate.commands.price.import_catalogue:run",
        (
            argument("models", nargs="*", metavar="[PROVIDER:]MODEL"),
            argument("--provider", metavar="NAME", help="its models; all of them if none is named"),
            _BOOK,
            _DRY_RUN,
            _REASON,
            DATA_DIR,
        ),
    ),
    Action(
        "import-ratios",
        "make prices of ratios (ModelRatio, CompletionRatio, ..., as JSON)",
        "tollgate.commands.price.import_ratios:run",
        (
            argument("file", metavar="FILE", help="options by name, or what /api/option answers"),
            argument("--with-groups", action="store_true", help="set GroupRatio as well"),
            _BOOK,
            _DRY_RUN,
            _REASON,
            DATA_DIR,
        ),
    ),
    Action(
        "ratios",
        "print a book as ratios, exact",
        "tollgate.commands.price.ratios:run",
        (_BOOK, DATA_DIR),
    ),
    Action(
        "diff",
        "compare a draft with what customers pay",
        "tollgate.commands.price.diff:run",
        (_DRAFT, DATA_DIR),
    ),
    Action(
        "publish",
        "put a draft into force: everything that differs, or nothing",
        "tollgate.commands.price.publish:run",
        (
            _DRAFT,
            _EFFECTIVE_FROM,
            argument("--reason", required=True, help="why; kept apart from the ledger, sealed"),
            DATA_DIR,
        ),
    ),
)
