"""What an account stood at after any position: sums of full blocks, and the few events behind them.

A block is used only where it was folded and is full, so that an answer does not depend on how far
the read model is: only the time it takes does.
"""

from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from ledger.statement import NOTHING, BalanceAt, Standing, change
from projections.books.as_of import read_events, read_served_position
from projections.views import balance_blocks
from projections.views.balance_blocks import BLOCK_BITS, STANDING_FIELDS

_LAST = """
    select account_seq, position, recorded_at from ledger.event
    where account_id = %s and position <= %s order by position desc limit 1
"""
_SUMS = (
    "select coalesce(max(position), 0), coalesce(sum(events), 0), "  # noqa: S608 - constants
    + ", ".join(f"coalesce(sum({name}), 0)" for name in STANDING_FIELDS)
    + " from projections.balance_blocks where account_id = %(account)s and level = 1 "
    "and block < %(chapters)s or account_id = %(account)s and level = 0 "
    "and block >= %(first)s and block < %(blocks)s"
)


class _Snapshot(NamedTuple):
    """The standing of an account after its event at `position`."""

    position: int
    standing: Standing


async def balance_at(
    connection: AsyncConnection[Any], account_id: UUID, position: int
) -> BalanceAt:
    """What an account stood at after a position; nothing before its first event.

    The answer's `position` is that of the account's last event until then, as in its budget.
    """
    last = await _last_event(connection, account_id, position)
    if last is None:
        return BalanceAt(position=0, recorded_at=None, standing=NOTHING)
    sequence, at, recorded_at = last
    snapshot = await _snapshot(connection, account_id, sequence, at)
    standing = snapshot.standing
    tail = read_events(
        connection,
        "account_id = %(account)s",
        {"account": account_id},
        after=snapshot.position,
        until=at,
    )
    async for event in tail:
        standing += change(event)
    return BalanceAt(position=at, recorded_at=recorded_at, standing=standing)


async def _snapshot(
    connection: AsyncConnection[Any], account_id: UUID, sequence: int, position: int
) -> _Snapshot:
    """The last full block that was folded, up to the event that has this place."""
    served = await read_served_position(connection, balance_blocks.PROJECTION.name)
    if served < position:
        last = await _last_event(connection, account_id, served)
        sequence = 0 if last is None else last[0]
    blocks = sequence >> BLOCK_BITS
    if not blocks:
        return _Snapshot(0, NOTHING)
    cursor = await connection.execute(
        _SUMS,
        {
            "account": account_id,
            "blocks": blocks,
            "chapters": blocks >> BLOCK_BITS,
            "first": blocks >> BLOCK_BITS << BLOCK_BITS,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    until, events, *sums = map(int, row)
    # A row that is missing is fsck's to find; the answer is the log's all the same.
    if events != blocks << BLOCK_BITS:
        return _Snapshot(0, NOTHING)
    return _Snapshot(until, Standing(*sums))


async def _last_event(
    connection: AsyncConnection[Any], account_id: UUID, position: int
) -> tuple[int, int, Any] | None:
    """Place among the account's events, position and time of its last one until a position."""
    cursor = await connection.execute(_LAST, (account_id, position))
    return await cursor.fetchone()
