"""The trial balance after any position, and what was debited and credited in between.

Every event's postings balance, so everything here sums to zero; what does not is raised, not told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import AsyncConnection

from ledger.money import NANOS_PER_USD
from ledger.store.reader import Recorded
from ledger.streams.registry import stream_of
from projections.books.as_of import AsOf, read_events, read_served_position
from projections.views import journal_blocks
from projections.views.journal_blocks import BLOCK_BITS, FIGURES, LEVEL_BITS

_POSTING_TOPICS = [event.TOPIC for event in journal_blocks.TABLE.events]
_BLOCKS = """
    select names::text, figures from projections.journal_blocks
    where level = 1 and block < %(chapters)s
       or level = 0 and block >= %(first)s and block < %(blocks)s
"""


class BooksBroken(Exception):
    """Debits and credits are not the same: the log holds what no release ever wrote."""


@dataclass(frozen=True, slots=True)
class LedgerTotal:
    """What was posted to one ledger account; nanodollars, both sides positive."""

    account: str
    debits_nanos: int = 0
    credits_nanos: int = 0
    postings: int = 0

    @property
    def net_nanos(self) -> int:
        """Credits less debits."""
        return self.credits_nanos - self.debits_nanos

    def plus(self, amount_nanos: int) -> "LedgerTotal":
        """With one more posting."""
        debit, credit = max(-amount_nanos, 0), max(amount_nanos, 0)
        return self.changed(debit, credit, 1)

    def changed(self, debits_nanos: int, credits_nanos: int, postings: int) -> "LedgerTotal":
        """With these sums added."""
        return LedgerTotal(
            self.account,
            self.debits_nanos + debits_nanos,
            self.credits_nanos + credits_nanos,
            self.postings + postings,
        )


Totals = Mapping[str, LedgerTotal]
"""By ledger account."""


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Everything that was ever posted, up to a position; by the names of the ledger accounts."""

    as_of: AsOf
    totals: tuple[LedgerTotal, ...]


async def trial_balance(connection: AsyncConnection[Any], as_of: AsOf) -> TrialBalance:
    """The trial balance. Raises BooksBroken."""
    totals = await totals_at(connection, as_of.position)
    return TrialBalance(as_of, in_order(totals))


async def totals_at(connection: AsyncConnection[Any], position: int) -> Totals:
    """What was posted to each ledger account up to a position. Raises BooksBroken."""
    served = await read_served_position(connection, journal_blocks.PROJECTION.name)
    blocks = min(position, served) >> BLOCK_BITS
    totals = await _sum_of_blocks(connection, blocks) if blocks else {}
    tail = read_events(
        connection,
        "topic = any(%(topics)s)",
        {"topics": _POSTING_TOPICS},
        after=blocks << BLOCK_BITS,
        until=position,
    )
    async for event in tail:
        post(totals, event)
    require_zero(totals.values(), f"up to position {position}")
    return totals


def post(totals: dict[str, LedgerTotal], event: Recorded) -> None:
    """Add an event's postings."""
    for name, amount in stream_of(event.event).postings(event.event):
        totals[name] = totals.get(name, LedgerTotal(name)).plus(amount)


def between(earlier: Totals, later: Totals) -> tuple[LedgerTotal, ...]:
    """What was posted after one position and up to another; accounts that were not left out."""
    moved = []
    for total in in_order(later):
        before = earlier.get(total.account, LedgerTotal(total.account))
        if total.postings != before.postings:
            moved.append(
                total.changed(-before.debits_nanos, -before.credits_nanos, -before.postings)
            )
    return tuple(moved)


def in_order(totals: Totals) -> tuple[LedgerTotal, ...]:
    """By name."""
    return tuple(totals[name] for name in sorted(totals))


def require_zero(totals: Iterable[LedgerTotal], where: str) -> None:
    """Raises BooksBroken unless debits and credits are the same."""
    difference = sum(total.net_nanos for total in totals)
    if difference:
        raise BooksBroken(f"the trial balance {where} is off by {difference} nanodollars")


async def _sum_of_blocks(connection: AsyncConnection[Any], blocks: int) -> dict[str, LedgerTotal]:
    """The totals of the first so many blocks; they are full."""
    chapters = blocks >> LEVEL_BITS
    cursor = await connection.execute(
        _BLOCKS, {"blocks": blocks, "chapters": chapters, "first": chapters << LEVEL_BITS}
    )
    totals: dict[str, LedgerTotal] = {}
    for names, figures in await cursor.fetchall():
        for number, name in enumerate(msgspec.json.decode(names, type=list[str])):
            first = FIGURES * number
            debit_usd, debit, credit_usd, credit, postings = figures[first : first + FIGURES]
            totals[name] = totals.get(name, LedgerTotal(name)).changed(
                debit_usd * NANOS_PER_USD + debit, credit_usd * NANOS_PER_USD + credit, postings
            )
    return totals
