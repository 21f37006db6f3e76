"""How requests and answers write prices: USD per million tokens by class (`per_call`: per call;
`web_search`, `file_search`, `code_execution`: per 1,000 calls of that tool).
"""

from typing import Annotated, Any, Self

from fastapi import Path
from pydantic import Field

from admin_api.errors import InvalidInput
from admin_api.fields.bodies import Amount, Input, Moment, Output
from admin_api.fields.inputs import MODEL_MAX, REASON_MAX, format_moment
from admin_api.prices.operations.price_inputs import (
    CLASS_OF_FIELD,
    LENGTHS_MAX,
    SERVICES_MAX,
    TOKENS_MAX,
    PriceInput,
    ScheduleInput,
)
from admin_api.prices.operations.prices import PriceView
from ledger.money import format_usd
from ledger.price_book.difference import ORDINARY, Change
from ledger.pricing import Price, Schedule
from ledger.streams.price import PriceSet

Model = Annotated[str, Path(min_length=1, max_length=MODEL_MAX)]
BookName = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="`sale`: what customers pay; `cost`: what we pay; any other: a draft.",
    ),
]
ReasonText = Annotated[str, Field(min_length=1, max_length=REASON_MAX)]


PerThousandCalls = Annotated[
    Amount | None, Field(description="USD per 1,000 calls of this tool; without it they are free")
]


class NewRates(Input):
    """Amounts in USD by class: tokens per million, `per_call` each, tools per 1,000 of their calls.

    A class of tokens without an amount costs its parent's; a tool without one costs nothing.
    """

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
    web_search: PerThousandCalls = None
    file_search: PerThousandCalls = None
    code_execution: PerThousandCalls = None

    def rates(self) -> dict[str, str]:
        """The amounts that are given."""
        return self.model_dump(include=set(CLASS_OF_FIELD), exclude_none=True)


class NewLongContext(NewRates):
    """What prompts of more tokens cost, all of their call; a class not named keeps its price."""

    above_tokens: Annotated[int, Field(ge=1, le=TOKENS_MAX)]


class NewSchedule(NewRates):
    """What one service costs. `input` or `per_call` is required; nothing is inherited."""

    long_context: list[NewLongContext] = Field(default_factory=list, max_length=LENGTHS_MAX)

    def schedule(self) -> ScheduleInput:
        """Raises InvalidInput for a length that is given twice."""
        return ScheduleInput(self.rates(), self._longer())

    def _longer(self) -> dict[int, dict[str, str]]:
        longer = {each.above_tokens: each.rates() for each in self.long_context}
        if len(longer) < len(self.long_context):
            raise InvalidInput("long_context", "must name each length once")
        return longer


class NewPrice(NewSchedule):
    """A price: the standard service, and others by the names that providers give them."""

    services: dict[str, NewSchedule] = Field(default_factory=dict, max_length=SERVICES_MAX)
    effective_from: Moment | None = None
    reason: ReasonText | None = None

    def price(self) -> PriceInput:
        """Raises InvalidInput for a length that is given twice."""
        services = {name: each.schedule() for name, each in self.services.items()}
        return PriceInput(self.rates(), self._longer(), services)


class RatesOutput(Output):
    """Amounts in USD by class: tokens per million, `per_call` each, tools per 1,000 of their calls;
    null: costs what its parent costs, and a tool nothing.
    """

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
    web_search: str | None
    file_search: str | None
    code_execution: str | None


class LongContextOutput(RatesOutput):
    """What prompts of more tokens cost; null: keeps its price."""

    above_tokens: int


class ScheduleOutput(RatesOutput):
    """What one service costs."""

    long_context: list[LongContextOutput]

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """As it is told."""
        return cls(**_schedule(schedule))


class PriceOutput(ScheduleOutput):
    """One version of a model's price. `provenance`: where the figures come from."""

    model: str
    version: int
    services: dict[str, ScheduleOutput]
    effective_from: Moment
    provenance: str

    @classmethod
    def told(cls, version: int, event: PriceSet) -> Self:
        """As it is told."""
        return cls(**_version(version, event))


class PastPrice(PriceOutput):
    """A version with when it was set, by whom and why."""

    recorded_at: Moment
    actor: str
    reason: str | None

    @classmethod
    def past(cls, view: PriceView) -> Self:
        """As it is told."""
        return cls(
            **_version(view.version, view.set),
            recorded_at=format_moment(view.recorded_at),
            actor=view.set.actor,
            reason=view.reason,
        )


class PriceVersion(Output):
    """The version that a price was given."""

    version: int


class PriceHistoryOutput(Output):
    """What a model costs now, null if nothing yet; and every version, oldest first."""

    model: str
    current: PriceOutput | None
    history: list[PastPrice]

    @classmethod
    def of(cls, model: str, current: int | None, history: list[PriceView]) -> Self:
        """As it is told; `current`: the version in force."""
        return cls(
            model=model,
            current=None
            if current is None
            else PriceOutput.told(current, history[current - 1].set),
            history=[PastPrice.past(view) for view in history],
        )


class PriceList(Output):
    """The price in force now of every model that has one, by name."""

    prices: list[PriceOutput]


class ChangeOutput(Output):
    """A class that costs something else. `service` empty: the standard; `above_tokens` null: in
    prompts of ordinary length. before, after null: not sold in this service. `percent`: exact, as
    a decimal or a fraction; null: nothing to compare with.
    """

    service: str
    above_tokens: int | None
    kind: str
    before: str | None
    after: str | None
    percent: str | None

    @classmethod
    def of(cls, change: Change) -> Self:
        """As it is told."""
        return cls(
            service=change.service,
            above_tokens=None if change.above_tokens == ORDINARY else change.above_tokens,
            kind="per_call" if change.kind == "calls" else change.kind,
            before=None if change.before_nanos is None else format_usd(change.before_nanos),
            after=None if change.after_nanos is None else format_usd(change.after_nanos),
            percent=change.percent,
        )


def services_of(price: Price) -> dict[str, ScheduleOutput]:
    """Every service but the standard one."""
    return {name: ScheduleOutput.of(each) for name, each in price.services.items()}


def _version(version: int, event: PriceSet) -> dict[str, Any]:
    return {
        **_schedule(event.price),
        "model": event.model,
        "version": version,
        "services": services_of(event.price),
        "effective_from": format_moment(event.effective_from_us),
        "provenance": event.provenance,
    }


def _schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        **_rates(schedule.rates),
        "long_context": [
            LongContextOutput(above_tokens=tier.above_tokens, **_rates(tier.rates))
            for tier in schedule.long_context
        ],
    }


def _rates(rates: dict[str, int]) -> dict[str, Any]:
    return {
        name: format_usd(rates[kind]) if kind in rates else None
        for name, kind in CLASS_OF_FIELD.items()
    }
