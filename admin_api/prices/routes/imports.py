"""/catalogue, /price-books/.../import-...: prices from the catalogue and from ratios."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.desk import Desk
from admin_api.http.strict_route import StrictRoute
from admin_api.prices.operations import books as price_books
from admin_api.prices.operations import imports as price_imports
from admin_api.prices.operations.decisions import Decider, idempotency_of
from admin_api.prices.operations.imports import Plan
from admin_api.prices.schemas.imports import (
    PROVIDER_MAX,
    CatalogueEntryOutput,
    CataloguePage,
    ImportOutput,
    NewCatalogueImport,
    NewRatioImport,
    RatioBookOutput,
)
from admin_api.prices.schemas.prices import BookName
from ledger.price_book.catalogue import PACKAGE
from ledger.price_book.exact import write_exact
from ledger.price_book.ratios import MODEL_TABLES

router = APIRouter(route_class=StrictRoute, tags=["prices"])

Reader = Annotated[Operator, Depends(Permit("prices:read"))]
Writer = Annotated[Operator, Depends(Permit("prices:write"))]


@router.get("/catalogue/models")
async def search_catalogue(
    _operator: Reader,
    search: Annotated[str, Query(max_length=200, description="Words in the name.")] = "",
    provider: Annotated[str | None, Query(max_length=PROVIDER_MAX)] = None,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CataloguePage:
    """What providers ask today, by the data of the installed catalogue; no network is used."""
    known, entries, found = await price_imports.search_catalogue(provider, search, after, limit)
    shown = after + len(entries)
    return CataloguePage(
        source=f"{PACKAGE} {known.package_version}",
        providers=sorted({each.provider for each in known.entries}),
        models=[CatalogueEntryOutput.of(each, known.package_version) for each in entries],
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
        return ImportOutput.of(plan, is_done=False)
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
        return ImportOutput.of(plan, is_done=False)
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
    return ImportOutput.of(await desk.commands.finish(command), is_done=True)
