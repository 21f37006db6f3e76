"""Checks the books: every invariant of the ledger, every read model, every balance in Redis, and
the reasons that were given.
"""

from itertools import chain

import msgspec

from admin_api.desk import Desk
from admin_api.integrity.reasons import check_reasons
from admin_api.jobs.contract import JobContext, JobFailed, JobKind
from ledger.vault import Vault
from projections.cache.errors import CacheUnavailable
from projections.fsck import check_everything
from projections.registry import PROJECTIONS

_FINDINGS_TOLD_MAX = 1_000


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything is checked, always."""


class FoundFault(msgspec.Struct, frozen=True):
    """One thing that is wrong; see `ledger.fsck.Finding`."""

    check: str
    position: int | None
    scope: str | None
    message: str


class Result(msgspec.Struct, frozen=True):
    """`first_bad_position`: the lowest that is named; `findings` are the first of `faults`."""

    is_clean: bool
    faults: int
    first_bad_position: int | None
    findings: list[FoundFault]


def _run(job: JobContext, _parameters: Parameters) -> Result:
    faults = 0
    findings: list[FoundFault] = []
    first: int | None = None
    books = check_everything(job.dsn, PROJECTIONS, job.redis_url, job.progress)
    try:
        for each in chain(books, check_reasons(job.dsn, job.at_desk(_vault))):
            faults += 1
            if len(findings) < _FINDINGS_TOLD_MAX:
                findings.append(FoundFault(each.check, each.position, each.scope, each.message))
            if each.position is not None:
                first = each.position if first is None else min(first, each.position)
    except CacheUnavailable as away:
        raise JobFailed(f"the balances in Redis could not be checked: {away}") from away
    return Result(not faults, faults, first, findings)


async def _vault(desk: Desk) -> Vault:
    return desk.vault


KIND = JobKind("check", Parameters, "ledger:read", "events", _run)
