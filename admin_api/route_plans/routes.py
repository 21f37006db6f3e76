"""/routes/simulate: whom a call would be sent to."""

from typing import Annotated

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.http.strict_route import StrictRoute
from admin_api.route_plans import operations
from admin_api.route_plans.schemas import RouteQuestion, SimulatedRoute

router = APIRouter(route_class=StrictRoute, tags=["channels"])


@router.post("/routes/simulate")
async def simulate(
    desk: TheDesk,
    _operator: Annotated[Operator, Depends(Permit("channels:read"))],
    given: RouteQuestion,
) -> SimulatedRoute:
    """Every channel and key for a call of a model, in the order in which they would be asked."""
    view = await operations.simulate(desk, given.model, account_id=given.account, key_id=given.key)
    return SimulatedRoute.of(view)
