"""/catalogue, /price-books/.../import-...: prices from the catalogue and from ratios."""

from collections.abc import Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import Field

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.desk import Desk
from admin_api.fields.bodies import Input, Moment, Output
from admin_api.fields.inputs import MODEL_MAX, format_moment
from admin_api.groups.operations import format_multiplier
from admin_api.http.strict_route import StrictRoute
from admin_api.prices.operations import books as price_books
from admin_api.prices.operations import imports as price_imports
from admin_api.prices.operations.books import Outcome
from admin_api.prices.operations.decisions import Decider, idempotency_of
from admin_api.prices.operations.imports import MODELS_MAX, Plan, Planned
from admin_api.prices.schemas.prices import (
    BookName,
    ChangeOutput,
    ReasonText,
    ScheduleOutput,
    services_of,
)
from ledger import clock
from ledger.price_book.catalogue import PACKAGE, Entry
from ledger.price_book.exact import write_exact
from ledger.price_book.ratios import MODEL_TABLES, Finding
from ledger.pricing import Price

router = APIRouter(route_class=StrictRoute, tags=["prices"])

Reader = Annotated[Operator, Depends(Permit("prices:read"))]
Writer = Annotated[Operator, Depends(Permit("prices:write"))]
_PROVIDER_MAX = 100

CatalogueName = Annotated[str, Field(min_length=1, max_length=MODEL_MAX + _PROVIDER_MAX)]


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
    provider: Annotated[str | None, Field(min_length=1, max_length=_PROVIDER_MAX)] = None
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


class RatioBookOutput(Output):
    """The prices of a book as tables of ratios, exact: decimals, or fractions such as 4/3. `lost`:
    what of a model no ratio can say.
    """

    options: dict[str, dict[str, str]]
    lost: dict[str, list[str]]


@router.get("/catalogue/models")
async def search_catalogue(
    _operator: Reader,
    search: Annotated[str, Query(max_length=200, description="Words in the name.")] = "",
    provider: Annotated[str | None, Query(max_length=_PROVIDER_MAX)] = None,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CataloguePage:
    """What providers ask today, by the data of the installed catalogue; no network is used."""
    known, entries, found = await price_imports.search_catalogue(provider, search, after, limit)
    shown = after + len(entries)
    return CataloguePage(
        source=f"{PACKAGE} {known.package_version}",
        providers=sorted({each.provider for each in known.entries}),
        models=[_entry(each, known.package_version) for each in entries],
        found=found,
        next=shown if shown < found else None,
    )


@router.post("/price-books/{book}/import-catalogue")
async def import_catalogue(
    desk: TheDesk,
    operator: Writer,
    book: BookName,
    given: NewCatalogueImport,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ImportOutput:
    """Take prices of the catalogue over into a book: all that differ, at once, or none.

    Into `sale` and `cost` announced changes are taken as well, from their own moments.
    """
    named = price_books.book_of(book)
    entries = await price_imports.find_entries(given.models, given.provider)
    plan = await price_imports.plan_catalogue(desk, named, entries)
    if given.dry_run:
        return _told(plan, is_done=False)
    content = ("catalogue", named, sorted(given.models), given.provider)
    route = f"POST /price-books/{book}/import-catalogue"
    idempotency, key = idempotency_of(operator.actor, route, idempotency_key)
    response.headers["idempotency-key"] = key
    decider = Decider(operator.actor, given.reason, idempotency, content)
    return await _carried_out(desk, named, plan, decider)


@router.post("/price-books/{book}/import-ratios")
async def import_ratios(
    desk: TheDesk,
    operator: Writer,
    book: BookName,
    given: NewRatioImport,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ImportOutput:
    """Make prices of ratios in a book: all that come out exactly and differ, at once, or none."""
    named = price_books.book_of(book)
    plan = await price_imports.plan_ratios(desk, named, dict(given.options))
    if given.dry_run:
        return _told(plan, is_done=False)
    content = ("ratios", named, sorted(given.options.items()), given.with_groups)
    route = f"POST /price-books/{book}/import-ratios"
    idempotency, key = idempotency_of(operator.actor, route, idempotency_key)
    response.headers["idempotency-key"] = key
    decider = Decider(operator.actor, given.reason, idempotency, content)
    return await _carried_out(desk, named, plan, decider, with_groups=given.with_groups)


@router.get("/price-books/{book}/ratios")
async def read_ratios(desk: TheDesk, _operator: Reader, book: BookName) -> RatioBookOutput:
    """The prices of a book as operators of new-api know them."""
    views = await price_imports.ratio_views(desk, price_books.book_of(book))
    options = {
        option: {
            model: write_exact(view.ratios[option])
            for model, view in views
            if option in view.ratios
        }
        for option in MODEL_TABLES
    }
    return RatioBookOutput(
        options={option: table for option, table in options.items() if table},
        lost={model: list(view.lost) for model, view in views if view.lost},
    )


async def _carried_out(
    desk: Desk, book: str, plan: Plan, decider: Decider, *, with_groups: bool = False
) -> ImportOutput:
    command = price_imports.carry_out(desk, book, plan, decider, with_groups=with_groups)
    return _told(await desk.commands.finish(command), is_done=True)


def _entry(entry: Entry, package_version: str) -> CatalogueEntryOutput:
    now_us = clock.now_us()
    dated = entry.at(now_us)
    return CatalogueEntryOutput(
        provider=entry.provider,
        model=entry.model,
        name=entry.name,
        price=None if dated.price is None else ImportedPriceOutput.imported(dated.price),
        refusal=dated.refusal,
        not_expressed=list(dated.not_expressed),
        changes_at=[format_moment(later.effective_from_us) for later in entry.after(now_us)],
        provenance=entry.provenance(dated, package_version),
    )


def _told(plan: Plan, *, is_done: bool) -> ImportOutput:
    versions = {(each.model, each.set.effective_from_us): each.version for each in plan.versions}
    from_now = {each.model: each.version for each in reversed(plan.versions)}
    return ImportOutput(
        is_done=is_done,
        models=[_planned(each, versions, from_now) for each in plan.models],
        multipliers={name: format_multiplier(each) for name, each in plan.multipliers.items()},
        for_members={
            own: {name: format_multiplier(each) for name, each in paid.items()}
            for own, paid in plan.for_members.items()
        },
        problems=_findings(plan.problems),
        notes=_findings(plan.notes),
        ignored=list(plan.ignored),
    )


def _planned(
    planned: Planned, versions: dict[tuple[str, int], int], from_now: dict[str, int]
) -> PlannedOutput:
    from_us = planned.effective_from_us
    version = None
    if planned.outcome in ("added", "changed"):
        version = (
            from_now.get(planned.model)
            if from_us is None
            else versions.get((planned.model, from_us))
        )
    return PlannedOutput(
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


def _findings(findings: Iterable[Finding]) -> list[FindingOutput]:
    return [
        FindingOutput(option=each.option, name=each.name, message=each.message) for each in findings
    ]
