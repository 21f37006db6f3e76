"""How what-ifs and corrections are asked for."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from admin_api.adjustments.proposals import Words
from admin_api.corrections.operations.reprices import ACCOUNTS_MAX, ADMISSION, BOOK_MAX, NOW
from admin_api.fields.as_of_queries import Edge
from admin_api.fields.bodies import Amount, GroupName, Input, ModelName
from admin_api.prices.operations.price_inputs import SERVICES_MAX, PriceInput
from admin_api.prices.schemas.prices import NewSchedule
from ledger.streams.adjustment import Direction, Reason


class TriedPrice(NewSchedule):
    """A price to try, as at /prices."""

    services: dict[str, NewSchedule] = Field(default_factory=dict, max_length=SERVICES_MAX)

    def price(self) -> PriceInput:
        """Raises InvalidInput for a length that is given twice."""
        standard = self.schedule()
        services = {name: each.schedule() for name, each in self.services.items()}
        return PriceInput(standard.rates, standard.long_context, services)


class NewReprice(Input):
    """Other prices, and the calls they are tried on: those that ended within the period.

    book: `sale`, a draft, any book; without it, prices stay as they were charged but for `prices`
    (by model, in USD per million tokens) and `multipliers` (by group). as_of: when the book is
    read: `now`, `admission` (of each call), a date-time, or a day of the books for its end.
    """

    book: Annotated[str | None, Field(min_length=1, max_length=BOOK_MAX)] = None
    as_of: Annotated[str, Field(max_length=64, examples=[NOW, ADMISSION])] = NOW
    prices: dict[ModelName, TriedPrice] = Field(default_factory=dict, max_length=100)
    multipliers: Annotated[dict[GroupName, Amount], Field(max_length=100)] = Field(
        default_factory=dict
    )
    since: Edge = Field(default=None, alias="from")
    until: Edge = Field(default=None, alias="to")
    accounts: list[Annotated[UUID, Field(strict=False)]] = Field(
        default_factory=list, max_length=ACCOUNTS_MAX
    )
    models: list[ModelName] = Field(default_factory=list, max_length=1_000)


class NewCorrection(Input):
    """A what-if made true. `job`: the one that answered it.

    direction: `customer` corrects only charges that become less, `both` all of them.
    """

    job: Annotated[UUID, Field(strict=False)]
    direction: Direction
    code: Reason
    reason: Words
