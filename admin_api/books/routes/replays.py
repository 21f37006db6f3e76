"""/ledger/checks and /ledger/rebuilds: the books checked, and what is served replayed, as jobs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.books.jobs import check, compare, rebuild
from admin_api.books.schemas import NewRebuild
from admin_api.errors import InvalidInput
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import start_job
from admin_api.jobs.schemas import JobAccepted, accepted
from projections.registry import PROJECTIONS

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]


@router.post("/ledger/checks", status_code=202)
async def start_check(desk: TheDesk, operator: Reader, response: Response) -> JobAccepted:
    """Check every invariant of the books; the job's result has the findings."""
    job_id = await start_job(desk, check.KIND, check.Parameters(), operator.actor)
    return accepted(response, job_id)


@router.post("/ledger/rebuilds", status_code=202)
async def start_rebuild(
    desk: TheDesk, operator: Reader, given: NewRebuild, response: Response
) -> JobAccepted:
    """Rebuild read models from the log, or only compare what is served with a replay."""
    known = {projection.name for projection in PROJECTIONS}
    if any(name not in known for name in given.projections):
        raise InvalidInput("projections", f"must be of {', '.join(sorted(known))}")
    names = tuple(dict.fromkeys(given.projections))
    if given.compare_only:
        comparing = compare.Parameters(projections=names)
        return accepted(response, await start_job(desk, compare.KIND, comparing, operator.actor))
    operator.require(rebuild.KIND.permission)
    rebuilding = rebuild.Parameters(projections=names)
    return accepted(response, await start_job(desk, rebuild.KIND, rebuilding, operator.actor))
