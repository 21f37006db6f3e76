"""Reading the calls that a what-if is about, and answering it. Nothing is written.

Calls stream by, some thousand at a time, each with the corrections it had until the position the
question is asked as of; so do the prices of the book, which are few.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, LiteralString, cast
from uuid import UUID

from psycopg import AsyncConnection

from ledger.alternative import Question
from ledger.pricing import Price
from ledger.reprice import Call, Verdict, WhatIf, billed_call, reprice_call
from ledger.store.reader import RECORDED_COLUMNS, Recorded, read_stream, recorded
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from ledger.streams.price import PriceHistory, PriceSet, evolve, price_stream_id
from projections.books.as_of import read_events

Progress = Callable[[int, int], None]
"""Told (positions done, positions in all)."""

_CALLS_AT_ONCE = 2_000
_CLOSING: LiteralString = "topic in ('charge.UsageSettled.v1', 'charge.RefundIssued.v1')"
_OF_ACCOUNTS: LiteralString = f"account_id = any(%(accounts)s) and {_CLOSING}"
_REST = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants
    "where originator_id = any(%s) and position <= %s "
    "and (topic = 'charge.ChargeAdjusted.v1' or originator_version = 1) "
    "order by originator_id, originator_version"
)


def _unwatched(done: int, total: int) -> None:
    """Nobody watches."""


async def what_if(
    connection: AsyncConnection[Any], question: Question, progress: Progress = _unwatched
) -> WhatIf:
    """The answer to a question."""
    answer = WhatIf(question)
    async for verdict in verdicts(connection, question, progress):
        answer.add(verdict)
    return answer


async def verdicts(
    connection: AsyncConnection[Any], question: Question, progress: Progress = _unwatched
) -> AsyncIterator[Verdict]:
    """What becomes of each call, in the order in which they were closed."""
    prices = _Prices(connection, question)
    async for closings in _closings(connection, question, progress):
        rest = await _rest_of(connection, closings, question.as_of)
        for one in closings:
            call, admitted_at_us = _call(one, rest[one.stream_id])
            if call is not None:
                price = await prices.of(call, admitted_at_us)
                yield reprice_call(call, question.alternative, price)


async def _closings(
    connection: AsyncConnection[Any], question: Question, progress: Progress
) -> AsyncIterator[list[Recorded]]:
    """The closing events of the question's calls, some at a time."""
    before, positions = question.first - 1, question.last - question.first + 1
    condition = _OF_ACCOUNTS if question.accounts else _CLOSING
    found: list[Recorded] = []
    progress(0, positions)
    async for one in read_events(
        connection,
        condition,
        {"accounts": list(question.accounts)},
        after=before,
        until=question.last,
    ):
        closing = cast("UsageSettled | RefundIssued", one.event)
        if not question.models or closing.terms.model in question.models:
            found.append(one)
        if len(found) == _CALLS_AT_ONCE:
            yield found
            progress(one.position - before, positions)
            found = []
    if found:
        yield found
    progress(positions, positions)


async def _rest_of(
    connection: AsyncConnection[Any], closings: Sequence[Recorded], as_of: int
) -> dict[UUID, list[Recorded]]:
    """Opening and corrections of each call."""
    found: dict[UUID, list[Recorded]] = {one.stream_id: [] for one in closings}
    cursor = await connection.execute(_REST, (list(found), as_of), binary=True)
    for row in await cursor.fetchall():
        one = recorded(row)
        found[one.stream_id].append(one)
    return found


def _call(closing: Recorded, rest: Sequence[Recorded]) -> tuple[Call | None, int]:
    """The call, and when it was admitted."""
    admitted_at_us = next(
        (one.event.admitted_at_us for one in rest if isinstance(one.event, QuotaReserved)), 0
    )
    later = [one.event for one in rest if isinstance(one.event, ChargeAdjusted)]
    event = cast("UsageSettled | RefundIssued", closing.event)
    return billed_call(closing.stream_id, event, later), admitted_at_us


class _Prices:
    """The prices of the question's book, each model read when it first comes by."""

    def __init__(self, connection: AsyncConnection[Any], question: Question) -> None:
        self._connection = connection
        self._question = question
        self._histories: dict[str, PriceHistory] = {}

    async def of(self, call: Call, admitted_at_us: int) -> Price | None:
        """The price that would have applied; None where there is no book, or none in it."""
        alternative = self._question.alternative
        if alternative.book is None:
            return None
        model = call.terms.model
        if model not in self._histories:
            self._histories[model] = await self._read(model, alternative.book)
        moment_us = alternative.moment_us
        found = self._histories[model].at(admitted_at_us if moment_us is None else moment_us)
        return None if found is None else found[1].price

    async def _read(self, model: str, book: str) -> PriceHistory:
        history = PriceHistory()
        for one in await read_stream(self._connection, price_stream_id(model, book)):
            if one.position <= self._question.as_of:
                history = evolve(history, cast("PriceSet", one.event))
        return history
