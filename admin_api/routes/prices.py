"""/prices: what models cost, in USD per million tokens (`per_call`: per call)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from admin_api.auth import Operator, Permit, TheDesk
from admin_api.inputs import MODEL_MAX, format_moment
from admin_api.operations import prices
from admin_api.operations.prices import CLASS_OF_FIELD
from admin_api.schemas import Amount, Input, Moment, Output
from admin_api.strict_route import StrictRoute
from ledger.money import format_usd
from ledger.streams.price import PriceSet

router = APIRouter(route_class=StrictRoute, tags=["prices"])

Reader = Annotated[Operator, Depends(Permit("prices:read"))]
Model = Annotated[str, Path(min_length=1, max_length=MODEL_MAX)]


class NewPrice(Input):
    """A price. `input` or `per_call` is required; a class without a price costs its parent's."""

    input: Amount | None = None
    output: Amount | None = None
    cache_read: Amount | None = None
    cache_write_5m: Amount | None = None
    cache_write_1h: Amount | None = None
    reasoning: Amount | None = None
    audio_in: Amount | None = None
    audio_out: Amount | None = None
    image_in: Amount | None = None
    image_out: Amount | None = None
    per_call: Amount | None = None
    effective_from: Moment | None = None


class PriceVersion(Output):
    """The version that a price was given."""

    version: int


class PriceOutput(Output):
    """One version of a model's price; null: costs what its parent costs."""

    model: str
    version: int
    input: str | None
    output: str | None
    cache_read: str | None
    cache_write_5m: str | None
    cache_write_1h: str | None
    reasoning: str | None
    audio_in: str | None
    audio_out: str | None
    image_in: str | None
    image_out: str | None
    per_call: str | None
    effective_from: Moment


class PastPrice(PriceOutput):
    """A version with when it was set, and by whom."""

    recorded_at: Moment
    actor: str


class PriceHistoryOutput(Output):
    """What a model costs now, null if nothing yet; and every version, oldest first."""

    model: str
    current: PriceOutput | None
    history: list[PastPrice]


class PriceList(Output):
    """The price in force now of every model that has one, by name."""

    prices: list[PriceOutput]


@router.get("/prices")
async def list_prices(desk: TheDesk, _operator: Reader) -> PriceList:
    """What every model costs now."""
    listed = await prices.list_prices(desk)
    return PriceList(prices=[PriceOutput(**_fields(version, event)) for version, event in listed])


@router.put("/prices/{model:path}")
async def set_price(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("prices:write"))],
    model: Model,
    given: NewPrice,
) -> PriceVersion:
    """Price a model, from `effective_from` or from now on."""
    rates = given.model_dump(include=set(CLASS_OF_FIELD), exclude_none=True)
    command = prices.set_price(
        desk, model, rates=rates, effective_from=given.effective_from, actor=operator.actor
    )
    return PriceVersion(version=await desk.commands.finish(command))


@router.get("/prices/{model:path}")
async def read_price(desk: TheDesk, _operator: Reader, model: Model) -> PriceHistoryOutput:
    """What a model costs now and ever cost."""
    history = await prices.price_history(desk, model)
    current = prices.version_in_force(history)
    return PriceHistoryOutput(
        model=model,
        current=None
        if current is None
        else PriceOutput(**_fields(current, history[current - 1].set)),
        history=[
            PastPrice(
                **_fields(view.version, view.set),
                recorded_at=format_moment(view.recorded_at),
                actor=view.set.actor,
            )
            for view in history
        ],
    )


def _fields(version: int, event: PriceSet) -> dict[str, Any]:
    rates = event.price.rates
    return {
        "model": event.model,
        "version": version,
        "effective_from": format_moment(event.effective_from_us),
        **{
            field: format_usd(rates[kind]) if kind in rates else None
            for field, kind in CLASS_OF_FIELD.items()
        },
    }
