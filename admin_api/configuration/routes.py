"""/ledger/as-of/...: what a model cost, where a channel led and what was set, then."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.configuration import operations
from admin_api.configuration.operations import BOOK_MAX
from admin_api.configuration.schemas import (
    ChannelAsOfOutput,
    GroupThen,
    PriceAsOfOutput,
    PriceThen,
    SettingsAsOfOutput,
    SettingThen,
)
from admin_api.fields.as_of_queries import AsOfQuery, AtLeast, as_of_output
from admin_api.fields.inputs import MODEL_MAX, format_moment, format_multiplier
from admin_api.http.strict_route import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]


@router.get("/ledger/as-of/prices/{model:path}")
async def read_price(
    desk: TheDesk,
    _operator: Reader,
    model: Annotated[str, Path(min_length=1, max_length=MODEL_MAX)],
    book: Annotated[str | None, Query(min_length=1, max_length=BOOK_MAX)] = None,
    as_of: AsOfQuery = None,
    at_least: AtLeast = 0,
) -> PriceAsOfOutput:
    """What a model cost; customers unless another `book` is named."""
    await desk.wait_for_position(at_least)
    found, resolved = await operations.price_as_of(desk, model, as_of, book)
    return PriceAsOfOutput(
        model=model,
        book=book or "",
        as_of=as_of_output(resolved),
        moment=format_moment(resolved.moment),
        in_force=None if found.in_force is None else PriceThen.of(*found.in_force),
        versions=found.versions,
    )


@router.get("/ledger/as-of/channels/{channel_id}")
async def read_channel(
    desk: TheDesk,
    _operator: Reader,
    channel_id: UUID,
    as_of: AsOfQuery = None,
    at_least: AtLeast = 0,
) -> ChannelAsOfOutput:
    """Where a channel led, and for whom."""
    await desk.wait_for_position(at_least)
    state, known, resolved = await operations.channel_as_of(desk, channel_id, as_of)
    route = state.route
    usable = len(state.usable_keys)
    return ChannelAsOfOutput(
        id=channel_id,
        as_of=as_of_output(resolved),
        version=state.version,
        changed_at=format_moment(known.recorded_at),
        type=route.type,
        base_url=route.base_url,
        models=route.models,
        groups=list(route.groups),
        priority=route.priority,
        weight=route.weight,
        is_paused=state.is_paused,
        is_removed=state.is_removed,
        usable_keys=usable,
        unusable_keys=len(route.key_ids) - usable,
    )


@router.get("/ledger/as-of/settings")
async def read_settings(
    desk: TheDesk, _operator: Reader, as_of: AsOfQuery = None, at_least: AtLeast = 0
) -> SettingsAsOfOutput:
    """All settings and price groups."""
    await desk.wait_for_position(at_least)
    found = await operations.settings_as_of(desk, as_of)
    settings = [
        SettingThen(
            name=name,
            value=state.value,
            version=state.version,
            changed_at=format_moment(known.recorded_at),
        )
        for name, state, known in found.settings
    ]
    groups = [
        GroupThen(
            name=state.name,
            multiplier=format_multiplier(state.multiplier),
            version=state.version,
            changed_at=format_moment(known.recorded_at),
        )
        for state, known in found.groups
    ]
    return SettingsAsOfOutput(as_of=as_of_output(found.as_of), settings=settings, groups=groups)
