"""/oversight: what one person could do alone, where two are meant to agree."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.as_of_queries import AtLeast, Since, Until
from admin_api.http.strict_route import StrictRoute
from admin_api.oversight.operations import read_oversight
from admin_api.oversight.schemas import OversightOutput

router = APIRouter(route_class=StrictRoute, tags=["audit"])


@router.get("/oversight")
async def read(
    desk: TheDesk,
    _operator: Annotated[Operator, Depends(Permit("ledger:read"))],
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    at_least: AtLeast = 0,
) -> OversightOutput:
    """Credits above what one operator may grant alone, approvals within one hand, and every change
    of the settings that say what either is.

    Of a stretch of the log, the newest first: at most `limit` credits, and those of the last
    `limit` approvals in which the approver was new, or owed itself to the proposer.
    """
    seen = await read_oversight(desk, since=since, until=until, limit=limit, at_least=at_least)
    return OversightOutput.of(seen)
