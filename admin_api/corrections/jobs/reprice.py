"""Answers a what-if: what calls would have cost under other prices. Nothing is written."""

import msgspec

from admin_api.corrections.operations.reprices import KeptWhatIf, answer
from admin_api.jobs.contract import JobContext, JobKind
from ledger.alternative import Question


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The question."""

    question: Question


def _run(job: JobContext, parameters: Parameters) -> KeptWhatIf:
    return job.at_desk(lambda desk: answer(desk, parameters.question, job.progress))


KIND = JobKind("reprice", Parameters, "ledger:read", "positions", _run)
