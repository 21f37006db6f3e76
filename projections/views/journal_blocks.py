"""What is debited and credited to every ledger account within every 1,024 positions of the log, and
within every 262,144: so that the trial balance after any position is a sum of few rows and of few
events, and so is the journal of any stretch.

Blocks of positions, not of days: a day is what the book's time zone says, and no fold knows of time
zones. Rows of full blocks never change again.
"""

from functools import lru_cache

import msgspec

from ledger.money import NANOS_PER_USD
from ledger.store.reader import Recorded
from ledger.streams.contract import no_postings
from ledger.streams.registry import STREAM_OF
from projections.contract import (
    STRETCH_BITS,
    Json,
    Key,
    Projection,
    Row,
    Table,
    document,
    once_for_each,
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


def apply(key: Key, row: JournalBlockRow | None, event: Recorded) -> JournalBlockRow | None:
    """Adds the postings of the event."""
    moves = _moves(event)
    if not moves:
        return row
    names, figures = (Json("[]"), ()) if row is None else (row.names, row.figures)
    sums = list(figures)
    places = _places(names)
    for name, side, dollars, rest in moves:
        place = places.get(name)
        if place is None:
            names = _with(names, name)
            places, place = _places(names), len(sums)
            sums += (0,) * FIGURES
        sums[place + side] += dollars
        sums[place + side + 1] += rest
        sums[place + 4] += 1
    level, block = key
    return JournalBlockRow(level, block, names, tuple(sums))  # type: ignore[arg-type]


@once_for_each
def _moves(event: Recorded) -> list[tuple[str, int, int, int]]:
    """The postings of an event: the name, where its figure stands, whole USD and what is beyond."""
    # A debit has a remainder as a credit has one: towards nothing, not towards minus infinity.
    return [
        (name, 0 if amount < 0 else 2, *divmod(abs(amount), NANOS_PER_USD))
        for name, amount in STREAM_OF[type(event.event)].postings(event.event)
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
    apply=apply,
)
PROJECTION = Projection(
    name="journal_blocks",
    version=2,
    tables=(TABLE,),
    folds_every_stream=True,
    rows_are_of="stretch",
)
