"""/price-books: drafts, what they would change, and putting them into force."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.corrections.jobs import reprice
from admin_api.fields.inputs import format_moment
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import start_job
from admin_api.jobs.schemas import JobAccepted, accepted
from admin_api.prices.operations import books as price_books
from admin_api.prices.operations import prices
from admin_api.prices.operations.decisions import Decider, idempotency_of
from admin_api.prices.schemas.books import (
    ComparedOutput,
    Period,
    PriceBookDiff,
    PriceBookList,
    PriceBookOutput,
    Publication,
    PublicationOutput,
    PublishedPrice,
)
from admin_api.prices.schemas.prices import (
    BookName,
    Model,
    NewPrice,
    PriceHistoryOutput,
    PriceList,
    PriceOutput,
    PriceVersion,
)

router = APIRouter(route_class=StrictRoute, tags=["prices"])

Reader = Annotated[Operator, Depends(Permit("prices:read"))]
Writer = Annotated[Operator, Depends(Permit("prices:write"))]


@router.get("/price-books")
async def list_books(desk: TheDesk, _operator: Reader) -> PriceBookList:
    """Every book: what customers pay, what we pay, and drafts."""
    return PriceBookList(
        books=[
            PriceBookOutput(
                name=view.name,
                kind=view.kind,
                channel_id=view.channel_id,
                models=view.models,
                versions=view.versions,
                newest_from=format_moment(view.newest.effective_from_us),
                newest_actor=view.newest.actor,
            )
            for view in await price_books.list_books(desk)
        ]
    )


@router.get("/price-books/{book}/prices")
async def list_book(desk: TheDesk, _operator: Reader, book: BookName) -> PriceList:
    """What every model costs in a book now; in a draft, what it was set to last."""
    listed = await prices.list_prices(desk, price_books.book_of(book))
    return PriceList(prices=[PriceOutput.told(version, event) for version, event in listed])


@router.put("/price-books/{book}/prices/{model:path}")
async def set_book_price(
    desk: TheDesk, operator: Writer, book: BookName, model: Model, given: NewPrice
) -> PriceVersion:
    """Price a model in a book. A draft's prices take no moment: they get one when published."""
    command = prices.set_price(
        desk,
        model,
        given.price(),
        Decider(operator.actor, given.reason),
        book=price_books.book_of(book),
        effective_from=given.effective_from,
    )
    return PriceVersion(version=await desk.commands.finish(command))


@router.get("/price-books/{book}/prices/{model:path}")
async def read_book_price(
    desk: TheDesk, _operator: Reader, book: BookName, model: Model
) -> PriceHistoryOutput:
    """A model's price in a book and every version of it, with its author and reason."""
    named = price_books.book_of(book)
    history = await prices.price_history(desk, model, named)
    return PriceHistoryOutput.of(model, prices.version_in_force(history, named), history)


@router.get("/price-books/{book}/diff")
async def compare(desk: TheDesk, _operator: Reader, book: BookName) -> PriceBookDiff:
    """What publishing a draft would change."""
    compared = await price_books.compare(desk, price_books.draft_of(book))
    counts = {
        outcome: sum(each.outcome == outcome for each in compared)
        for outcome in ("added", "changed", "unchanged")
    }
    return PriceBookDiff(**counts, models=[ComparedOutput.of(each) for each in compared])


@router.post("/price-books/{book}/preview", status_code=202)
async def preview(
    desk: TheDesk, operator: Reader, book: BookName, given: Period, response: Response
) -> JobAccepted:
    """What calls of a period would have cost under a draft, by model and account: a job.

    It is a what-if over the models that the draft changes; nothing is written.
    """
    draft = price_books.draft_of(book)
    question = await price_books.preview_question(desk, draft, given.from_, given.to)
    parameters = reprice.Parameters(question=question)
    return accepted(response, await start_job(desk, reprice.KIND, parameters, operator.actor))


@router.post("/price-books/{book}/publish", status_code=201)
async def publish(
    desk: TheDesk,
    operator: Writer,
    book: BookName,
    given: Publication,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> PublicationOutput:
    """Everything that differs in a draft becomes what customers pay: all of it, or nothing.

    The same Idempotency-Key with the same body gives the first answer. Without one a fresh key is
    made. The answer tells the key in its own Idempotency-Key header.
    """
    draft = price_books.draft_of(book)
    route = f"POST /price-books/{draft}/publish"
    idempotency, key = idempotency_of(operator.actor, route, idempotency_key)
    response.headers["idempotency-key"] = key
    decider = Decider(
        operator.actor, given.reason, idempotency, (draft, given.effective_from), published=draft
    )
    command = price_books.publish(desk, draft, effective_from=given.effective_from, decider=decider)
    return PublicationOutput(
        prices=[
            PublishedPrice(
                model=each.model,
                version=each.version,
                effective_from=format_moment(each.set.effective_from_us),
            )
            for each in await desk.commands.finish(command)
        ]
    )
