"""`tollgate demo`: a whole gateway on a throw-away directory, ready for the first paid call."""

import argparse
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from admin_api.accounts import operations as accounts
from admin_api.channels import operations as channels
from admin_api.channels.operations import ChannelInput
from admin_api.credits.operations import Idempotency, NewCredit, grant_credit
from admin_api.desk import Desk
from admin_api.keys import operations as api_keys
from admin_api.prices.operations import prices
from admin_api.prices.operations.decisions import Decider
from admin_api.prices.operations.price_inputs import PriceInput
from tollgate.embedded.data_directory import DataDirectory
from tollgate.installation import Installation, at_desk
from tollgate.processes import supervisor
from tollgate.processes.supervisor import Started
from tollgate.settings import Settings

_ACTOR = "demo"
_MODEL = "echo"
_CREDIT_USD = "5.00"
_PRICE_USD = {"input": "1.00", "output": "2.00"}


@dataclass(slots=True)
class _Demo:
    """What the first caller needs; known once the ledger is furnished."""

    root_token: str = ""
    key: str = ""
    account_id: str = ""

    def furnish(self, installation: Installation, root_token: str | None) -> None:
        assert root_token is not None, "the ledger is new, and no token was set"
        self.root_token = root_token
        self.key, self.account_id = at_desk(installation, _furnish)

    def announce(self, started: Started) -> None:
        print(
            f"""
Tollgate is ready at {started.address} (everything is thrown away at the end: Ctrl-C)

An account with {_CREDIT_USD} USD has this API key:
  {self.key}

The first paid call:
  curl {started.address}/v1/chat/completions -H 'Authorization: Bearer {self.key}' \
-H 'Content-Type: application/json' \
-d '{{"model":"{_MODEL}","messages":[{{"role":"user","content":"Hello, ledger!"}}]}}'

What is left on the account, as its operator sees it:
  curl {started.address}/api/v1/accounts/{self.account_id}/balance \
-H 'Authorization: Bearer {self.root_token}'
""",
            flush=True,
        )


def run(arguments: argparse.Namespace) -> int:
    arguments.host = "127.0.0.1"
    settings = Settings.from_environment(arguments)
    # Not the folder pytest or TMPDIR would give: socket paths are short, and Postgres' own account
    # has to come in.
    parent = Path(tempfile.mkdtemp(prefix="tollgate-demo-", dir="/tmp"))
    try:
        parent.chmod(0o711)
        settings = replace(
            settings,
            data=DataDirectory(parent.resolve() / "data"),
            sql_dsn=None,
            sql_owner_dsn=None,
            redis_url=None,
            initial_root_access_token=None,
        )
        demo = _Demo()
        return supervisor.serve(settings, demo.announce, demo.furnish)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


async def _furnish(desk: Desk) -> tuple[str, str]:
    """An echo channel, its price, an account with money and a key to it."""
    channel = ChannelInput(name="Echo", type="echo", models={_MODEL: _MODEL})
    await channels.add_channel(desk, channel, actor=_ACTOR)
    await prices.set_price(desk, _MODEL, PriceInput(_PRICE_USD), Decider(_ACTOR))
    account_id = await accounts.open_account(desk, name="Demo", actor=_ACTOR)
    await grant_credit(
        desk,
        account_id,
        NewCredit(_CREDIT_USD, "demo", "promotion"),
        idempotency=Idempotency(_ACTOR, "demo", "first"),
        actor=_ACTOR,
    )
    key = await api_keys.issue_key(desk, account_id, name="Demo", terms={}, actor=_ACTOR)
    return key.secret, str(account_id)
