"""Replays read models beside the served ones, and names every row that the log does not give."""

from uuid import UUID

import msgspec

from admin_api.jobs.contract import JobContext, JobFailed, JobKind
from projections.batches import LogBroken, ProjectionStopped
from projections.comparison import ColumnDifference, compare
from projections.progress import StepsInTurn
from projections.rebuild import RebuildRefused
from projections.registry import chosen


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Names of read models, empty: all of them; and how many differing rows of each are told."""

    projections: tuple[str, ...] = ()
    differences_max: int = 100


class RowDifference(msgspec.Struct, frozen=True):
    """A row that is not what the log says. `account` where the row belongs to one.

    `columns` are those that differ, as text; is_served, is_replayed: which sides have the row.
    `first_divergent`: the position from which on the log gives something else than is served.
    """

    projection: str
    table: str
    key: str
    account: UUID | None
    first_divergent: int | None
    is_served: bool
    is_replayed: bool
    columns: list[ColumnDifference]


class Result(msgspec.Struct, frozen=True):
    """Whether all is the same, and where it is not."""

    is_identical: bool
    compared: list[str]
    differences: list[RowDifference]


def _run(job: JobContext, parameters: Parameters) -> Result:
    projections = chosen(parameters.projections)
    found: list[RowDifference] = []
    note = ""
    steps = StepsInTurn(lambda done, total: job.progress(done, total, note), len(projections))
    for projection in projections:
        note = projection.name
        try:
            rows = compare(job.dsn, projection, parameters.differences_max, steps.next())
        except (RebuildRefused, LogBroken, ProjectionStopped) as refusal:
            raise JobFailed(f"{projection.name} cannot be replayed: {refusal}") from refusal
        found += [
            RowDifference(
                projection.name,
                row.table,
                row.key,
                row.account_id,
                row.first_divergent,
                row.served is not None,
                row.replayed is not None,
                list(row.columns),
            )
            for row in rows
        ]
    return Result(not found, [each.name for each in projections], found)


KIND = JobKind("compare", Parameters, "ledger:read", "events", _run)
