"""Answers that are kept: remembered under the account they were made for, with the channel and the
key that can find them again; those that were translated, with all they say, sealed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.errors import Overloaded, RequestTooLarge
from ledger import clock, vault
from ledger.errors import VaultRefused
from ledger.ids import derived_id
from ledger.vault import Place, Vault

log = structlog.get_logger()

REMEMBERED_WITHIN_S = 5.0
FOUND_WITHIN_S = 1.0
_RETRY_S = 0.2

_COLUMNS = (
    "account_id, response_id, key_id, channel_id, channel_key_id, model, context_tokens,"
    " output_tokens, item_ids, cell_id"
)
# An id that comes twice to one account is the later answer's: providers promise that it does not.
_REMEMBER = f"""
    insert into operations.kept_response ({_COLUMNS})
        values (%(account_id)s, %(response_id)s, %(key_id)s, %(channel_id)s, %(channel_key_id)s,
        %(model)s, %(context_tokens)s, %(output_tokens)s, %(item_ids)s, %(cell_id)s)
    on conflict (account_id, response_id) do update set key_id = excluded.key_id,
        channel_id = excluded.channel_id, channel_key_id = excluded.channel_key_id,
        model = excluded.model, context_tokens = excluded.context_tokens,
        output_tokens = excluded.output_tokens, item_ids = excluded.item_ids,
        cell_id = excluded.cell_id, created_at = clock_timestamp()
"""  # noqa: S608 - constants only
_FIND = f"""
    select {_COLUMNS} from operations.kept_response where account_id = %s and response_id = %s
"""  # noqa: S608 - constants only
_FIND_ITEMS = f"""
    select {_COLUMNS} from operations.kept_response
    where item_ids && %s::text[] and account_id = %s
"""  # noqa: S608 - constants only
_FORGET = """
    with gone as (delete from operations.kept_response where account_id = %s and response_id = %s
                  returning cell_id)
    delete from vault.cell using gone where kind = 'kept_response' and row_id = gone.cell_id
"""
_SIZE = """
    select coalesce(sum(octet_length(sealed)), 0)::bigint from vault.cell
    where kind = 'kept_response' and row_id = any(%s)
"""
DOCUMENTS_MAX_BYTES = 32 * 1024 * 1024
"""What one call may have put into it."""
_KIND, _FIELD = "kept_response", "document"
_FAILURES = (psycopg.Error, PoolTimeout, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An answer and where it is kept. `context_tokens`: what the provider reads again, and bills,
    for a call that goes on from it: everything that went into it and came out of it;
    `output_tokens`: the latter alone, of which each of its items is a part.

    `channel_id` None: no provider keeps it. `cell_id`: where its document is sealed, as the client
    was told it, where that is not as its provider made it.
    """

    account_id: UUID
    response_id: str
    key_id: UUID
    channel_id: UUID | None
    channel_key_id: UUID | None
    model: str
    context_tokens: int
    output_tokens: int
    item_ids: Sequence[str] = ()
    cell_id: UUID | None = None


class StoredResponses:
    """Reads and writes them; nothing here is money."""

    def __init__(self, pool: AsyncConnectionPool[Any], sealed: Vault) -> None:
        self._pool = pool
        self._vault = sealed

    async def remember(self, kept: StoredResponse, document: str = "") -> bool:
        """Write one durably, with what it says where that is to be kept here; False if that cannot
        be done in time.
        """
        if document:
            told = f"{kept.account_id}/{kept.response_id}"
            kept = replace(kept, cell_id=derived_id(_KIND, told))
        deadline_s = clock.monotonic_s() + REMEMBERED_WITHIN_S
        while (left_s := deadline_s - clock.monotonic_s()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._write(kept, document)
            except (*_FAILURES, VaultRefused) as error:
                log.warning("kept_responses.not_remembered_yet", error=repr(error))
                await asyncio.sleep(min(_RETRY_S, left_s))
            else:
                return True
        return False

    async def _write(self, kept: StoredResponse, document: str) -> None:
        row = asdict(kept) | {"item_ids": list(kept.item_ids)}
        async with self._pool.connection() as connection, connection.transaction():
            if kept.cell_id is not None:
                place = Place(_KIND, kept.cell_id, _FIELD, kept.account_id)
                await vault.put(connection, self._vault, place, document)
            await connection.execute(_REMEMBER, row)

    async def documents(self, kept: Sequence[StoredResponse]) -> dict[str, dict[str, Any]]:
        """What is sealed here of some answers, by their ids; without what was forgotten.

        Raises Overloaded when nobody can say, RequestTooLarge beyond DOCUMENTS_MAX_BYTES.
        """
        cells = {each.cell_id: each.response_id for each in kept if each.cell_id is not None}
        if not cells:
            return {}
        try:
            async with (
                asyncio.timeout(FOUND_WITHIN_S),
                self._pool.connection(timeout=FOUND_WITHIN_S) as connection,
            ):
                await _require_few(connection, list(cells))
                told = await vault.get_many(connection, self._vault, _KIND, _FIELD, list(cells))
        except _FAILURES as error:
            raise Overloaded("the ledger cannot be reached", retry_after_s=1) from error
        except VaultRefused as error:
            log.warning("kept_responses.not_opened", error=str(error))
            return {}
        return {cells[cell_id]: msgspec.json.decode(text) for cell_id, text in told.items()}

    async def find(self, account_id: UUID, response_id: str) -> StoredResponse | None:
        """The account's answer of this id. Raises Overloaded when nobody can say."""
        found = await self._read(_FIND, (account_id, response_id))
        return found[0] if found else None

    async def find_items(self, account_id: UUID, item_ids: Sequence[str]) -> list[StoredResponse]:
        """The account's answers that have any of these items. Raises Overloaded as well."""
        return await self._read(_FIND_ITEMS, (list(item_ids), account_id))

    async def _read(self, query: LiteralString, values: tuple[object, ...]) -> list[StoredResponse]:
        try:
            async with (
                asyncio.timeout(FOUND_WITHIN_S),
                self._pool.connection(timeout=FOUND_WITHIN_S) as connection,
            ):
                cursor = await connection.execute(query, values)
                rows = await cursor.fetchall()
        except _FAILURES as error:
            raise Overloaded("the ledger cannot be reached", retry_after_s=1) from error
        return [StoredResponse(*row) for row in rows]

    async def forget(self, account_id: UUID, response_id: str) -> None:
        """Its provider has it no more; failing that it is forgotten with age."""
        try:
            async with asyncio.timeout(FOUND_WITHIN_S), self._pool.connection() as connection:
                await connection.execute(_FORGET, (account_id, response_id))
        except _FAILURES as error:
            log.warning("kept_responses.not_forgotten", error=repr(error))


async def _require_few(connection: AsyncConnection[Any], cell_ids: Sequence[UUID]) -> None:
    row = await (await connection.execute(_SIZE, (cell_ids,))).fetchone()
    if row is not None and row[0] > DOCUMENTS_MAX_BYTES:
        raise RequestTooLarge("what 'input' refers to is too long")
