"""/prices: what models cost, in USD per million tokens (`per_call`: per call; tools: per 1,000)."""

from typing import Annotated

from fastapi import APIRouter, Depends

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
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

router = APIRouter(route_class=StrictRoute, tags=["prices"])

Reader = Annotated[Operator, Depends(Permit("prices:read"))]


@router.get("/prices")
async def list_prices(desk: TheDesk, _operator: Reader) -> PriceList:
    """What every model costs now."""
    listed = await prices.list_prices(desk)
    return PriceList(prices=[PriceOutput.told(version, event) for version, event in listed])


@router.put("/prices/{model:path}")
async def set_price(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("prices:write"))],
    model: Model,
    given: NewPrice,
) -> PriceVersion:
    """Price a model, from `effective_from` or from now on.

    A moment in the past is taken: every call keeps the price it was admitted at, so only calls to
    come are charged by it.
    """
    command = prices.set_price(
        desk,
        model,
        given.price(),
        Decider(operator.actor, given.reason),
        effective_from=given.effective_from,
    )
    return PriceVersion(version=await desk.commands.finish(command))


@router.get("/prices/{model:path}")
async def read_price(desk: TheDesk, _operator: Reader, model: Model) -> PriceHistoryOutput:
    """What a model costs now and ever cost."""
    history = await prices.price_history(desk, model)
    return PriceHistoryOutput.of(model, prices.version_in_force(history), history)
