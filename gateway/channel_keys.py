"""The providers' keys of each channel, unsealed once and kept in this process's memory only."""

import random
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from gateway.errors import UpstreamFailed
from gateway.routing import Candidate
from ledger import vault
from ledger.vault import Vault


class ChannelKeys:
    """Picks one of a channel's usable keys at random."""

    def __init__(self, sealed: Vault, pool: AsyncConnectionPool[Any]) -> None:
        self._vault = sealed
        self._pool = pool
        self._known: dict[UUID, str] = {}

    async def pick(self, candidate: Candidate) -> tuple[UUID | None, str]:
        """A key's id and the key in clear; None and empty for a channel that needs none.

        Raises UpstreamFailed, VaultRefused.

        A key id never changes its key, so what is known stays true.
        """
        if not candidate.key_ids:
            return None, ""
        key_id = random.choice(candidate.key_ids)  # noqa: S311 - load balancing, not a secret
        if key_id not in self._known:
            async with self._pool.connection() as connection:
                found = await vault.get(connection, self._vault, "channel_key", key_id, "key")
            if found is None:
                raise UpstreamFailed("a channel has lost its key")
            self._known[key_id] = found
        return key_id, self._known[key_id]
