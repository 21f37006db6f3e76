"""A lawful ledger of any size, through the real append function, in bounded memory."""

from typing import Any
from uuid import UUID

import psycopg

from tests.builders import LawfulLog

_BATCH_GROUPS = 450
_CLOSED_KEPT = 5_000
"""Closed charges that may still be adjusted; older ones are let alone, and forgotten."""


class LongLog(LawfulLog):
    """As LawfulLog, and it forgets what is long closed."""

    def carry_out(self, commands: dict[UUID, Any]) -> None:
        super().carry_out(commands)
        if len(self._closed) >= 2 * _CLOSED_KEPT:
            old, self._closed = self._closed[:_CLOSED_KEPT], self._closed[_CLOSED_KEPT:]
            for each in old:
                self._streams.pop(each, None)
                self._uncovered.discard(each)


def generate(owner_dsn: str, events: int, accounts: int, seed: int = 1) -> LongLog:
    """Store at least so many events; ends with every charge closed."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        # The log can be made again: no commit of it needs to wait for the disk.
        connection.execute("set synchronous_commit = off")
        log = LongLog(connection, seed, accounts)
        log.grow(events, batch_groups=_BATCH_GROUPS)
        log.close_all()
        return log
