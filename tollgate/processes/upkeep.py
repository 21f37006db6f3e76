"""Throws away what nobody may keep or needs: old refusals, the places of old answers, and cells of
the vault whose fact never came.

A vault row is written before its event; if the writer dies in between, the row belongs to nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from admin_api.credits.operations import reason_row
from ledger import clock
from ledger.store.reader import RECORDED_COLUMNS, recorded
from ledger.streams.credit import CreditGranted

log = structlog.get_logger()

EVERY_S = 3_600.0
ORPHANED_FOR_S = 3_600.0
"""How long a cell must have been without its event; a command takes seconds."""
REFUSALS_KEPT_DAYS = 7
RESPONSES_KEPT_DAYS = 31
"""A day longer than OpenAI keeps them."""
_ROWS_PER_STATEMENT = 5_000
_LOCK = 0x74696479  # "tidy": one node at a time; more would do no harm

Cell = tuple[str, UUID, str]

_OLD_REFUSALS = """
    delete from operations.refusal where refusal_id in (
        select refusal_id from operations.refusal
        where refused_at < clock_timestamp() - make_interval(days => %s) limit %s)
"""
_OLD_KEPT_RESPONSES = """
    with old as (
        delete from operations.kept_response where ctid in (
            select ctid from operations.kept_response
            where created_at < clock_timestamp() - make_interval(days => %s) limit %s)
        returning cell_id),
    cells as (
        delete from vault.cell using old where kind = 'kept_response' and row_id = old.cell_id)
    select from old
"""
# A cell stands for a stream of its row's id; a channel's keys and texts for their mention in it;
# what holds its name, for the channel; what an answer said, for the row that remembers it.
_ORPHANS = """
    select kind, row_id, field, subject from vault.cell c
    where case
        when kind in ('channel_key', 'channel_text') then not exists (
            select from ledger.event e where e.originator_id = c.subject
            and position(convert_to(c.row_id::text, 'UTF8') in e.state) > 0)
        when kind = 'channel_name' then not exists (
            select from ledger.event e where e.originator_id = c.subject)
        when kind = 'credit' then true
        when kind = 'kept_response' then not exists (
            select from operations.kept_response k where k.cell_id = c.row_id)
        else not exists (select from ledger.event e where e.originator_id = c.row_id)
    end
"""
_CREDITS = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants only
    "where account_id = %s and topic = 'credit.CreditGranted.v1'"
)
_DELETE = "delete from vault.cell where kind = %s and row_id = %s and field = %s"


class Upkeep:
    """Runs on every node; an advisory lock lets one of them work."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], clock_s: Callable[[], float] = clock.monotonic_s
    ) -> None:
        self._pool = pool
        self._clock_s = clock_s
        self._orphaned_since_s: dict[Cell, float] = {}

    async def run(self) -> None:
        """Tidy up for ever."""
        while True:
            try:
                refusals, cells = await self.tidy()
                if refusals or cells:
                    log.info("upkeep.removed", refusals=refusals, vault_cells=cells)
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("upkeep.failed", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def tidy(self) -> tuple[int, int]:
        """How many refusals and vault cells were removed; old kept responses go uncounted."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
            row = await cursor.fetchone()
            if row is None or not row[0]:
                return 0, 0
            refusals = await _remove_old(connection, _OLD_REFUSALS, REFUSALS_KEPT_DAYS)
            await _remove_old(connection, _OLD_KEPT_RESPONSES, RESPONSES_KEPT_DAYS)
            return refusals, await self._remove_orphans(connection)

    async def _remove_orphans(self, connection: psycopg.AsyncConnection[Any]) -> int:
        now_s = self._clock_s()
        orphans = await _orphans(connection)
        since_s = {cell: self._orphaned_since_s.get(cell, now_s) for cell in orphans}
        due = [cell for cell, seen_s in since_s.items() if now_s - seen_s >= ORPHANED_FOR_S]
        await connection.cursor().executemany(_DELETE, due)
        self._orphaned_since_s = {cell: s for cell, s in since_s.items() if cell not in due}
        return len(due)


async def _remove_old(
    connection: psycopg.AsyncConnection[Any], statement: LiteralString, kept_days: int
) -> int:
    removed = 0
    while True:
        cursor = await connection.execute(statement, (kept_days, _ROWS_PER_STATEMENT))
        removed += cursor.rowcount
        if cursor.rowcount < _ROWS_PER_STATEMENT:
            return removed


async def _orphans(connection: psycopg.AsyncConnection[Any]) -> set[Cell]:
    cursor = await connection.execute(_ORPHANS)
    found: set[Cell] = set()
    reasons: dict[UUID, set[Cell]] = {}
    for kind, row_id, field, subject in await cursor.fetchall():
        if kind == "credit":
            reasons.setdefault(subject, set()).add((kind, row_id, field))
        else:
            found.add((kind, row_id, field))
    for account_id, cells in reasons.items():
        told = await _reasons_told(connection, account_id)
        found |= {cell for cell in cells if cell[1] not in told}
    return found


async def _reasons_told(connection: psycopg.AsyncConnection[Any], account_id: UUID) -> set[UUID]:
    """The vault rows that an account's credits have for their reasons."""
    cursor = await connection.execute(_CREDITS, (account_id,), binary=True)
    told = set()
    for one in map(recorded, await cursor.fetchall()):
        assert isinstance(one.event, CreditGranted)
        told.add(reason_row(one.stream_id, one.event.request_sha256))
    return told
