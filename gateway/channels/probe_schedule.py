"""When a key that is out of use is asked again whether it works: one row for each in the database,
so that one process of the cluster asks, and a restart begins nothing anew.

A minute after it was taken out of use, then 5, 15 and 60 minutes later, then hourly. A key that
works for less than two hours goes on where it was: so it changes its state at most seven times in
any hour, and twice an hour in the long run, whatever its provider says.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

WAITS_MINUTES = (1, 5, 15, 60)
_FORGOTTEN_AFTER_MINUTES = 120

_OPEN = """
    insert into operations.key_probe as known (key_id, channel_id, step, due_at)
    select given.key_id, given.channel_id, 0,
        clock_timestamp() + make_interval(mins => (%(waits)s::int[])[1])
    from unnest(%(keys)s::uuid[], %(channels)s::uuid[]) as given (key_id, channel_id)
    on conflict (key_id) do update set (recovered_at, step, due_at) = (
        select null::timestamptz, going_on.step,
            clock_timestamp() + make_interval(mins => (%(waits)s::int[])[going_on.step + 1])
        from (
            select case
                when known.recovered_at > clock_timestamp() - make_interval(mins => %(kept)s)
                then least(known.step, %(last)s) else 0 end as step) going_on)
    where known.recovered_at is not null
"""
_CLOSE = """
    update operations.key_probe set recovered_at = clock_timestamp()
    where recovered_at is null and not key_id = any(%(keys)s::uuid[])
"""
_FORGET = """
    delete from operations.key_probe
    where recovered_at < clock_timestamp() - make_interval(mins => %(kept)s)
"""
_TAKE = """
    update operations.key_probe as known set
        step = least(known.step + 1, %(last)s),
        probes = known.probes + 1,
        due_at = clock_timestamp() + make_interval(
            mins => (%(waits)s::int[])[least(known.step + 1, %(last)s) + 1])
    where known.key_id in (
        select key_id from operations.key_probe
        where recovered_at is null and due_at <= clock_timestamp()
        order by due_at limit %(most)s for update skip locked)
    returning known.key_id, known.channel_id, known.probes
"""


class DueProbe(NamedTuple):
    """A key that this process is to ask now, for the how manieth time."""

    key_id: UUID
    channel_id: UUID
    number: int


class ProbeSchedule:
    """Every method raises psycopg.Error and PoolTimeout."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def take_due(self, out_of_use: Mapping[UUID, UUID], most: int) -> list[DueProbe]:
        """Of the keys that are out of use, each with its channel, those that nobody else asks."""
        given = {
            "keys": list(out_of_use),
            "channels": list(out_of_use.values()),
            "waits": list(WAITS_MINUTES),
            "last": len(WAITS_MINUTES) - 1,
            "kept": _FORGOTTEN_AFTER_MINUTES,
            "most": most,
        }
        async with self._pool.connection() as connection:
            for statement in (_CLOSE, _FORGET, _OPEN):
                await connection.execute(statement, given)
            found = await (await connection.execute(_TAKE, given)).fetchall()
        return [DueProbe(*row) for row in found]
