"""What is said of books of prices, and what is done with them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from admin_api.fields.bodies import Input, Moment, Output
from admin_api.prices.operations.books import Compared, Kind, Outcome
from admin_api.prices.schemas.prices import ChangeOutput, ReasonText


class PriceBookOutput(Output):
    """A book. `channel_id`: whose costs it has. newest: the price in it that begins last."""

    name: str
    kind: Kind
    channel_id: UUID | None
    models: int
    versions: int
    newest_from: Moment
    newest_actor: str


class PriceBookList(Output):
    """Every book in which a price was set."""

    books: list[PriceBookOutput]


class ComparedOutput(Output):
    """A model of a draft. before, after: the versions that are compared; before null: no price."""

    model: str
    outcome: Outcome
    before: int | None
    after: int
    changes: list[ChangeOutput]
    actor: str

    @classmethod
    def of(cls, compared: Compared) -> "ComparedOutput":
        """As it is told."""
        return cls(
            model=compared.model,
            outcome=compared.outcome,
            before=compared.before,
            after=compared.after,
            changes=[ChangeOutput.of(change) for change in compared.changes],
            actor=compared.set.actor,
        )


class PriceBookDiff(Output):
    """A draft against what customers pay now, by model."""

    added: int
    changed: int
    unchanged: int
    models: list[ComparedOutput]


class Period(Input):
    """Days of the books or moments, `to` included; as for exports."""

    from_: Annotated[str | None, Field(alias="from", max_length=64)] = None
    to: Annotated[str | None, Field(max_length=64)] = None


class Publication(Input):
    """From when on; now where that is absent. The reason is kept apart from the ledger, sealed."""

    effective_from: Moment | None = None
    reason: ReasonText


class PublishedPrice(Output):
    """A price that customers pay from then on."""

    model: str
    version: int
    effective_from: Moment


class PublicationOutput(Output):
    """Everything that was put into force, at once."""

    prices: list[PublishedPrice]
