"""Whether an event could be stored now: the append function is called, and taken back."""

import psycopg

from ledger.ids import entity_id
from ledger.store.append import APPEND, NewEvent, adapt, parameters, prepare
from ledger.streams.setting import SettingChanged

_TIMEOUT = "set local statement_timeout = '900ms'"


async def try_append(dsn: str) -> None:
    """Do all of an append but its commit, on a connection of its own: nobody sees anything of it.

    Raises psycopg.Error where an append would fail or wait for long.
    """
    event = SettingChanged(name="trial", value="", actor="trial")
    group = prepare([NewEvent(entity_id(), 1, event)])
    async with (
        await psycopg.AsyncConnection.connect(dsn, connect_timeout=3) as connection,
        connection.transaction(force_rollback=True),
    ):
        adapt(connection)
        await connection.execute(_TIMEOUT)
        await connection.execute(APPEND, parameters([group]), binary=True)
