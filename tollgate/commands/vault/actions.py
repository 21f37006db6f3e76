"""`tollgate vault rotate`: the vault under a new secret, while nothing serves.

Every data key is put under it in one transaction. A secret that is kept in the data directory is
written beside the old one first and takes its place at the end, so that a rotation that was
interrupted anywhere goes on with the same secret when it is asked for again.
"""

import argparse
import asyncio
import getpass
import sys

import psycopg

from ledger import vault
from ledger.vault import Rewrapped, Vault
from tollgate import setting_values
from tollgate.commands.at_the_desk import opened
from tollgate.commands.contract import OK, UsageRefused
from tollgate.installation import CRYPTO_SECRET_FILE, Installation
from tollgate.setting_values import SettingRefused

_SUCCESSOR = f"{CRYPTO_SECRET_FILE}.next"
_SERVING = "select node from operations.node_lease where expires_at > clock_timestamp() limit 1"


def rotate(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:
        _require_nobody_serves(installation)
        data, is_kept = installation.settings.data, installation.settings.crypto_secret is None
        secret = data.secret(_SUCCESSOR) if is_kept else _read_secret(installation)
        done = asyncio.run(_rewrap(installation, Vault(secret)))
        if is_kept:
            data.replace_secret(CRYPTO_SECRET_FILE, _SUCCESSOR)
    print(f"{done.now} data keys are under the new secret now, {done.before} were before")
    where = f"it is in {data.secrets}" if is_kept else "set CRYPTO_SECRET to it on every node"
    print(f"{where}; backups made until now need the old one")
    return OK


def _require_nobody_serves(installation: Installation) -> None:
    with psycopg.connect(installation.app_dsn, connect_timeout=10) as connection:
        row = connection.execute(_SERVING).fetchone()
    if row is not None:
        raise UsageRefused(f"the node {row[0]} serves with the old secret: stop all nodes first")


def _read_secret(installation: Installation) -> str:
    """The new secret: asked for without showing it, or one line of standard input."""
    if sys.stdin.isatty():
        text = getpass.getpass("The new CRYPTO_SECRET: ").strip()
    else:
        text = sys.stdin.readline().strip()
    try:
        secret = setting_values.secret("the new CRYPTO_SECRET", text)
    except SettingRefused as refusal:
        raise UsageRefused(str(refusal)) from refusal
    if secret == installation.crypto_secret:
        raise UsageRefused("the new CRYPTO_SECRET is the old one")
    return secret


async def _rewrap(installation: Installation, new: Vault) -> Rewrapped:
    async with await psycopg.AsyncConnection.connect(
        installation.app_dsn, autocommit=True, connect_timeout=10
    ) as connection:
        return await vault.rewrap(connection, Vault(installation.crypto_secret), new)
