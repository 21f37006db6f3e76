"""What a kind of job is, and what it is given to work with.

A new kind is one file in the `jobs/` of its resource and one line in `registry.py` here:

    class Parameters(msgspec.Struct, frozen=True, kw_only=True):
        until: int

    def _run(job: JobContext, parameters: Parameters) -> Result:
        for position in ...:
            job.progress(position, parameters.until)      # cheap; raises JobCancelled
        with job.write_file("lines.csv", "text/csv") as file:
            file.write(b"...")
        return Result(...)                                 # stored as JSON

    KIND = JobKind("lines", Parameters, "ledger:read", "events", _run)

A route of the feature's own starts it, and answers 202 with where it can be watched:

    job_id = await start_job(desk, KIND, Parameters(until=7), operator.actor)   # jobs/operations.py
    return accepted(response, job_id)                                           # jobs/schemas.py

`run` is ordinary synchronous code in a process of its own, so it may compute for as long as it
likes. It may be run again from the beginning, when the machine it ran on has gone: so it must be
idempotent (files of the attempt before are gone). What it raises ends the job as failed, with its
words if it is a JobFailed or one of the project's own refusals.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Generic, Protocol, TypeVar

import msgspec

from admin_api.access.permissions import Permission
from admin_api.desk import Desk

ParametersT = TypeVar("ParametersT", bound=msgspec.Struct)
T = TypeVar("T")

OpenDesk = Callable[[], AbstractAsyncContextManager[Desk]]
"""Opens a desk on the running event loop, its configuration loaded."""


class JobFailed(Exception):
    """The job cannot be done; says why, in one line for people."""


class JobCancelled(Exception):
    """Somebody asked the job to stop, or its process is to end: unwind and leave nothing behind."""


class JobContext(Protocol):
    """What a running job has."""

    dsn: str
    """The database, as the application's role."""
    redis_url: str
    actor: str
    """Who started it, as events name an actor."""

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say how far it is, in the kind's unit; call it as often as you like.

        `done` never goes backwards for those who watch. Raises JobCancelled.
        """

    def is_cancelled(self) -> bool:
        """Whether it should stop; for code that cannot be interrupted by `progress`."""

    def write_file(self, name: str, content_type: str) -> AbstractContextManager[BinaryIO]:
        """A file for people to fetch: it exists once the block was left without an exception.

        Takes bytes; cannot seek. `name` is a plain name such as `statement.csv`.
        """

    def at_desk(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        """Do asynchronous work at a desk: read state, decide, append."""


@dataclass(frozen=True, slots=True)
class JobKind(Generic[ParametersT]):
    """A kind of job. `permission`: who may start and cancel it. `unit`: of what `done` counts.

    `run(context, parameters)` gives the result: anything msgspec writes as a JSON object.
    """

    name: str
    parameters: type[ParametersT]
    permission: Permission
    unit: str
    run: Callable[[JobContext, ParametersT], object]
