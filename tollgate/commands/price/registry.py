"""`tollgate price`: what models cost, in USD per million tokens (tools: per 1,000 calls).

One file per action, and one line here.
"""

from tollgate.commands.contract import Group
from tollgate.commands.price import (
    catalogue,
    diff,
    import_catalogue,
    import_ratios,
    list_prices,
    publish,
    ratios,
    set_price,
)

COMMAND = Group(
    "price",
    "what models cost: customers, and us",
    (
        set_price.ACTION,
        list_prices.ACTION,
        catalogue.ACTION,
        import_catalogue.ACTION,
        import_ratios.ACTION,
        ratios.ACTION,
        diff.ACTION,
        publish.ACTION,
    ),
)
"""The group."""
