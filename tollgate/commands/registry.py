"""The list of commands: a new one is one file beside this one, and one line here."""

from tollgate.commands.contract import Modules

COMMANDS = Modules(
    "tollgate.commands",
    {
        "serve": "serve",
        "demo": "demo",
        "account": "account",
        "key": "key",
        "credit": "credit",
        "operator": "operator",
        "setting": "setting",
        "channel": "channel",
        "price": "price.registry",
        "token": "token",
        "ledger": "ledger.registry",
        "verify": "verify",
        "doctor": "doctor",
        "backup": "backup",
        "restore": "restore",
    },
)
