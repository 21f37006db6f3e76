"""/channels: ways to providers. Provider keys go in and never come out. /channel-types: the kinds
of providers there are, and what a channel of each may say.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.channels import operations
from admin_api.channels.schemas import (
    ChannelChange,
    ChannelList,
    ChannelOutput,
    ChannelTypeList,
    ChannelTypeOutput,
    NewChannel,
    channel_input,
)
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["channels"])

Reader = Annotated[Operator, Depends(Permit("channels:read"))]
Writer = Annotated[Operator, Depends(Permit("channels:write"))]


@router.post("/channels", status_code=201)
async def add_channel(desk: TheDesk, operator: Writer, given: NewChannel) -> ChannelOutput:
    """Add a channel."""
    command = operations.add_channel(desk, channel_input(given), actor=operator.actor)
    channel_id = await desk.commands.finish(command)
    return ChannelOutput.of(await operations.read_channel(desk, channel_id), operator)


@router.get("/channels")
async def list_channels(desk: TheDesk, operator: Reader) -> ChannelList:
    """Every channel."""
    views = await operations.list_channels(desk)
    return ChannelList(channels=[ChannelOutput.of(view, operator) for view in views])


@router.get("/channels/{channel_id}")
async def read_channel(desk: TheDesk, operator: Reader, channel_id: UUID) -> ChannelOutput:
    """One channel."""
    return ChannelOutput.of(await operations.read_channel(desk, channel_id), operator)


@router.patch("/channels/{channel_id}")
async def change_channel(
    desk: TheDesk, operator: Writer, channel_id: UUID, given: ChannelChange
) -> ChannelOutput:
    """Change a channel."""
    command = operations.change_channel(
        desk, channel_id, channel_input(given), actor=operator.actor
    )
    return ChannelOutput.of(await desk.commands.finish(command), operator)


@router.delete("/channels/{channel_id}", status_code=204)
async def remove_channel(desk: TheDesk, operator: Writer, channel_id: UUID) -> None:
    """Remove a channel and its provider keys for ever."""
    await desk.commands.finish(operations.remove_channel(desk, channel_id, actor=operator.actor))


@router.get("/channel-types")
async def list_channel_types(desk: TheDesk, _operator: Reader) -> ChannelTypeList:
    """Every kind of provider."""
    kinds = sorted(desk.channel_types.items())
    return ChannelTypeList(channel_types=[ChannelTypeOutput.of(name, kind) for name, kind in kinds])
