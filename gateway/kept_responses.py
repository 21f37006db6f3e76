"""Answers that providers keep: remembered under the account they were made for, with the channel
and the key that can find them again.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.errors import Overloaded
from ledger import clock

log = structlog.get_logger()

REMEMBERED_WITHIN_S = 5.0
FOUND_WITHIN_S = 1.0
_RETRY_S = 0.2

# An id that comes twice to one account is the later answer's: providers promise that it does not.
_REMEMBER = """
    insert into operations.kept_response (account_id, response_id, key_id, channel_id,
        channel_key_id, model, context_tokens) values (%s, %s, %s, %s, %s, %s, %s)
    on conflict (account_id, response_id) do update set key_id = excluded.key_id,
        channel_id = excluded.channel_id, channel_key_id = excluded.channel_key_id,
        model = excluded.model, context_tokens = excluded.context_tokens,
        created_at = clock_timestamp()
"""
_FIND = """
    select key_id, channel_id, channel_key_id, model, context_tokens
    from operations.kept_response where account_id = %s and response_id = %s
"""
_FORGET = "delete from operations.kept_response where account_id = %s and response_id = %s"
_FAILURES = (psycopg.Error, PoolTimeout, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """An answer and where it is kept. `context_tokens`: what the provider reads again, and bills,
    for a call that goes on from it: everything that went into it and came out of it.
    """

    account_id: UUID
    response_id: str
    key_id: UUID
    channel_id: UUID
    channel_key_id: UUID | None
    model: str
    context_tokens: int


class KeptResponses:
    """Reads and writes them; nothing here is money."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def remember(self, kept: KeptResponse) -> bool:
        """Write one durably; False if that cannot be done in time."""
        row = (
            kept.account_id,
            kept.response_id,
            kept.key_id,
            kept.channel_id,
            kept.channel_key_id,
            kept.model,
            kept.context_tokens,
        )
        deadline_s = clock.monotonic_s() + REMEMBERED_WITHIN_S
        while (left_s := deadline_s - clock.monotonic_s()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._run(_REMEMBER, row)
            except _FAILURES as error:
                log.warning("kept_responses.not_remembered_yet", error=repr(error))
                await asyncio.sleep(min(_RETRY_S, left_s))
            else:
                return True
        return False

    async def find(self, account_id: UUID, response_id: str) -> KeptResponse | None:
        """The account's answer of this id. Raises Overloaded when nobody can say."""
        try:
            async with (
                asyncio.timeout(FOUND_WITHIN_S),
                self._pool.connection(timeout=FOUND_WITHIN_S) as connection,
            ):
                cursor = await connection.execute(_FIND, (account_id, response_id))
                row = await cursor.fetchone()
        except _FAILURES as error:
            raise Overloaded("the ledger cannot be reached", retry_after_s=1) from error
        if row is None:
            return None
        key_id, channel_id, channel_key_id, model, context_tokens = row
        return KeptResponse(
            account_id, response_id, key_id, channel_id, channel_key_id, model, context_tokens
        )

    async def forget(self, account_id: UUID, response_id: str) -> None:
        """Its provider has it no more; failing that it is forgotten with age."""
        try:
            async with asyncio.timeout(FOUND_WITHIN_S):
                await self._run(_FORGET, (account_id, response_id))
        except _FAILURES as error:
            log.warning("kept_responses.not_forgotten", error=repr(error))

    async def _run(self, statement: str, values: tuple[object, ...]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(statement, values)
