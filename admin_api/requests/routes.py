"""/requests/{id}: one call, for operators and for the key that made it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from admin_api.access.auth import PermitOrOwn, TheDesk
from admin_api.access.permissions import Operator, Owner
from admin_api.http.strict_route import StrictRoute
from admin_api.requests.operations import RefusalView, find_request
from admin_api.requests.schemas import RequestOutput

router = APIRouter(route_class=StrictRoute, tags=["requests"])


@router.get("/requests/{request_id}")
async def read_request(
    desk: TheDesk,
    caller: Annotated[Operator | Owner, Depends(PermitOrOwn("requests:read"))],
    request_id: UUID,
    at_least: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> RequestOutput:
    """One call, as of the end of the log; `at_least`: wait until the log has that position."""
    if at_least:
        await desk.wait_for_position(at_least)
    owner = caller if isinstance(caller, Owner) else None
    found = await find_request(desk, request_id, owner)
    if isinstance(found, RefusalView):
        return RequestOutput.refused(found)
    return RequestOutput.admitted(found, shows_channels=owner is None)
