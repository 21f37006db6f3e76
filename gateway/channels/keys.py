"""The providers' keys of each channel, unsealed once and kept in this process's memory only."""

import asyncio
import random
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.channels.routing import Candidate
from gateway.errors import UpstreamFailed
from ledger import vault
from ledger.errors import VaultRefused
from ledger.vault import Vault

log = structlog.get_logger()

_WITHIN_S = 1.0


class ChannelKeys:
    """Picks one of a channel's usable keys at random."""

    def __init__(self, sealed: Vault, pool: AsyncConnectionPool[Any]) -> None:
        self._vault = sealed
        self._pool = pool
        self._known: dict[UUID, str] = {}

    async def pick(self, candidate: Candidate) -> tuple[UUID | None, str]:
        """A key's id and the key in clear; None and empty for a channel that needs none.

        A key id never changes its key, so what is known stays true. Raises UpstreamFailed.
        """
        if not candidate.key_ids:
            return None, ""
        key_id = random.choice(candidate.key_ids)  # noqa: S311 - load balancing, not a secret
        if key_id not in self._known:
            try:
                async with asyncio.timeout(_WITHIN_S), self._pool.connection() as connection:
                    found = await vault.get(connection, self._vault, "channel_key", key_id, "key")
            except (psycopg.Error, PoolTimeout, OSError, VaultRefused) as error:
                log.warning("channel.key_not_read", key_id=str(key_id), error=str(error))
                raise UpstreamFailed("a channel's key cannot be read") from error
            if found is None:
                raise UpstreamFailed("a channel has lost its key")
            self._known[key_id] = found
        return key_id, self._known[key_id]
