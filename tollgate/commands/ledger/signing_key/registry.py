"""What can be said of the keys that sign checkpoints, one function of `actions.py` each."""

from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action

ACTIONS = (
    Action(
        "list",
        "the keys of this log, as `tollgate verify --keys` takes them",
        "tollgate.commands.ledger.signing_key.actions:list_keys",
        (DATA_DIR,),
    ),
    Action(
        "rotate",
        "a new key takes over; the old one vouches for it",
        "tollgate.commands.ledger.signing_key.actions:rotate",
        (DATA_DIR,),
    ),
    Action(
        "introduce",
        "let this node sign with its own key: for another node, or after the key was lost",
        "tollgate.commands.ledger.signing_key.actions:introduce_own",
        (DATA_DIR,),
    ),
)
