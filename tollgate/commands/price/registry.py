"""`tollgate price`: what models cost, in USD per million tokens (tools: per 1,000 calls).

One file per action, and one line here.
"""

from tollgate.commands.contract import Group, Modules

COMMAND = Group(
    "price",
    "what models cost: customers, and us",
    Modules(
        "tollgate.commands.price",
        {
            "set": "set_price",
            "list": "list_prices",
            "catalogue": "catalogue",
            "import-catalogue": "import_catalogue",
            "import-ratios": "import_ratios",
            "ratios": "ratios",
            "diff": "diff",
            "publish": "publish",
        },
    ),
)
"""The group."""
