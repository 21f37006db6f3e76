"""Books of prices: drafts that are compared with what customers pay, and published as one.

A draft is any other name than `sale` and `cost`. It begins with its first price and never ends:
once published it says the same as what customers pay.
"""

import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from admin_api.corrections.operations.reprices import NOW, AskedReprice, read_question
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.prices.operations.decisions import (
    Decider,
    Version,
    Wanted,
    decided,
    history_of,
    set_prices,
)
from admin_api.prices.operations.prices import in_force, is_draft, list_prices
from ledger import clock
from ledger.alternative import Question
from ledger.errors import NotAllowedNow, NotFound
from ledger.price_book.difference import Change, difference
from ledger.pricing import Price
from ledger.streams.price import SALE, PriceHistory, PriceSet

SALE_NAME = "sale"
"""How the book that customers are charged by is called at the desk."""

Kind = Literal["sale", "cost", "draft"]
Outcome = Literal["added", "changed", "unchanged"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BookView:
    """A book, how much is in it, and the price in it that begins last. `channel_id`: whose costs
    it has.
    """

    name: str
    kind: Kind
    channel_id: UUID | None
    models: int
    versions: int
    newest: PriceSet


@dataclass(frozen=True, slots=True)
class Compared:
    """A model of a draft: what its price would change. `before`, `after`: the versions."""

    model: str
    outcome: Outcome
    before: int | None
    after: int
    changes: tuple[Change, ...]
    set: PriceSet


def book_of(name: str) -> str:
    """The book that a name at the desk stands for. Raises InvalidInput."""
    if name == SALE_NAME:
        return SALE
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            "book", "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with A-Z a-z 0-9"
        )
    return name


def draft_of(name: str) -> str:
    """As `book_of`, for what only a draft can do."""
    book = book_of(name)
    if not is_draft(book):
        raise InvalidInput("book", f"{name} is not a draft")
    return book


async def list_books(desk: Desk) -> list[BookView]:
    """Every book that has a price: what customers pay, what we pay, then drafts by name.

    Raises NotCaughtUp.
    """
    await desk.up_to_date()
    held = desk.configuration.held
    books: dict[str, list[PriceHistory]] = {}
    if held.prices:
        books[SALE] = list(held.prices.values())
    for (name, _), history in (*sorted(held.costs.items()), *sorted(held.drafts.items())):
        books.setdefault(name, []).append(history)
    return [_view(name, each) for name, each in books.items()]


async def compare(desk: Desk, draft: str) -> list[Compared]:
    """Every model of a draft against what customers pay now, by name.

    Raises NotFound where nothing was ever set in it, NotCaughtUp.
    """
    priced = await list_prices(desk, draft)
    if not priced:
        raise NotFound("there is no such draft")
    return [_compared(desk, SALE, version, event) for version, event in priced]


def compare_prices(
    desk: Desk, book: str, model: str, after: Price, at_us: int | None = None
) -> tuple[Outcome, tuple[Change, ...]]:
    """What a price would change in a book, now or from a moment on, as this process knows it."""
    history = history_of(desk, book, model)
    found = in_force(history, book) if at_us is None else history.at(at_us)
    before = None if found is None else found[1].price
    changes = difference(before, after)
    if before is None:
        return "added", changes
    return ("changed" if changes else "unchanged"), changes


async def publish(
    desk: Desk, draft: str, *, effective_from: str | None, decider: Decider
) -> list[Version]:
    """Everything that differs in a draft becomes what customers pay, all at once; the versions.

    Without `effective_from`: from now on. The same idempotency key gives the first answer.
    Raises IdempotencyConflict, InvalidInput, NotAllowedNow where nothing differs, NotFound,
    NotCaughtUp, StoreUnavailable.
    """
    decision = decider.decision()
    await desk.up_to_date()
    made = decided(desk, SALE, decision)
    if made:
        return made
    from_us = None
    if effective_from is not None:
        from_us = inputs.moment_us("effective_from", effective_from)
        if from_us < clock.now_us():
            raise InvalidInput(
                "effective_from", "is past: nothing that was charged changes; reprice it instead"
            )
    wanted = [
        Wanted(each.model, each.set.price, from_us, each.set.provenance)
        for each in await compare(desk, draft)
        if each.outcome != "unchanged"
    ]
    made = decided(desk, SALE, decision)  # by the same request, a moment ago
    if made:
        return made
    if not wanted:
        raise NotAllowedNow("nothing in the draft differs from what customers pay")
    return await set_prices(desk, SALE, wanted, decider)


async def preview_question(
    desk: Desk, draft: str, since: str | None, until: str | None
) -> Question:
    """What calls of a period would have cost under a draft: those of the models it changes.

    Raises InvalidInput, InvalidSelection, NotAllowedNow where nothing differs, NotFound.
    """
    models = [each.model for each in await compare(desk, draft) if each.outcome != "unchanged"]
    if not models:
        raise NotAllowedNow("nothing in the draft differs from what customers pay")
    asked = AskedReprice(book=draft, prices_as_of=NOW, since=since, until=until, models=models)
    return await read_question(desk, asked)


def _compared(desk: Desk, book: str, version: int, event: PriceSet) -> Compared:
    outcome, changes = compare_prices(desk, book, event.model, event.price)
    found = in_force(history_of(desk, book, event.model), book)
    before = None if found is None else found[0]
    return Compared(event.model, outcome, before, version, changes, event)


def _view(name: str, histories_of_it: list[PriceHistory]) -> BookView:
    kind: Kind = "draft" if is_draft(name) else ("sale" if name == SALE else "cost")
    _, _, channel = name.partition("/")
    last = [history.prices[-1] for history in histories_of_it]
    return BookView(
        name=SALE_NAME if name == SALE else name,
        kind=kind,
        channel_id=UUID(channel) if kind == "cost" and channel else None,
        models=len(histories_of_it),
        versions=sum(history.version for history in histories_of_it),
        newest=max(last, key=lambda event: event.effective_from_us),
    )
