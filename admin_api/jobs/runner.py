"""Carries out jobs, one after the other, in the calling thread.

Beside the work a thread keeps the claim alive, writes down how far the work is, and hears whether
it is to stop; so neither a long computation nor a busy one holds any of this up.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar
from uuid import uuid4

import msgspec
import psycopg
import structlog

from admin_api.desk import Desk
from admin_api.errors import DeskError
from admin_api.jobs import claims, files
from admin_api.jobs.claims import Claim, Ending, Reached
from admin_api.jobs.contract import JobCancelled, JobFailed, JobKind, OpenDesk
from ledger.errors import LedgerError

log = structlog.get_logger()

T = TypeVar("T")

BEAT_S = 0.5
_ERROR_MAX = 1_000


@dataclass(frozen=True, slots=True)
class JobParts:
    """What the runner needs of the installation."""

    dsn: str
    redis_url: str
    open_desk: OpenDesk
    kinds: tuple[JobKind[Any], ...]


def carry_out_next(parts: JobParts, stopping: threading.Event) -> bool:
    """Take a job and carry it to its end; False where none was waiting.

    When `stopping` is set the work is unwound and the job goes back into the queue.
    Raises psycopg.OperationalError when the database is away.
    """
    kinds = {kind.name: kind for kind in parts.kinds}
    with _connect(parts.dsn) as connection:
        claim = claims.take(connection, uuid4(), list(kinds))
    if claim is None:
        return False
    log.info("job.started", job=str(claim.job_id), kind=claim.kind)
    with _Attempt(parts, claim, stopping) as attempt:
        ending = _outcome(kinds[claim.kind], attempt)
    with _connect(parts.dsn) as connection:
        if ending is None:
            claims.give_back(connection, claim)
            log.info("job.given_back", job=str(claim.job_id))
        elif claims.end(connection, claim, attempt.reached, ending):
            log.info("job.ended", job=str(claim.job_id), state=ending.state, error=ending.error)
        else:
            log.warning("job.lost", job=str(claim.job_id))
    return True


def _outcome(kind: JobKind[Any], attempt: "_Attempt") -> Ending | None:
    """How it ended; None if it is to be done again elsewhere."""
    try:
        parameters = msgspec.json.decode(attempt.claim.parameters, type=kind.parameters)
        result = kind.run(attempt, parameters)
    except JobCancelled:
        return None if attempt.is_to_be_given_back else Ending("cancelled")
    except (JobFailed, LedgerError, DeskError) as refusal:
        return Ending("failed", error=_one_line(refusal))
    except msgspec.ValidationError as error:
        return Ending("failed", error=f"not what this release expects: {_one_line(error)}")
    except psycopg.OperationalError as error:
        log.warning("job.database_away", job=str(attempt.claim.job_id), error=str(error))
        return Ending("failed", error="the database was not to be reached")
    except Exception as error:
        # A job's bug is that job's end, not its runner's.
        log.exception("job.bug", job=str(attempt.claim.job_id))
        return Ending("failed", error=f"this should not have happened ({type(error).__name__})")
    return Ending("done", result=msgspec.json.encode(result).decode())


class _Attempt:
    """The JobContext of one attempt at a job."""

    def __init__(self, parts: JobParts, claim: Claim, stopping: threading.Event) -> None:
        self.dsn = parts.dsn
        self.redis_url = parts.redis_url
        self.actor = claim.actor
        self.claim = claim
        self.reached = Reached(0, None, "")
        self._open_desk = parts.open_desk
        self._stopping = stopping
        self._is_cancelled = False
        self._is_lost = False
        self._over = threading.Event()
        self._keeping = threading.Thread(target=self._keep, name="job-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._keeping.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._keeping.join()

    @property
    def is_to_be_given_back(self) -> bool:
        """Whether it is our process that must end, and not the job."""
        return self._stopping.is_set() and not self._is_cancelled

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """See JobContext."""
        _, known_total, _ = self.reached
        self.reached = Reached(
            max(done, self.reached.done), known_total if total is None else total, note
        )
        if self.is_cancelled():
            raise JobCancelled

    def is_cancelled(self) -> bool:
        """See JobContext."""
        return self._is_cancelled or self._is_lost or self._stopping.is_set()

    def write_file(self, name: str, content_type: str) -> AbstractContextManager[BinaryIO]:
        """See JobContext."""
        return files.writing(self.dsn, self.claim, name, content_type)

    def at_desk(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        """See JobContext."""

        async def run() -> T:
            async with self._open_desk() as desk:
                return await work(desk)

        return asyncio.run(run())

    def _keep(self) -> None:
        """Until it is over: be heard of. A lost connection is made again."""
        while not self._over.is_set() and not self._is_lost:
            try:
                with _connect(self.dsn) as connection:
                    self._beat(connection)
            except psycopg.OperationalError as error:
                log.warning("job.heartbeat_failed", job=str(self.claim.job_id), error=str(error))
                self._over.wait(BEAT_S)

    def _beat(self, connection: claims.Connection) -> None:
        while not self._over.wait(BEAT_S):
            asked_to_stop = claims.beat(connection, self.claim, self.reached)
            if asked_to_stop is None:
                self._is_lost = True
                return
            self._is_cancelled = asked_to_stop


def _connect(dsn: str) -> claims.Connection:
    connection: claims.Connection = psycopg.connect(dsn, autocommit=True, connect_timeout=5)
    return connection


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_ERROR_MAX]
