"""Setting prices: any number as one decision, in one group of events, with its author and reason.

A moment in the past is allowed. Every call keeps the price it was admitted at, so it can only
change what calls to come are charged, and only if no later moment has come since; what was charged
wrongly is corrected by repricing. Costs are learned late more often than not.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from admin_api.credits.operations import Idempotency
from admin_api.desk import Desk
from admin_api.fields import inputs
from ledger import clock, ids, vault
from ledger.application import Request
from ledger.errors import IdempotencyConflict
from ledger.pricing import Price
from ledger.store.reader import RECORDED_COLUMNS, recorded
from ledger.streams import price
from ledger.streams.price import Decision, PriceHistory, PriceSet, SetPrice, SetPrices
from ledger.vault import Place

REASON_KIND = "price_decision"
"""Of the vault's cells with the words behind decisions."""
_STREAMS = f"select {RECORDED_COLUMNS} from ledger.event where originator_id = any(%s)"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Wanted:
    """A price for a model in a book, from a moment on; None: from now."""

    model: str
    price: Price
    effective_from_us: int | None = None
    provenance: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A price that was set, and its version in its book."""

    model: str
    version: int
    set: PriceSet


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides, why, and under which idempotency key; `content` is all that was asked."""

    actor: str
    reason: str | None = None
    idempotency: Idempotency | None = None
    content: Sequence[object] = ()
    published: str = ""

    def decision(self) -> Decision:
        """Raises InvalidInput."""
        decision_id = ids.entity_id()
        if self.idempotency is not None:
            made_by = self.idempotency
            name = json.dumps([made_by.caller, made_by.route, made_by.key])
            decision_id = ids.derived_id(REASON_KIND, name)
        words = None if self.reason is None else reason_text(self.reason)
        canonical = json.dumps([*self.content, words], ensure_ascii=False, default=str)
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return Decision(id=decision_id, request_sha256=digest, published=self.published)


async def set_prices(
    desk: Desk,
    book: str,
    wanted: Sequence[Wanted],
    decider: Decider,
    beside: Sequence[Request] = (),
) -> list[Version]:
    """Set prices in a book, all or none, `beside` other commands; the versions they were given.

    The same idempotency key gives the first answer. Raises IdempotencyConflict, InvalidInput,
    NotCaughtUp, StoreUnavailable.
    """
    decision = decider.decision()
    if decider.idempotency is not None:  # else nobody can have asked for it before
        await desk.up_to_date()
        made = decided(desk, book, decision)
        if made:
            return made
    await _keep_reason(desk, decision, decider.reason)
    now_us = clock.now_us()
    by_model: dict[str, list[SetPrice]] = {}
    for each in wanted:
        from_us = now_us if each.effective_from_us is None else each.effective_from_us
        by_model.setdefault(each.model, []).append(
            SetPrice(
                each.model,
                each.price,
                from_us,
                decider.actor,
                book=book,
                provenance=each.provenance,
                decision=decision,
            )
        )
    requests = [
        Request(price.STREAM, price.price_stream_id(model, book), SetPrices(tuple(commands)))
        for model, commands in by_model.items()
    ]
    await desk.ledger.handle_together([*requests, *beside])
    return await _stored(desk, [request.stream_id for request in requests], decision)


def decided(desk: Desk, book: str, decision: Decision) -> list[Version]:
    """What a decision has set, by model; nothing where it was never made.

    Raises IdempotencyConflict where another one was made under its id.
    """
    found = [
        Version(event.model, version, event)
        for _, history in histories(desk, book)
        for version, event in history.decided(decision.id)
    ]
    if any(each.set.decision != decision for each in found):
        raise IdempotencyConflict("this Idempotency-Key came with another request")
    return sorted(found, key=lambda each: (each.model, each.version))


async def _stored(desk: Desk, streams: Sequence[UUID], decision: Decision) -> list[Version]:
    """What a decision has set in some streams: the log's word, for our own view may be behind."""
    async with desk.pool.connection() as connection:
        cursor = await connection.execute(_STREAMS, (list(streams),), binary=True)
        events = [recorded(row) for row in await cursor.fetchall()]
    found = [
        Version(one.event.model, one.version, one.event)
        for one in events
        if isinstance(one.event, PriceSet)
        and one.event.decision is not None
        and one.event.decision.id == decision.id
    ]
    return sorted(found, key=lambda each: (each.model, each.version))


def histories(desk: Desk, book: str) -> Iterable[tuple[str, PriceHistory]]:
    """Every model of a book with all its prices, as this process knows them."""
    held = desk.configuration.held
    if book == price.SALE:
        return list(held.prices.items())
    books = held.costs if _is_cost(book) else held.drafts
    return [(model, history) for (name, model), history in books.items() if name == book]


def history_of(desk: Desk, book: str, model: str) -> PriceHistory:
    """One model's prices in a book, as this process knows them; empty where it has none."""
    held = desk.configuration.held
    if book == price.SALE:
        return held.prices.get(model, PriceHistory())
    books = held.costs if _is_cost(book) else held.drafts
    return books.get((book, model), PriceHistory())


async def reasons(desk: Desk, events: Iterable[PriceSet]) -> dict[Decision, str]:
    """The words behind decisions, where there are any."""
    decisions = {reason_row(each.decision): each.decision for each in events if each.decision}
    async with desk.pool.connection() as connection:
        told = await vault.tell_many(connection, desk.vault, REASON_KIND, "reason", list(decisions))
    return {decisions[row]: words for row, words in told.items()}


def reason_text(words: str) -> str:
    """A reason in its canonical form. Raises InvalidInput."""
    return inputs.text("reason", words, inputs.REASON_MAX)


def idempotency_of(actor: str, route: str, key: str | None) -> tuple[Idempotency, str]:
    """What makes a request the same as another, and the key to tell: a fresh one without one."""
    told = str(uuid.uuid4()) if key is None else inputs.idempotency_key(key)
    return Idempotency(actor, route, told), told


async def _keep_reason(desk: Desk, decision: Decision, reason: str | None) -> None:
    if reason is None:
        return
    async with desk.pool.connection() as connection:
        place = Place(REASON_KIND, reason_row(decision), "reason", decision.id)
        await vault.put(connection, desk.vault, place, reason_text(reason))


def reason_row(decision: Decision) -> UUID:
    """The vault row of the words. It depends on the request, so that one refused a moment later
    cannot have overwritten it.
    """
    return ids.derived_id("price_reason", f"{decision.id}:{decision.request_sha256}")


def _is_cost(book: str) -> bool:
    return book.partition("/")[0] == price.COST


Reasons = Mapping[Decision, str]
"""As `reasons` gives them."""
