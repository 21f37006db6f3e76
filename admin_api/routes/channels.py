"""/channels: ways to providers. Provider keys go in and never come out."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field, SecretStr

from admin_api.auth import Operator, Permit, TheDesk
from admin_api.errors import InvalidInput
from admin_api.inputs import LIST_MAX, SECRET_MAX, URL_MAX
from admin_api.operations import channels
from admin_api.operations.channels import GROUPS_MAX, KEYS_MAX, ChannelInput, ChannelView
from admin_api.schemas import GroupName, Input, ModelName, Name, Output
from admin_api.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["channels"])

Reader = Annotated[Operator, Depends(Permit("channels:read"))]
Writer = Annotated[Operator, Depends(Permit("channels:write"))]


class ModelMapping(Input):
    """The client's name of a model and the provider's."""

    client: ModelName
    upstream: ModelName


ProviderKey = Annotated[SecretStr, Field(min_length=1, max_length=SECRET_MAX)]
Type = Annotated[str, Field(min_length=1, max_length=64, description="A kind of provider.")]
BaseUrl = Annotated[str, Field(max_length=URL_MAX, description="Empty: the provider's own.")]
Keys = Annotated[list[ProviderKey], Field(max_length=KEYS_MAX)]
Models = Annotated[list[ModelName | ModelMapping], Field(min_length=1, max_length=LIST_MAX)]
Groups = Annotated[list[GroupName], Field(min_length=1, max_length=GROUPS_MAX)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Highest first.")]
Weight = Annotated[int, Field(ge=0, le=1_000_000, description="Share within one priority.")]


class NewChannel(Input):
    """A channel to add."""

    name: Name
    type: Type
    base_url: BaseUrl | None = None
    keys: Keys | None = None
    models: Models
    groups: Groups | None = None
    priority: Priority | None = None
    weight: Weight | None = None


class ChannelChange(Input):
    """Changes to a channel: what is absent or null stays.

    Another type or base_url takes the keys away unless new ones are given with it.
    """

    name: Name | None = None
    type: Type | None = None
    base_url: BaseUrl | None = None
    keys: Keys | None = None
    models: Models | None = None
    groups: Groups | None = None
    priority: Priority | None = None
    weight: Weight | None = None
    is_paused: bool | None = None


class ProviderKeyOutput(Output):
    """A provider's key: that it exists, and whether the provider accepts it."""

    id: UUID
    state: Literal["usable", "unusable"]


class ModelMappingOutput(Output):
    """The client's name of a model and the provider's."""

    client: str
    upstream: str


class ChannelOutput(Output):
    """A channel."""

    id: UUID
    name: str | None
    type: str
    base_url: str
    keys: list[ProviderKeyOutput]
    models: list[ModelMappingOutput]
    groups: list[str]
    priority: int
    weight: int
    is_paused: bool


class ChannelList(Output):
    """Every channel, oldest first."""

    channels: list[ChannelOutput]


@router.post("/channels", status_code=201)
async def add_channel(desk: TheDesk, operator: Writer, given: NewChannel) -> ChannelOutput:
    """Add a channel."""
    command = channels.add_channel(desk, _input(given), actor=operator.actor)
    channel_id = await desk.commands.finish(command)
    return _output(await channels.read_channel(desk, channel_id))


@router.get("/channels")
async def list_channels(desk: TheDesk, _operator: Reader) -> ChannelList:
    """Every channel."""
    return ChannelList(channels=[_output(view) for view in await channels.list_channels(desk)])


@router.get("/channels/{channel_id}")
async def read_channel(desk: TheDesk, _operator: Reader, channel_id: UUID) -> ChannelOutput:
    """One channel."""
    return _output(await channels.read_channel(desk, channel_id))


@router.patch("/channels/{channel_id}")
async def change_channel(
    desk: TheDesk, operator: Writer, channel_id: UUID, given: ChannelChange
) -> ChannelOutput:
    """Change a channel."""
    command = channels.change_channel(desk, channel_id, _input(given), actor=operator.actor)
    return _output(await desk.commands.finish(command))


@router.delete("/channels/{channel_id}", status_code=204)
async def remove_channel(desk: TheDesk, operator: Writer, channel_id: UUID) -> None:
    """Remove a channel and its provider keys for ever."""
    await desk.commands.finish(channels.remove_channel(desk, channel_id, actor=operator.actor))


def _input(given: NewChannel | ChannelChange) -> ChannelInput:
    return ChannelInput(
        name=given.name,
        type=given.type,
        base_url=given.base_url,
        keys=None if given.keys is None else [key.get_secret_value() for key in given.keys],
        models=None if given.models is None else _mapping(given.models),
        groups=given.groups,
        priority=given.priority,
        weight=given.weight,
        is_paused=given.is_paused if isinstance(given, ChannelChange) else None,
    )


def _mapping(models: list[ModelName | ModelMapping]) -> dict[str, str]:
    pairs = [(m, m) if isinstance(m, str) else (m.client, m.upstream) for m in models]
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise InvalidInput("models", "must not name a model twice")
    return mapping


def _output(view: ChannelView) -> ChannelOutput:
    route = view.state.route
    unusable = view.state.unusable_keys
    return ChannelOutput(
        id=view.channel_id,
        name=view.name,
        type=route.type,
        base_url=route.base_url,
        keys=[
            ProviderKeyOutput(id=key, state="unusable" if key in unusable else "usable")
            for key in route.key_ids
        ],
        models=[ModelMappingOutput(client=c, upstream=u) for c, u in sorted(route.models.items())],
        groups=list(route.groups),
        priority=route.priority,
        weight=route.weight,
        is_paused=view.state.is_paused,
    )
