"""What is debited and credited to every ledger account within every 1,024 positions of the log, and
within every 262,144: so that the trial balance after any position is a sum of few rows and of few
events, and so is the journal of any stretch.

Blocks of positions, not of days: a day is what the book's time zone says, and no fold knows of time
zones. Rows of full blocks never change again.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import add, itemgetter

import msgspec

from ledger.money import NANOS_PER_USD
from ledger.store.reader import Recorded
from ledger.streams.charge.events import QuotaReserved, RefundIssued, UsageSettled
from ledger.streams.contract import no_postings
from ledger.streams.registry import STREAM_OF, stream_of
from projections.contract import (
    STRETCH_BITS,
    Json,
    Key,
    Projection,
    Row,
    Table,
    document,
    members,
    once_for_same,
)

BLOCK_BITS = 10
"""A block has 2**10 positions."""
LEVEL_BITS = 8
"""A block of the next level has 2**8 of those."""
assert BLOCK_BITS + LEVEL_BITS <= STRETCH_BITS, "no row may span two stretches"
FIGURES = 5
"""Per ledger account: debits and credits, each in whole USD and the nanodollars beyond, so that no
sum outgrows its column; and the number of postings."""


class JournalBlockRow(Row, frozen=True):
    """The postings within one block. `names`: the ledger accounts, as they came; `figures`: FIGURES
    of each, in that order.
    """

    level: int
    block: int
    names: Json
    figures: tuple[int, ...]


def touches(event: Recorded) -> tuple[Key, ...]:
    """The event's block on every level."""
    ordinal = event.position - 1
    return ((0, ordinal >> BLOCK_BITS), (1, ordinal >> BLOCK_BITS + LEVEL_BITS))


def fold_block(
    key: Key, row: JournalBlockRow | None, events: Sequence[Recorded]
) -> JournalBlockRow | None:
    """Adds the postings of the events."""
    names, figures = (Json("[]"), ()) if row is None else (row.names, row.figures)
    sums, places = list(figures), _places(names)
    for some in _by_block(events):
        for name, moved in _moved(some).items():
            place = places.get(name)
            if place is None:
                names = _with(names, name)
                places, place = _places(names), len(sums)
                sums += moved
            else:
                sums[place : place + FIGURES] = map(add, sums[place : place + FIGURES], moved)
    if not sums:
        return row
    level, block = key
    return JournalBlockRow(level, block, names, tuple(sums))  # type: ignore[arg-type]


def _by_block(events: Sequence[Recorded]) -> Iterator[Sequence[Recorded]]:
    """The events apart by the smallest block they are in, so that one sum serves both levels."""
    start = 0
    while start < len(events):
        last = ((events[start].position - 1 >> BLOCK_BITS) + 1) << BLOCK_BITS
        end = bisect_right(events, last, start, key=itemgetter(0))
        yield events[start:end]
        start = end


@once_for_same
def _moved(events: Sequence[Recorded]) -> dict[str, list[int]]:
    """The figures of some events within one block, by name; the names as they came."""
    amounts: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        for name, amount in stream_of(event.event).postings(event.event):
            amounts[name].append(amount)
    return {name: _figures(given) for name, given in amounts.items()}


def _figures(amounts: Sequence[int]) -> list[int]:
    """The FIGURES of some postings to one ledger account."""
    # A debit has a remainder as a credit has one: towards nothing, not towards minus infinity.
    debits = [-amount for amount in amounts if amount < 0]
    credits_ = [amount for amount in amounts if amount >= 0]
    return [
        sum(amount // NANOS_PER_USD for amount in debits),
        sum(amount % NANOS_PER_USD for amount in debits),
        sum(amount // NANOS_PER_USD for amount in credits_),
        sum(amount % NANOS_PER_USD for amount in credits_),
        len(amounts),
    ]


@lru_cache(maxsize=1_024)
def _places(names: Json) -> dict[str, int]:
    """Where the figures of each name begin."""
    return {name: FIGURES * number for number, name in enumerate(msgspec.json.decode(names))}


@lru_cache(maxsize=1_024)
def _with(names: Json, name: str) -> Json:
    """The names and one more."""
    return document([*_places(names), name])


TABLE = Table(
    name="journal_blocks",
    row=JournalBlockRow,
    key=("level", "block"),
    events=tuple(
        event for event, stream in STREAM_OF.items() if stream.postings is not no_postings
    ),
    touches=touches,
    fold=fold_block,
)
PROJECTION = Projection(
    name="journal_blocks",
    version=3,
    tables=(TABLE,),
    folds_every_stream=True,
    rows_are_of="stretch",
    looks_at={
        QuotaReserved: members("hold_nanos"),
        UsageSettled: members("released_nanos charged_nanos cost attempts"),
        RefundIssued: members("released_nanos attempts"),
    },
    uses_places=members(""),
)
