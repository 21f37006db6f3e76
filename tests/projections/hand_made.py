"""A log made by hand: givens for the tests of views, and how to ask a view."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql

from ledger.ids import derived_id
from ledger.pricing import Multiplier, Price, price_lines
from ledger.store.append import NewEvent
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
)
from ledger.streams.contract import Event
from ledger.streams.credit import CreditGranted
from ledger.usage import Usage
from projections.contract import Row, Table
from projections.reading import list_rows
from tests.builders import append_events
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head

T = TypeVar("T")
RowT = TypeVar("RowT", bound=Row)

ACCOUNT, OTHER = derived_id("test", "account"), derived_id("test", "other")
KEY, CHANNEL, SPARE = (derived_id("test", name) for name in ("key", "channel", "spare"))
BOOT, USER = derived_id("test", "boot"), derived_id("test", "user")
PRICE = Price(rates={"input": 2_000_000, "output": 6_000_000})  # 2 and 6 nanos per token
TERMS = Terms(model="vendor/m", group="partner", price_version=1, multiplier=Multiplier(1, 2))


class Log:
    """Appends one event at a time, each at the next version of its stream."""

    def __init__(self, books: Books) -> None:
        self._connection = books.connection
        self._versions: dict[UUID, int] = {}

    def add(self, stream_id: UUID, *events: Event) -> int:
        for event in events:
            version = self._versions.get(stream_id, 0) + 1
            self._versions[stream_id] = version
            position = append_events(self._connection, NewEvent(stream_id, version, event))
        return position

    def recorded_at(self, position: int) -> datetime:
        row = self._connection.execute(
            "select recorded_at from ledger.event where position = %s", (position,)
        ).fetchone()
        assert row is not None
        recorded_at: datetime = row[0]
        return recorded_at


def show(books: Books, query: Callable[..., Awaitable[T]], *args: object, **kwargs: object) -> T:
    """Fold the log, then ask one of the views."""
    run_to_head(books.dsn, books.connection)

    async def ask() -> T:
        connection = await psycopg.AsyncConnection.connect(books.dsn, autocommit=True)
        async with connection:
            await connection.execute("set time zone 'UTC'")
            return await query(connection, *args, **kwargs)

    return asyncio.run(ask())


def rows_of(books: Books, table: Table, row: type[RowT]) -> list[RowT]:
    """Fold the log, then read a whole table in the order of its keys."""
    order = sql.SQL("order by {}").format(sql.SQL(", ").join(map(sql.Identifier, table.key)))
    return show(books, list_rows, table, row, order, ())


def credit(amount_nanos: int, account_id: UUID = ACCOUNT) -> CreditGranted:
    return CreditGranted(
        account_id=account_id,
        amount_nanos=amount_nanos,
        source="manual",
        request_sha256="",
        actor="root",
    )


def reserved(hold_nanos: int, **changes: object) -> QuotaReserved:
    event = QuotaReserved(
        account_id=ACCOUNT,
        key_id=KEY,
        hold_nanos=hold_nanos,
        terms=TERMS,
        admitted_at_us=1,
        node="n1",
        boot=BOOT,
        dialect="openai_chat",
        streaming=True,
        input_tokens_estimated=100,
        output_tokens_max=50,
    )
    return msgspec.structs.replace(event, **changes)


def settled(
    released_nanos: int, usage: Usage, charged_nanos: int, **changes: object
) -> UsageSettled:
    event = UsageSettled(
        account_id=ACCOUNT,
        key_id=KEY,
        released_nanos=released_nanos,
        charged_nanos=charged_nanos,
        terms=TERMS,
        usage=usage,
        lines=price_lines(usage, PRICE),
        basis="measured",
        ending="complete",
        channel_id=CHANNEL,
        upstream_model="m-large",
        attempts=(
            Attempt(channel_id=SPARE, outcome="failed", status=500),
            Attempt(channel_id=CHANNEL, outcome="answered", status=200, ttft_ms=7),
        ),
        ttft_ms=7,
        duration_ms=30,
        node="n1",
        boot=BOOT,
    )
    return msgspec.structs.replace(event, **changes)


def refunded(released_nanos: int, *attempts: Attempt) -> RefundIssued:
    return RefundIssued(
        account_id=ACCOUNT,
        key_id=KEY,
        released_nanos=released_nanos,
        terms=TERMS,
        reason="upstream_failed",
        attempts=attempts,
        duration_ms=12,
        node="n1",
        boot=BOOT,
    )


def adjusted(delta_nanos: int, **changes: object) -> ChargeAdjusted:
    event = ChargeAdjusted(
        account_id=ACCOUNT,
        key_id=KEY,
        adjustment_id=BOOT,
        delta_nanos=delta_nanos,
        terms=TERMS,
        reason="refund",
        actor="root",
    )
    return msgspec.structs.replace(event, **changes)
