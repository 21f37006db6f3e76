"""/channels: ways to providers. Provider keys go in and never come out. /channel-types: the kinds
of providers there are, and what a channel of each may say.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.channels import health, operations, provider_keys, questions
from admin_api.channels.health_schemas import ChannelHealth
from admin_api.channels.key_schemas import ProviderKeyDetails, ProviderKeyList
from admin_api.channels.question_schemas import (
    AnsweredQuestionOutput,
    NewQuestion,
    OfferedModelsOutput,
    TakeOver,
)
from admin_api.channels.schemas import (
    ChannelChange,
    ChannelList,
    ChannelOutput,
    NewChannel,
    channel_input,
)
from admin_api.channels.type_schemas import ChannelTypeList, ChannelTypeOutput
from admin_api.fields.bodies import Because
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


@router.get("/channels/{channel_id}/keys")
async def list_keys(desk: TheDesk, _operator: Reader, channel_id: UUID) -> ProviderKeyList:
    """Every key of a channel, and what is known of it; never the key itself."""
    views = await provider_keys.list_keys(desk, channel_id)
    return ProviderKeyList(keys=[ProviderKeyDetails.of(view) for view in views])


@router.post("/channels/{channel_id}/keys/{key_id}/pause")
async def pause_key(
    desk: TheDesk, operator: Writer, channel_id: UUID, key_id: UUID, given: Because
) -> ProviderKeyDetails:
    """Send no calls with a key, until it is resumed."""
    command = provider_keys.pause_key(
        desk, channel_id, key_id, actor=operator.actor, reason=given.reason or ""
    )
    return ProviderKeyDetails.of(await desk.commands.finish(command))


@router.post("/channels/{channel_id}/keys/{key_id}/resume")
async def resume_key(
    desk: TheDesk, operator: Writer, channel_id: UUID, key_id: UUID, given: Because
) -> ProviderKeyDetails:
    """Send calls with a key again, whatever was wrong with it: paused, refused, out of money."""
    command = provider_keys.resume_key(
        desk, channel_id, key_id, actor=operator.actor, reason=given.reason or ""
    )
    return ProviderKeyDetails.of(await desk.commands.finish(command))


@router.get("/channels/{channel_id}/health")
async def read_health(desk: TheDesk, _operator: Reader, channel_id: UUID) -> ChannelHealth:
    """Which of its models do not answer, and are asked elsewhere first."""
    return ChannelHealth.of(await health.read_health(desk, channel_id))


@router.post("/channels/{channel_id}/health/close")
async def close_breakers(desk: TheDesk, _operator: Writer, channel_id: UUID) -> ChannelHealth:
    """Ask it as if it had never failed."""
    return ChannelHealth.of(await health.close_breakers(desk, channel_id))


@router.post("/channels/{channel_id}/test")
async def ask(
    desk: TheDesk, _operator: Writer, channel_id: UUID, given: NewQuestion
) -> AnsweredQuestionOutput:
    """Ask one of its models for a few tokens, and show all that went over the wire."""
    command = questions.ask(desk, channel_id, given.question())
    return AnsweredQuestionOutput.of(await desk.commands.finish(command))


@router.get("/channels/{channel_id}/offered-models")
async def read_offered_models(
    desk: TheDesk, _operator: Writer, channel_id: UUID
) -> OfferedModelsOutput:
    """What its vendor lists now, against what the channel asks for."""
    return OfferedModelsOutput.of(await questions.offered(desk, channel_id))


@router.post("/channels/{channel_id}/offered-models")
async def take_over(
    desk: TheDesk, operator: Writer, channel_id: UUID, given: TakeOver
) -> ChannelOutput:
    """Serve some of them more, and others no more."""
    command = questions.take_over(
        desk, channel_id, actor=operator.actor, add=given.add, drop=given.drop
    )
    return ChannelOutput.of(await desk.commands.finish(command), operator)


@router.get("/channel-types")
async def list_channel_types(desk: TheDesk, _operator: Reader) -> ChannelTypeList:
    """Every kind of provider."""
    kinds = sorted(desk.channel_types.items())
    return ChannelTypeList(channel_types=[ChannelTypeOutput.of(name, kind) for name, kind in kinds])
