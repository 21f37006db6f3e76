"""Posts a correction, in the name of whoever started the job: that operator approves it."""

from uuid import UUID

import msgspec

from admin_api.corrections.operations.corrections import PostedCorrection, post_correction
from admin_api.jobs.contract import JobContext, JobKind
from ledger.money import format_usd


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The adjustment that is the correction."""

    adjustment: UUID


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What it came to, in USD: what customers pay more."""

    adjustment: UUID
    accounts: int
    charges: int
    difference: str
    is_repeated: bool


def _run(job: JobContext, parameters: Parameters) -> Result:
    posted: PostedCorrection = job.at_desk(
        lambda desk: post_correction(desk, parameters.adjustment, job.progress, actor=job.actor)
    )
    return Result(
        adjustment=posted.adjustment,
        accounts=posted.accounts,
        charges=posted.charges,
        difference=format_usd(posted.charged_nanos),
        is_repeated=posted.is_repeated,
    )


KIND = JobKind("correction", Parameters, "adjustments:approve", "charges", _run)
