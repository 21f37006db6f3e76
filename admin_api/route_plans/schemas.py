"""What is asked of a route, and what is said of it."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from admin_api.fields.bodies import Input, ModelName, Moment, Output
from admin_api.fields.inputs import format_moment, format_multiplier
from admin_api.prices.schemas.prices import PriceOutput
from admin_api.route_plans.operations import RouteView
from admin_api.route_plans.planning import KeyPlanState, PlannedChannel, PlannedKey, WhyNot


class RouteQuestion(Input):
    """A model, and who calls it: an account, or one of its keys by its id."""

    model: ModelName
    account: Annotated[UUID | None, Field(strict=False)] = None
    key: Annotated[UUID | None, Field(strict=False)] = None


class PlannedKeyOutput(Output):
    """A key of a channel. `probability`: of being the first that the channel is asked with.

    A key that is `cooling` is asked again after `cooling_until`; `reason` is a code.
    """

    id: UUID
    state: KeyPlanState
    reason: str
    cooling_until: Moment | None
    probability: float

    @classmethod
    def of(cls, key: PlannedKey, now: datetime) -> Self:
        """As it is told."""
        until = now + timedelta(seconds=key.rests_s)
        return cls(
            id=key.key_id,
            state=key.state,
            reason=key.reason,
            cooling_until=format_moment(until) if key.rests_s else None,
            probability=key.probability,
        )


class PlannedChannelOutput(Output):
    """A channel that lists the model. `probability`: of being the first that is asked.

    `why_not`: the one reason why it is not asked; empty: it is. An `open` breaker is asked after
    all others, until `open_until` and then one call finds out whether it answers.
    """

    id: UUID
    name: str | None
    upstream_model: str
    priority: int
    weight: int
    probability: float
    why_not: WhyNot
    breaker: Literal["", "open", "half_open"]
    open_until: Moment | None
    keys: list[PlannedKeyOutput]

    @classmethod
    def of(cls, one: PlannedChannel, name: str | None, now: datetime) -> Self:
        """As it is told."""
        until = now + timedelta(seconds=one.breaker_rests_s)
        return cls(
            id=one.channel_id,
            name=name,
            upstream_model=one.upstream_model,
            priority=one.priority,
            weight=one.weight,
            probability=one.probability,
            why_not=one.why_not,
            breaker=one.breaker,
            open_until=format_moment(until) if one.breaker_rests_s else None,
            keys=[PlannedKeyOutput.of(key, now) for key in one.keys],
        )


class SimulatedRoute(Output):
    """What would become of a call that is made now, but for what its account has left.

    `refusal`: the code that the client would be told before any channel is asked; empty: none.
    `sold_as`: the listed model of which the one that was asked for is another spelling, with an
    ending that says how to think. `is_shared`: false where Redis is away, and what processes found
    out of keys and breakers is not known here.
    """

    model: str
    sold_as: str
    group: str
    multiplier: str
    price: PriceOutput | None
    refusal: str = Field(description="As an error's code in Chat Completions.")
    channels: list[PlannedChannelOutput]
    is_shared: bool

    @classmethod
    def of(cls, view: RouteView) -> Self:
        """As it is told."""
        return cls(
            model=view.model,
            sold_as=view.plan.sold_as,
            group=view.group,
            multiplier=format_multiplier(view.multiplier),
            price=None if view.price is None else PriceOutput.told(*view.price),
            refusal=view.refusal,
            channels=[
                PlannedChannelOutput.of(one, view.names.get(one.channel_id), view.now)
                for one in view.plan.channels
            ],
            is_shared=view.is_shared,
        )
