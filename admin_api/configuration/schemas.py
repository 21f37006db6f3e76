"""What is said of what was configured then."""

from typing import Any, Self
from uuid import UUID

from admin_api.fields.as_of_queries import AsOfOutput
from admin_api.fields.bodies import Moment, Output, SignedAmount
from admin_api.fields.inputs import format_moment
from ledger.money import format_usd
from ledger.pricing import Schedule
from ledger.streams.price import PriceSet


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

    @classmethod
    def of(cls, version: int, event: PriceSet) -> Self:
        """As it is told."""
        return cls(
            version=version,
            effective_from=format_moment(event.effective_from_us),
            actor=event.actor,
            services={
                name: ScheduleThen(**_schedule(each)) for name, each in event.price.services.items()
            },
            **_schedule(event.price),
        )


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
