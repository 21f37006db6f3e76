"""Jobs as their runners see them: taken, kept alive, ended. All clocks are the database's.

Any node may take a queued job, and one whose runner has not been heard of for a while. A runner
that finds another's name on its job has lost it and changes nothing any more.
"""

from typing import Any, NamedTuple
from uuid import UUID

import psycopg

STALE_AFTER_S = 15.0
"""How long a runner may be silent before its job is taken over."""

ATTEMPTS_MAX = 3
"""So often a job may take its process down with it; then it has failed."""

KEPT_DAYS = 30

Connection = psycopg.Connection[Any]

_GIVE_UP = """
    update operations.job set
        state = case when is_cancel_requested then 'cancelled' else 'failed' end,
        error = case when is_cancel_requested then null
                else format('its process ended %%s times without a word', attempts) end,
        finished_at = clock_timestamp()
    where state = 'running' and heartbeat_at < clock_timestamp() - make_interval(secs => %s)
      and (is_cancel_requested or attempts >= %s)
"""
_TAKE = """
    update operations.job set state = 'running', runner = %s, attempts = attempts + 1, done = 0,
        total = null, note = '', started_at = clock_timestamp(), heartbeat_at = clock_timestamp()
    where id = (
        select id from operations.job
        where kind = any(%s) and (state = 'queued' or state = 'running'
              and heartbeat_at < clock_timestamp() - make_interval(secs => %s))
        order by id limit 1 for update skip locked)
    returning id, kind, parameters::text, actor
"""
_BEAT = """
    update operations.job set heartbeat_at = clock_timestamp(), done = greatest(done, %s),
        total = coalesce(%s, total), note = %s
    where id = %s and runner = %s and state = 'running' returning is_cancel_requested
"""
_END = """
    update operations.job set state = %s, done = greatest(done, %s), total = coalesce(%s, total),
        note = %s, result = %s::jsonb, error = %s, finished_at = clock_timestamp()
    where id = %s and runner = %s and state = 'running'
"""
_GIVE_BACK = """
    update operations.job set state = 'queued', runner = null, attempts = attempts - 1
    where id = %s and runner = %s and state = 'running'
"""
_WAITING = """
    select exists (select from operations.job where state = 'queued' or state = 'running'
                   and heartbeat_at < clock_timestamp() - make_interval(secs => %s))
"""
_OLD = (
    "delete from operations.job where finished_at < clock_timestamp() - make_interval(days => %s)"
)


class Claim(NamedTuple):
    """A job that is ours as long as we are heard of; `parameters` is its JSON."""

    job_id: UUID
    runner: UUID
    kind: str
    parameters: str
    actor: str


class Reached(NamedTuple):
    """How far a job is."""

    done: int
    total: int | None
    note: str


class Ending(NamedTuple):
    """What became of a job: done with a result, or failed, or cancelled. `result` is JSON."""

    state: str
    result: str | None = None
    error: str | None = None


def take(connection: Connection, runner: UUID, kinds: list[str]) -> Claim | None:
    """The oldest job of these kinds that nobody works on; None where there is none.

    What the attempt before left of files is gone. Jobs that cost their runners' lives too often
    are given up on the way.
    """
    connection.execute(_GIVE_UP, (STALE_AFTER_S, ATTEMPTS_MAX))
    with connection.transaction():
        row = connection.execute(_TAKE, (runner, kinds, STALE_AFTER_S)).fetchone()
        if row is None:
            return None
        for table in ("job_file", "job_file_chunk"):
            connection.execute(
                f"delete from operations.{table} where job_id = %s".encode(),  # noqa: S608
                (row[0],),
            )
    return Claim(row[0], runner, *row[1:])


def beat(connection: Connection, claim: Claim, reached: Reached) -> bool | None:
    """Show that we live, and how far we are: whether to stop; None when the job is not ours."""
    row = connection.execute(_BEAT, (*reached, claim.job_id, claim.runner)).fetchone()
    return None if row is None else bool(row[0])


def end(connection: Connection, claim: Claim, reached: Reached, ending: Ending) -> bool:
    """Write down how it ended; False when the job was not ours any more."""
    values = (ending.state, *reached, ending.result, ending.error, claim.job_id, claim.runner)
    return connection.execute(_END, values).rowcount == 1


def give_back(connection: Connection, claim: Claim) -> None:
    """Let another runner begin it anew: this one must end, through no fault of the job."""
    connection.execute(_GIVE_BACK, (claim.job_id, claim.runner))


async def is_work_waiting(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a runner would find something to take."""
    row = await (await connection.execute(_WAITING, (STALE_AFTER_S,))).fetchone()
    return row is not None and bool(row[0])


async def remove_old(connection: psycopg.AsyncConnection[Any]) -> int:
    """Forget jobs that ended long ago, with their files; how many there were."""
    return (await connection.execute(_OLD, (KEPT_DAYS,))).rowcount
