"""What can be said of the vault, one function of `actions.py` each."""

from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action

ACTIONS = (
    Action(
        "rotate",
        "put the vault under a new secret while nothing serves; where CRYPTO_SECRET is set, the "
        "new one is read from standard input",
        "tollgate.commands.vault.actions:rotate",
        (DATA_DIR,),
    ),
)
