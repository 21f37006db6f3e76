"""What is said of the catalogue, of imports and of ratios."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field

from admin_api.fields.bodies import Input, Moment, Output
from admin_api.fields.inputs import MODEL_MAX, format_moment, format_multiplier
from admin_api.prices.operations.books import Outcome
from admin_api.prices.operations.imports import MODELS_MAX, Plan, Planned
from admin_api.prices.schemas.prices import ChangeOutput, ReasonText, ScheduleOutput, services_of
from ledger import clock
from ledger.price_book.catalogue import Entry
from ledger.price_book.ratios import Finding
from ledger.pricing import Price

PROVIDER_MAX = 100
CatalogueName = Annotated[str, Field(min_length=1, max_length=MODEL_MAX + PROVIDER_MAX)]


class ImportedPriceOutput(ScheduleOutput):
    """A price out of the catalogue or of ratios."""

    services: dict[str, ScheduleOutput]

    @classmethod
    def imported(cls, price: Price) -> "ImportedPriceOutput":
        """As it is told."""
        standard = ScheduleOutput.of(price)
        return cls(**standard.model_dump(), services=services_of(price))


class CatalogueEntryOutput(Output):
    """A model of a provider. `price` null: `refusal` says why there is none. `not_expressed`: what
    its provider charges beside, and no price here can say. `changes_at`: announced changes.
    """

    provider: str
    model: str
    name: str
    price: ImportedPriceOutput | None
    refusal: str
    not_expressed: list[str]
    changes_at: list[Moment]
    provenance: str

    @classmethod
    def of(cls, entry: Entry, package_version: str) -> Self:
        """As it is told."""
        now_us = clock.now_us()
        dated = entry.at(now_us)
        return cls(
            provider=entry.provider,
            model=entry.model,
            name=entry.name,
            price=None if dated.price is None else ImportedPriceOutput.imported(dated.price),
            refusal=dated.refusal,
            not_expressed=list(dated.not_expressed),
            changes_at=[format_moment(later.effective_from_us) for later in entry.after(now_us)],
            provenance=entry.provenance(dated, package_version),
        )


class CataloguePage(Output):
    """Models of the catalogue. `source`: the package and its version; `next`: what `after` to ask
    for, null at the end.
    """

    source: str
    providers: list[str]
    models: list[CatalogueEntryOutput]
    found: int
    next: int | None


class NewCatalogueImport(Input):
    """Models by `provider:model`, or by a name that one provider alone has; or a provider's, all if
    none is named.
    """

    models: list[CatalogueName] = Field(default_factory=list, max_length=MODELS_MAX)
    provider: Annotated[str | None, Field(min_length=1, max_length=PROVIDER_MAX)] = None
    reason: ReasonText | None = None
    dry_run: bool = False


class NewRatioImport(Input):
    """Options by name, each with its value as it is stored there: JSON as text, so that every
    number keeps all of its digits. `with_groups`: set the groups' multipliers as well.
    """

    options: Annotated[dict[str, str], Field(min_length=1, max_length=1_000)]
    with_groups: bool = False
    reason: ReasonText | None = None
    dry_run: bool = False


class PlannedOutput(Output):
    """What becomes of a model. `version` null: nothing is set. `effective_from` null: from now."""

    model: str
    outcome: Outcome | Literal["refused"]
    message: str
    price: ImportedPriceOutput | None
    changes: list[ChangeOutput]
    not_expressed: list[str]
    effective_from: Moment | None
    provenance: str
    version: int | None

    @classmethod
    def of(
        cls, planned: Planned, versions: dict[tuple[str, int], int], from_now: dict[str, int]
    ) -> Self:
        """As it is told."""
        from_us = planned.effective_from_us
        version = None
        if planned.outcome in ("added", "changed"):
            version = (
                from_now.get(planned.model)
                if from_us is None
                else versions.get((planned.model, from_us))
            )
        return cls(
            model=planned.model,
            outcome=planned.outcome,
            message=planned.message,
            price=None if planned.price is None else ImportedPriceOutput.imported(planned.price),
            changes=[ChangeOutput.of(change) for change in planned.changes],
            not_expressed=list(planned.not_expressed),
            effective_from=None if from_us is None else format_moment(from_us),
            provenance=planned.provenance,
            version=version,
        )


class FindingOutput(Output):
    """Something about an entry of a table."""

    option: str
    name: str
    message: str


class ImportOutput(Output):
    """An import; `is_done` false: a dry run, nothing was set. problems: what was left out; notes:
    what was in the tables and counts for nothing; ignored: options that are no ratios.
    """

    is_done: bool
    models: list[PlannedOutput]
    multipliers: dict[str, str]
    for_members: dict[str, dict[str, str]]
    problems: list[FindingOutput]
    notes: list[FindingOutput]
    ignored: list[str]

    @classmethod
    def of(cls, plan: Plan, *, is_done: bool) -> Self:
        """As it is told."""
        versions = {
            (each.model, each.set.effective_from_us): each.version for each in plan.versions
        }
        from_now = {each.model: each.version for each in reversed(plan.versions)}
        return cls(
            is_done=is_done,
            models=[PlannedOutput.of(each, versions, from_now) for each in plan.models],
            multipliers={name: format_multiplier(each) for name, each in plan.multipliers.items()},
            for_members={
                own: {name: format_multiplier(each) for name, each in paid.items()}
                for own, paid in plan.for_members.items()
            },
            problems=_findings(plan.problems),
            notes=_findings(plan.notes),
            ignored=list(plan.ignored),
        )


class RatioBookOutput(Output):
    """The prices of a book as tables of ratios, exact: decimals, or fractions such as 4/3. `lost`:
    what of a model no ratio can say.
    """

    options: dict[str, dict[str, str]]
    lost: dict[str, list[str]]


def _findings(findings: Iterable[Finding]) -> list[FindingOutput]:
    return [
        FindingOutput(option=each.option, name=each.name, message=each.message) for each in findings
    ]
