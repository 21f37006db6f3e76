"""/groups: what members of a price group pay, as a multiple of the list price."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.fields.bodies import Amount, GroupName, Input, Output
from admin_api.groups import operations
from admin_api.groups.operations import format_multiplier
from admin_api.http.strict_route import StrictRoute
from ledger.streams.group import Group

MEMBERS_MAX = 1_000

router = APIRouter(route_class=StrictRoute, tags=["prices"])


class NewMultiplier(Input):
    """The multiplier, written like an amount: "1.5" is half as much again, "0" is free.

    `for_members`: what accounts of other groups pay when they call in this one, by their own
    group; absent: as it is.
    """

    multiplier: Amount
    for_members: dict[str, Amount] | None = Field(default=None, max_length=MEMBERS_MAX)


class GroupOutput(Output):
    """A group."""

    name: str
    multiplier: str
    for_members: dict[str, str]
    version: int


class GroupList(Output):
    """Every group that was set, by name; all others pay the list price."""

    groups: list[GroupOutput]


@router.get("/groups")
async def list_groups(
    desk: TheDesk, _operator: Annotated[Operator, Depends(Permit("prices:read"))]
) -> GroupList:
    """Every group."""
    return GroupList(groups=[_output(group) for group in await operations.list_groups(desk)])


@router.put("/groups/{name}")
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
    )
    return _output(await desk.commands.finish(command))


def _output(group: Group) -> GroupOutput:
    return GroupOutput(
        name=group.name,
        multiplier=format_multiplier(group.multiplier),
        for_members={
            own: format_multiplier(each) for own, each in sorted(group.for_members.items())
        },
        version=group.version,
    )
