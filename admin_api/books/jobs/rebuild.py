"""Folds read models anew from the log, beside the served ones, and serves the outcome."""

import msgspec

from admin_api.jobs.contract import JobContext, JobFailed, JobKind
from projections.batches import LogBroken, ProjectionStopped
from projections.progress import StepsInTurn
from projections.rebuild import RebuildRefused, rebuild
from projections.registry import chosen


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Names of read models; empty: all of them."""

    projections: tuple[str, ...] = ()


class RebuiltProjection(msgspec.Struct, frozen=True):
    """A read model that was put in place, as it stood at `position`."""

    name: str
    position: int
    generation: int


class Result(msgspec.Struct, frozen=True):
    """What was rebuilt, in the order it was done."""

    projections: list[RebuiltProjection]


def _run(job: JobContext, parameters: Parameters) -> Result:
    projections = chosen(parameters.projections)
    rebuilt: list[RebuiltProjection] = []
    note = ""
    steps = StepsInTurn(lambda done, total: job.progress(done, total, note), len(projections))
    for projection in projections:
        note = projection.name
        try:
            done = rebuild(job.dsn, projection, steps.next())
        except (RebuildRefused, LogBroken, ProjectionStopped) as refusal:
            raise JobFailed(f"{projection.name} was not rebuilt: {refusal}") from refusal
        rebuilt.append(RebuiltProjection(projection.name, done.position, done.generation))
    return Result(rebuilt)


KIND = JobKind("rebuild", Parameters, "ledger:write", "events", _run)
