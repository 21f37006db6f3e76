"""Asking the books in tests, and the same answers worked out from the stored bytes, by hand."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection

from ledger.codec import decode
from ledger.streams.registry import STREAM_OF
from tests.projections.conftest import Books

T = TypeVar("T")


def ask(books: Books, question: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
    """One question, or many, on a connection as the desk has it."""

    async def asked() -> T:
        connection = await psycopg.AsyncConnection.connect(books.dsn, autocommit=True)
        async with connection:
            return await question(connection)

    return asyncio.run(asked())


class Stored(NamedTuple):
    """An event as it lies there."""

    position: int
    topic: str
    version: int
    recorded_at: datetime
    account_id: UUID | None
    data: dict[str, Any]
    state: bytes


def stored(books: Books) -> list[Stored]:
    """The whole log."""
    rows = books.connection.execute(
        "select position, topic, originator_version, recorded_at, account_id, state "
        "from ledger.event order by position"
    ).fetchall()
    return [
        Stored(position, topic, version, at, account_id, msgspec.json.decode(state), state)
        for position, topic, version, at, account_id, state in rows
    ]


def legs(event: Stored) -> Iterator[tuple[str, int]]:
    """What an event posts, from its JSON: credits are positive."""
    data = event.data
    match event.topic:
        case "charge.QuotaReserved.v1":
            yield "customer:available", -data["hold_nanos"]
            yield "customer:held", data["hold_nanos"]
        case "charge.UsageSettled.v1":
            yield "customer:held", -data["released_nanos"]
            yield "customer:available", data["released_nanos"] - data["charged_nanos"]
            yield "revenue", data["charged_nanos"]
            yield from _taken(data)
        case "charge.RefundIssued.v1":
            yield "customer:held", -data["released_nanos"]
            yield "customer:available", data["released_nanos"]
            yield from _taken(data)
        case "charge.ChargeAdjusted.v1":
            yield "customer:available", -data["delta_nanos"]
            yield "revenue", data["delta_nanos"]
        case "credit.CreditGranted.v1":
            gift = data["source"] in (
                *("sign_up", "invite", "check_in", "redemption", "promotion", "goodwill"),
            )
            against = "promotions" if gift else f"clearing:{data.get('method') or data['source']}"
            yield against, -data["amount_nanos"]
            yield "customer:available", data["amount_nanos"]
        case "adjustment.AdjustmentPosted.v1":
            if data.get("amount_nanos"):
                yield data.get("against") or "adjustments", -data["amount_nanos"]
                yield "customer:available", data["amount_nanos"]
        case topic:
            event_of = decode(topic, event.state)
            yield from STREAM_OF[type(event_of)].postings(event_of)


def _taken(data: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """What providers take for the answer, and for tries that nobody is charged for."""
    costs = [each.get("cost", {}) for each in (data, *data.get("attempts", ()))]
    taken = sum(cost.get("amount_nanos", 0) for cost in costs)
    if taken:
        yield "provider_cost", -taken
        yield "clearing:providers", taken


@dataclass
class ByHand:
    """Sums of a log, event by event: per ledger account [debits, credits, postings], and per
    customer [posted, held, open charges, position].
    """

    trial: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    customers: dict[UUID, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0])
    )

    def add(self, event: Stored) -> None:
        for name, amount in legs(event):
            sums = self.trial[name]
            sums[0 if amount < 0 else 1] += abs(amount)
            sums[2] += 1
            if event.account_id is None:
                continue
            customer = self.customers[event.account_id]
            if name.startswith("customer:"):
                customer[0] += amount
            if name == "customer:held":
                customer[1] += amount
        if event.account_id is not None:
            customer = self.customers[event.account_id]
            customer[3] = event.position
            if event.topic in ("charge.UsageSettled.v1", "charge.RefundIssued.v1"):
                customer[2] -= 1
            if event.topic == "charge.QuotaReserved.v1" and event.version == 1:
                customer[2] += 1

    def totals(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(sums) for name, sums in self.trial.items()}
