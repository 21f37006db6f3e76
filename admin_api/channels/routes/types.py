"""/channel-types: the kinds of providers there are, and what a channel of each may say."""

from typing import Annotated

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.channels.types import ChannelType
from admin_api.fields.bodies import Output
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["channels"])

Reader = Annotated[Operator, Depends(Permit("channels:read"))]


class ChannelSettingOutput(Output):
    """Something a channel may have to say; `pattern` is for the whole value."""

    name: str
    description: str
    is_required: bool
    default: str
    pattern: str


class ChannelTypeOutput(Output):
    """A kind of provider. Without a `base_url` of its own, a channel must name one.

    `{name}` in an address stands for a setting, or for what a key says. `key_format`: what a key
    looks like; empty for any one word. `formats`: what it can speak, best first.
    """

    name: str
    base_url: str
    is_whole_url: bool
    needs_key: bool
    key_format: str
    formats: list[str]
    settings: list[ChannelSettingOutput]


class ChannelTypeList(Output):
    """Every kind, by name."""

    channel_types: list[ChannelTypeOutput]


@router.get("/channel-types")
async def list_channel_types(desk: TheDesk, _operator: Reader) -> ChannelTypeList:
    """Every kind of provider."""
    kinds = sorted(desk.channel_types.items())
    return ChannelTypeList(channel_types=[_output(name, kind) for name, kind in kinds])


def _output(name: str, kind: ChannelType) -> ChannelTypeOutput:
    return ChannelTypeOutput(
        name=name,
        base_url=kind.base_url,
        is_whole_url=kind.is_whole_url,
        needs_key=kind.needs_key,
        key_format=kind.key_format,
        formats=list(kind.formats),
        settings=[
            ChannelSettingOutput(
                name=one.name,
                description=one.description,
                is_required=one.is_required,
                default=one.default,
                pattern=one.pattern,
            )
            for one in kind.settings
        ],
    )
