"""/jobs: long-running work, watched, cancelled, and what it made fetched."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import psycopg
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from psycopg_pool import PoolTimeout

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.desk import Desk
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import (
    Job,
    JobState,
    cancel_job,
    find_file,
    find_job,
    list_files,
    list_jobs,
    read_chunks,
)
from admin_api.jobs.registry import KINDS
from admin_api.jobs.schemas import JobOutput, JobPage

router = APIRouter(route_class=StrictRoute, tags=["jobs"])

LOOK_S = 0.5
"""How often a watched job is looked at."""

_ALIVE_AFTER_LOOKS = 20
_PERMISSION_OF = {kind.name: kind.permission for kind in KINDS}
_SERVER_SENT_EVENTS = "text/event-stream"

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]


@router.get("/jobs")
async def read_jobs(
    desk: TheDesk,
    _operator: Reader,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    state: JobState | None = None,
    before: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """Jobs, the newest first; all the conditions given must hold."""
    jobs = await list_jobs(desk, kind=kind, state=state, before=before, limit=limit)
    files = await list_files(desk, [job.id for job in jobs])
    following = jobs[-1].id if len(jobs) == limit else None
    return JobPage(jobs=[JobOutput.of(job, files[job.id]) for job in jobs], next=following)


@router.get("/jobs/{job_id}")
async def read_job(desk: TheDesk, _operator: Reader, job_id: UUID) -> JobOutput:
    """One job: how far it is, and what came of it."""
    return await _output(desk, await find_job(desk, job_id))


@router.delete("/jobs/{job_id}")
async def cancel(desk: TheDesk, operator: Reader, job_id: UUID) -> JobOutput:
    """Cancel a job that waits, or ask a running one to stop: whoever started it, or may."""
    job = await find_job(desk, job_id)
    if job.actor != operator.actor:
        operator.require(_PERMISSION_OF.get(job.kind, "ledger:write"))
    return await _output(desk, await cancel_job(desk, job_id))


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {_SERVER_SENT_EVENTS: {"schema": {"type": "string"}}}}},
)
async def watch_job(desk: TheDesk, _operator: Reader, job_id: UUID) -> StreamingResponse:
    """Server-sent events: `progress` whenever the job is further, `end` once with its final state.

    The data of each is the job as `GET /jobs/{id}` tells it. A stream that ends without `end` was
    interrupted: ask again.
    """
    job = await find_job(desk, job_id)
    return StreamingResponse(_events(desk, job), media_type=_SERVER_SENT_EVENTS)


@router.get(
    "/jobs/{job_id}/files/{name}",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    },
)
async def read_file(desk: TheDesk, _operator: Reader, job_id: UUID, name: str) -> StreamingResponse:
    """A file the job made."""
    file = await find_file(desk, job_id, name)
    headers = {
        "content-length": str(file.size_bytes),
        "content-disposition": f'attachment; filename="{file.name}"',
        "etag": f'"{file.sha256}"',
    }
    return StreamingResponse(
        read_chunks(desk, job_id, name), headers=headers, media_type=file.content_type
    )


async def _events(desk: Desk, job: Job) -> AsyncIterator[bytes]:
    """Looks at the job now and then; whoever leaves ends this at the next look."""
    told: Job | None = None
    looks_since = 0
    while not desk.closing.is_set():
        if job.is_final:
            yield _event("end", await _output(desk, job))
            return
        if told is None or _moved(told, job):
            yield _event("progress", await _output(desk, job))
            told, looks_since = job, 0
        elif looks_since >= _ALIVE_AFTER_LOOKS:
            yield b": still at it\n\n"
            looks_since = 0
        looks_since += 1
        await asyncio.sleep(LOOK_S)
        try:
            job = await find_job(desk, job.id)
        except (psycopg.OperationalError, PoolTimeout):
            continue  # it comes back, or whoever watches leaves


def _moved(told: Job, job: Job) -> bool:
    return (told.state, told.done, told.total, told.note, told.attempts) != (
        job.state,
        job.done,
        job.total,
        job.note,
        job.attempts,
    )


def _event(name: str, output: JobOutput) -> bytes:
    return f"event: {name}\ndata: {output.model_dump_json()}\n\n".encode()


async def _output(desk: Desk, job: Job) -> JobOutput:
    files = await list_files(desk, [job.id]) if job.is_final else {job.id: []}
    return JobOutput.of(job, files[job.id])
