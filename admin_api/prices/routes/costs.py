"""/costs: what providers take from us, in all channels or in one; by the provider's model names."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.desk import Desk
from admin_api.http.strict_route import StrictRoute
from admin_api.prices.operations import prices
from admin_api.prices.operations.decisions import Decider
from admin_api.prices.schemas.prices import (
    Model,
    NewPrice,
    PriceHistoryOutput,
    PriceList,
    PriceOutput,
    PriceVersion,
)

router = APIRouter(route_class=StrictRoute, tags=["costs"])

Reader = Annotated[Operator, Depends(Permit("prices:read"))]
Writer = Annotated[Operator, Depends(Permit("prices:write"))]


@router.get("/costs")
async def list_costs(desk: TheDesk, _operator: Reader) -> PriceList:
    """What every model costs us now, unless its channel says otherwise."""
    return await _list(desk, None)


@router.put("/costs/{model:path}")
async def set_cost(desk: TheDesk, operator: Writer, model: Model, given: NewPrice) -> PriceVersion:
    """Say what a model costs us in every channel that has no cost of its own for it."""
    return await _set(desk, operator, None, model, given)


@router.get("/costs/{model:path}")
async def read_cost(desk: TheDesk, _operator: Reader, model: Model) -> PriceHistoryOutput:
    """What a model costs us now and ever did."""
    return await _read(desk, None, model)


@router.get("/channels/{channel_id}/costs")
async def list_channel_costs(desk: TheDesk, _operator: Reader, channel_id: UUID) -> PriceList:
    """What models cost us in one channel."""
    return await _list(desk, channel_id)


@router.put("/channels/{channel_id}/costs/{model:path}")
async def set_channel_cost(
    desk: TheDesk, operator: Writer, channel_id: UUID, model: Model, given: NewPrice
) -> PriceVersion:
    """Say what a model costs us in one channel; a call's cost is the one in force at its end."""
    return await _set(desk, operator, channel_id, model, given)


@router.get("/channels/{channel_id}/costs/{model:path}")
async def read_channel_cost(
    desk: TheDesk, _operator: Reader, channel_id: UUID, model: Model
) -> PriceHistoryOutput:
    """What a model costs us in one channel now and ever did."""
    return await _read(desk, channel_id, model)


async def _list(desk: Desk, channel_id: UUID | None) -> PriceList:
    book = await prices.channel_cost_book(desk, channel_id)
    listed = await prices.list_prices(desk, book)
    return PriceList(prices=[PriceOutput.told(version, event) for version, event in listed])


async def _set(
    desk: Desk, operator: Operator, channel_id: UUID | None, model: str, given: NewPrice
) -> PriceVersion:
    book = await prices.channel_cost_book(desk, channel_id)
    command = prices.set_price(
        desk,
        model,
        given.price(),
        Decider(operator.actor, given.reason),
        book=book,
        effective_from=given.effective_from,
    )
    return PriceVersion(version=await desk.commands.finish(command))


async def _read(desk: Desk, channel_id: UUID | None, model: str) -> PriceHistoryOutput:
    book = await prices.channel_cost_book(desk, channel_id)
    history = await prices.price_history(desk, model, book)
    return PriceHistoryOutput.of(model, prices.version_in_force(history, book), history)
