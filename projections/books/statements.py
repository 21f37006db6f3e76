"""An account's statement over a period, read from the log: the whole of it, or page by page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from ledger.statement import BalanceAt, Statement, lines
from ledger.store.reader import Recorded
from ledger.streams.contract import AccountEvent, no_effects
from ledger.streams.registry import STREAM_OF
from projections.books.as_of import AsOf, last_before, read_events
from projections.books.balances import balance_at

PAGE_LINES_MAX = 1_000

# Everything that may move the posted balance. Holds and releases alone are no lines.
_HOLDING_ONLY = {"charge.QuotaReserved.v1", "charge.RefundIssued.v1"}
_LINE_TOPICS = [
    event.TOPIC
    for event, stream in STREAM_OF.items()
    if issubclass(event, AccountEvent)
    and stream.effects is not no_effects
    and event.TOPIC not in _HOLDING_ONLY
]


@dataclass(frozen=True, slots=True)
class Period:
    """since <= recorded_at < until; None: from the beginning of the log, to its end.

    What the books say of it is what they said at `as_of`.
    """

    as_of: AsOf
    since: datetime | None = None
    until: datetime | None = None


async def statement(
    connection: AsyncConnection[Any],
    account_id: UUID,
    period: Period,
    *,
    after: int = 0,
    limit: int = PAGE_LINES_MAX,
) -> Statement:
    """A statement with up to `limit` of its lines, those after the position `after`.

    Everything but the lines is of the whole period. Raises StatementBroken.
    """
    opening, closing = await _ends(connection, account_id, period)
    after = max(opening.position, min(after, closing.position))
    carried = opening
    if after > opening.position:
        carried = await balance_at(connection, account_id, after)
    carried_nanos = carried.standing.posted_nanos
    events = [
        event async for event in _events(connection, account_id, after, closing.position, limit + 1)
    ]
    is_last = len(events) <= limit
    page = tuple(lines(events[:limit], carried_nanos))
    answer = Statement(
        account_id=account_id,
        opening=opening,
        closing=closing,
        lines=page,
        after=after,
        carried_nanos=carried_nanos,
        next_after=None if is_last else events[limit - 1].position,
        as_of=period.as_of.position,
        head=period.as_of.head,
        since=period.since,
        until=period.until,
    )
    answer.check()
    return answer


async def _ends(
    connection: AsyncConnection[Any], account_id: UUID, period: Period
) -> tuple[BalanceAt, BalanceAt]:
    first, last = 0, period.as_of.position
    if period.since is not None:
        first = await last_before(connection, period.since, last)
    if period.until is not None:
        last = max(first, await last_before(connection, period.until, last))
    opening = await balance_at(connection, account_id, first)
    return opening, await balance_at(connection, account_id, last)


def _events(
    connection: AsyncConnection[Any], account_id: UUID, after: int, until: int, limit: int
) -> AsyncIterator[Recorded]:
    return read_events(
        connection,
        "account_id = %(account)s and topic = any(%(topics)s)",
        {"account": account_id, "topics": _LINE_TOPICS},
        after=after,
        until=until,
        limit=limit,
    )
