"""/ledger/as-of/...: what a model cost, where a channel led and what was set, then."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.configuration import operations
from admin_api.configuration.operations import BOOK_MAX
from admin_api.fields.as_of_queries import AsOfOutput, AsOfQuery, AtLeast, as_of_output
from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import MODEL_MAX, format_moment
from admin_api.groups.operations import format_multiplier
from admin_api.http.strict_route import StrictRoute
from admin_api.ledger_events.operations import wait_for_position
from ledger.money import format_usd
from ledger.pricing import Schedule
from ledger.streams.price import PriceSet

router = APIRouter(route_class=StrictRoute, tags=["ledger"])

Reader = Annotated[Operator, Depends(Permit("ledger:read"))]


class LongContextThen(Output):
    """What prompts of more than so many tokens cost instead."""

    above_tokens: int
    rates: dict[str, SignedAmount]


class ScheduleThen(Output):
    """USD per million tokens by class of usage; `calls`: per call; tools: per 1,000 calls."""

    rates: dict[str, SignedAmount]
    long_context: list[LongContextThen]


class PriceThen(ScheduleThen):
    """The version that was in force, and what other services cost."""

    version: int
    effective_from: Moment
    actor: str
    services: dict[str, ScheduleThen]


class PriceAsOfOutput(Output):
    """A model's price then; null: none had begun. `versions`: how many were known, also of prices
    that were still to begin.
    """

    model: str
    book: str
    as_of: AsOfOutput
    moment: Moment
    in_force: PriceThen | None
    versions: int


class ChannelAsOfOutput(Output):
    """A channel then. Its name is not in the ledger and so not here."""

    id: UUID
    as_of: AsOfOutput
    version: int
    changed_at: Moment
    type: str
    base_url: str
    models: dict[str, str]
    groups: list[str]
    priority: int
    weight: int
    is_paused: bool
    is_removed: bool
    usable_keys: int
    unusable_keys: int


class SettingThen(Output):
    """A setting then."""

    name: str
    value: str
    version: int
    changed_at: Moment


class GroupThen(Output):
    """A group then."""

    name: str
    multiplier: str
    version: int
    changed_at: Moment


class SettingsAsOfOutput(Output):
    """Everything that was set until then, by name."""

    as_of: AsOfOutput
    settings: list[SettingThen]
    groups: list[GroupThen]


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
    await wait_for_position(desk, at_least)
    found, resolved = await operations.price_as_of(desk, model, as_of, book)
    return PriceAsOfOutput(
        model=model,
        book=book or "",
        as_of=as_of_output(resolved),
        moment=format_moment(resolved.moment),
        in_force=None if found.in_force is None else _price(*found.in_force),
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
    await wait_for_position(desk, at_least)
    state, known, resolved = await operations.channel_as_of(desk, channel_id, as_of)
    route = state.route
    unusable = len(state.unusable_keys & set(route.key_ids))
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
        usable_keys=len(route.key_ids) - unusable,
        unusable_keys=unusable,
    )


@router.get("/ledger/as-of/settings")
async def read_settings(
    desk: TheDesk, _operator: Reader, as_of: AsOfQuery = None, at_least: AtLeast = 0
) -> SettingsAsOfOutput:
    """All settings and price groups."""
    await wait_for_position(desk, at_least)
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


def _price(version: int, event: PriceSet) -> PriceThen:
    return PriceThen(
        version=version,
        effective_from=format_moment(event.effective_from_us),
        actor=event.actor,
        services={
            name: ScheduleThen(**_schedule(each)) for name, each in event.price.services.items()
        },
        **_schedule(event.price),
    )


def _schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "rates": {kind: format_usd(nanos) for kind, nanos in schedule.rates.items()},
        "long_context": [
            LongContextThen(
                above_tokens=tier.above_tokens,
                rates={kind: format_usd(nanos) for kind, nanos in tier.rates.items()},
            )
            for tier in schedule.long_context
        ],
    }
