"""What channels have to say of their own: unsealed once and kept in this process's memory only."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.channels.routing import Candidate
from gateway.errors import ChannelUnusable
from ledger import vault
from ledger.errors import VaultRefused
from ledger.vault import Vault

log = structlog.get_logger()

_WITHIN_S = 1.0


class ChannelTexts:
    """Reads what lies in the vault for channels, but for their keys."""

    def __init__(self, sealed: Vault, pool: AsyncConnectionPool[Any]) -> None:
        self._vault = sealed
        self._pool = pool
        self._known: dict[UUID, str] = {}

    async def read(self, candidate: Candidate) -> str | None:
        """A channel's own system prompt; None where it has none.

        Raises ChannelUnusable: without it the call would mean something else.
        """
        text_id = candidate.shaping.system_prompt_id
        return None if text_id is None else await self.text(text_id)

    async def text(self, text_id: UUID) -> str:
        """A text by its id, which never changes. Raises ChannelUnusable."""
        if text_id not in self._known:
            try:
                async with asyncio.timeout(_WITHIN_S), self._pool.connection() as connection:
                    found = await vault.get(
                        connection, self._vault, "channel_text", text_id, "text"
                    )
            except (psycopg.Error, PoolTimeout, OSError, VaultRefused) as error:
                log.warning("channel.text_not_read", text_id=str(text_id), error=str(error))
                raise ChannelUnusable("what a channel keeps sealed cannot be read") from error
            if found is None:
                raise ChannelUnusable("a channel has lost what it kept sealed")
            self._known[text_id] = found
        return self._known[text_id]
