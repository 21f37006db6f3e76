"""/groups: what members of a price group pay, as a multiple of the list price."""

from typing import Annotated

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.bodies import GroupName
from admin_api.groups import operations
from admin_api.groups.schemas import GroupList, GroupOutput, NewMultiplier
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["prices"])


@router.get("/groups")
async def list_groups(
    desk: TheDesk, _operator: Annotated[Operator, Depends(Permit("prices:read"))]
) -> GroupList:
    """Every group."""
    return GroupList(groups=[GroupOutput.of(group) for group in await operations.list_groups(desk)])


@router.put("/groups/{name:path}")
async def set_group(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("prices:write"))],
    name: GroupName,
    given: NewMultiplier,
) -> GroupOutput:
    """Set a group's multiplier."""
    command = operations.set_group(
        desk,
        name,
        multiplier=given.multiplier,
        actor=operator.actor,
        for_members=given.for_members,
        reason=given.reason or "",
    )
    return GroupOutput.of(await desk.commands.finish(command))
