"""How routes speak of jobs."""

from typing import Any, Self
from uuid import UUID

from fastapi import Response

from admin_api.fields.bodies import Moment, Output
from admin_api.fields.inputs import format_moment
from admin_api.jobs.operations import Job, JobFile, JobState


class JobAccepted(Output):
    """A job that was started; watch it at `/jobs/{job}`."""

    job: UUID


class JobFileOutput(Output):
    """A file to fetch at `/jobs/{id}/files/{name}`; `digest` is its SHA-256, in hex."""

    name: str
    content_type: str
    size_bytes: int
    digest: str

    @classmethod
    def of(cls, file: JobFile) -> Self:
        """As it is told."""
        return cls(
            name=file.name,
            content_type=file.content_type,
            size_bytes=file.size_bytes,
            digest=file.sha256,
        )


class JobOutput(Output):
    """A job. done and total count `unit`; null: not known. `result` is its kind's own."""

    id: UUID
    kind: str
    state: JobState
    done: int
    total: int | None
    unit: str
    note: str
    per_second: float | None
    seconds_left: float | None
    result: dict[str, Any] | None
    error: str | None
    files: list[JobFileOutput]
    actor: str
    is_cancel_requested: bool
    attempts: int
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None

    @classmethod
    def of(cls, job: Job, files: list[JobFile]) -> Self:
        """As it is told."""
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            done=job.done,
            total=job.total,
            unit=job.unit,
            note=job.note,
            per_second=job.per_second,
            seconds_left=job.seconds_left,
            result=job.result,
            error=job.error,
            files=[JobFileOutput.of(file) for file in files],
            actor=job.actor,
            is_cancel_requested=job.is_cancel_requested,
            attempts=job.attempts,
            created_at=format_moment(job.created_at),
            started_at=None if job.started_at is None else format_moment(job.started_at),
            finished_at=None if job.finished_at is None else format_moment(job.finished_at),
        )


def accepted(response: Response, job_id: UUID) -> JobAccepted:
    """The answer to whoever started a job; the route's status is 202."""
    response.headers["location"] = f"/api/v1/jobs/{job_id}"
    return JobAccepted(job=job_id)


class JobPage(Output):
    """Some jobs, the newest first, and the `before` of the next page; null at the end."""

    jobs: list[JobOutput]
    next: UUID | None
