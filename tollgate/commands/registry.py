"""The list of commands: a new one is one file beside this one, and one line here."""

from collections.abc import Sequence

from tollgate.commands import (
    account,
    backup,
    channel,
    credit,
    demo,
    doctor,
    key,
    restore,
    serve,
    token,
    verify,
)
from tollgate.commands.contract import Command
from tollgate.commands.ledger import registry as ledger
from tollgate.commands.price import registry as price

COMMANDS: Sequence[Command] = (
    serve.COMMAND,
    demo.COMMAND,
    account.COMMAND,
    key.COMMAND,
    credit.COMMAND,
    channel.COMMAND,
    price.COMMAND,
    token.COMMAND,
    ledger.COMMAND,
    verify.COMMAND,
    doctor.COMMAND,
    backup.COMMAND,
    restore.COMMAND,
)
