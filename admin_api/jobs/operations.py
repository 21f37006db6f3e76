"""Jobs as the desk sees them: started, looked at, cancelled; and the files they made."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from admin_api.desk import Desk
from admin_api.errors import TooManyJobs
from admin_api.jobs.contract import JobKind
from ledger import ids
from ledger.errors import NotAllowedNow, NotFound

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: Sequence[JobState] = get_args(JobState)
FINAL_STATES = frozenset[JobState]({"done", "failed", "cancelled"})

UNFINISHED_MAX = 100
"""Jobs that wait or run; more are refused, so that nobody buries the others'."""

_LOCK = 0x6A6F6273  # "jobs": counting and inserting are one step
_NEWEST = UUID(int=(1 << 128) - 1)
_COLUMNS = (
    "id, kind, state, done, total, unit, note, result, error, actor, is_cancel_requested, attempts,"
    " created_at, started_at, finished_at,"
    " extract(epoch from coalesce(finished_at, clock_timestamp()) - started_at)::float8"
    " as elapsed_s"
)


class Job(NamedTuple):
    """A job as it stands. `done` and `total` are counts of `unit`; `result` is JSON, decoded.

    `elapsed_s`: since the present attempt began, by the database's clock.
    """

    id: UUID
    kind: str
    state: JobState
    done: int
    total: int | None
    unit: str
    note: str
    result: dict[str, Any] | None
    error: str | None
    actor: str
    is_cancel_requested: bool
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    elapsed_s: float | None

    @property
    def is_final(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.state in FINAL_STATES

    @property
    def per_second(self) -> float | None:
        """How fast it goes, on the average of this attempt; None before there is anything done."""
        if not self.done or not self.elapsed_s:
            return None
        return round(self.done / self.elapsed_s, 1)

    @property
    def seconds_left(self) -> float | None:
        """How long it still takes at that rate; None where that is not known."""
        if self.is_final or self.total is None or not self.per_second:
            return None
        return round(max(0, self.total - self.done) / self.per_second, 1)


class JobFile(NamedTuple):
    """A file that a job made."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


async def start_job(desk: Desk, kind: JobKind[Any], parameters: msgspec.Struct, actor: str) -> UUID:
    """Put a job into the queue; its id. Raises TooManyJobs."""
    assert isinstance(parameters, kind.parameters)
    job_id = ids.charge_id()
    async with desk.pool.connection() as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor = await connection.execute(
            "select count(*) from operations.job where state in ('queued', 'running')"
        )
        row = await cursor.fetchone()
        if row is not None and row[0] >= UNFINISHED_MAX:
            raise TooManyJobs(f"{row[0]} jobs wait or run; let some end, or cancel them")
        await connection.execute(
            "insert into operations.job (id, kind, parameters, unit, actor) "
            "values (%s, %s, %s::jsonb, %s, %s)",
            (job_id, kind.name, msgspec.json.encode(parameters).decode(), kind.unit, actor),
        )
    return job_id


async def find_job(desk: Desk, job_id: UUID) -> Job:
    """One job. Raises NotFound."""
    async with desk.pool.connection() as connection:
        found = await _select(connection, "where id = %s", (job_id,))
    if not found:
        raise NotFound("no such job")
    return found[0]


async def list_jobs(
    desk: Desk, *, kind: str | None, state: JobState | None, before: UUID | None, limit: int
) -> list[Job]:
    """Jobs, the newest first, beginning before the id `before`."""
    async with desk.pool.connection() as connection:
        return await _select(
            connection,
            "where id < %s and (%s::text is null or kind = %s) and (%s::text is null or state = %s)"
            " order by id desc limit %s",
            (before or _NEWEST, kind, kind, state, state, limit),
        )


async def cancel_job(desk: Desk, job_id: UUID) -> Job:
    """End a job that waits; ask one that runs to stop. Raises NotFound, NotAllowedNow."""
    async with desk.pool.connection() as connection:
        cursor = await connection.execute(
            "update operations.job set is_cancel_requested = true,"
            " state = case state when 'queued' then 'cancelled' else state end,"
            " finished_at = case state when 'queued' then clock_timestamp() end "
            "where id = %s and state in ('queued', 'running')",
            (job_id,),
        )
    job = await find_job(desk, job_id)
    if cursor.rowcount == 0:
        raise NotAllowedNow(f"the job has ended already: it is {job.state}")
    return job


async def list_files(desk: Desk, job_ids: Sequence[UUID]) -> Mapping[UUID, list[JobFile]]:
    """What jobs made, by name; nothing where a job made nothing."""
    files: dict[UUID, list[JobFile]] = {job_id: [] for job_id in job_ids}
    async with desk.pool.connection() as connection:
        cursor = await connection.execute(
            "select job_id, name, content_type, size_bytes, sha256 from operations.job_file "
            "where job_id = any(%s) order by name",
            (list(job_ids),),
        )
        for job_id, *file in await cursor.fetchall():
            files[job_id].append(JobFile(*file))
    return files


async def find_file(desk: Desk, job_id: UUID, name: str) -> JobFile:
    """One file of a job. Raises NotFound."""
    for file in (await list_files(desk, [job_id]))[job_id]:
        if file.name == name:
            return file
    raise NotFound("the job has no such file")


async def read_chunks(desk: Desk, job_id: UUID, name: str) -> AsyncIterator[bytes]:
    """The content of a file, piece by piece; a slow reader holds no connection meanwhile."""
    number = 0
    while True:
        async with desk.pool.connection() as connection:
            cursor = await connection.execute(
                "select content from operations.job_file_chunk "
                "where job_id = %s and name = %s and number = %s",
                (job_id, name, number),
                binary=True,
            )
            row = await cursor.fetchone()
        if row is None:
            return
        yield row[0]
        number += 1


async def _select(
    connection: AsyncConnection[Any], rest: str, parameters: Sequence[object]
) -> list[Job]:
    cursor = connection.cursor(row_factory=class_row(Job))
    query = f"select {_COLUMNS} from operations.job {rest}"  # noqa: S608 - our own constants
    await cursor.execute(query.encode(), parameters)
    return await cursor.fetchall()
