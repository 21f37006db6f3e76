"""What every 256 events of an account did to it, and every 65,536: so that what it stood at after
any of its events is a sum of few rows and of few events.

Rows of full blocks never change again. Sums, not balances: a row needs no other row to be made.
"""

from typing import Any
from uuid import UUID

from ledger.statement import Standing, change
from ledger.store.reader import Recorded
from ledger.streams.contract import AccountEvent
from ledger.streams.registry import STREAM_OF
from projections.contract import Key, Projection, Row, Table, once_for_each

BLOCK_BITS = 8
"""A block has 2**8 events of the account, a block of the next level as many of those."""
STANDING_FIELDS = Standing.__struct_fields__


class BalanceBlockRow(Row, frozen=True):
    """The changes within one block. `position`: of the last event counted so far.

    The fields after `position` are those of `ledger.statement.Standing`.
    """

    account_id: UUID
    level: int
    block: int
    events: int
    position: int
    posted_nanos: int
    held_nanos: int
    open_charges: int
    credited_nanos: int
    charged_nanos: int
    adjusted_nanos: int
    credits: int
    charges: int
    adjustments: int


def touches(event: Recorded) -> tuple[Key, ...]:
    """The event's block on every level."""
    assert event.account_seq is not None
    account_id, ordinal = event.account_id, event.account_seq - 1
    return (
        (account_id, 0, ordinal >> BLOCK_BITS),
        (account_id, 1, ordinal >> 2 * BLOCK_BITS),
    )


def apply(key: Key, row: BalanceBlockRow | None, event: Recorded) -> BalanceBlockRow:
    """Adds what the event changes."""
    moved = _change(event)
    if row is None:
        return _row(key, 1, event.position, moved)
    return BalanceBlockRow(
        row.account_id,
        row.level,
        row.block,
        row.events + 1,
        event.position,
        row.posted_nanos + moved.posted_nanos,
        row.held_nanos + moved.held_nanos,
        row.open_charges + moved.open_charges,
        row.credited_nanos + moved.credited_nanos,
        row.charged_nanos + moved.charged_nanos,
        row.adjusted_nanos + moved.adjusted_nanos,
        row.credits + moved.credits,
        row.charges + moved.charges,
        row.adjustments + moved.adjustments,
    )


_change = once_for_each(change)


def _row(key: Key, events: int, position: int, moved: Standing) -> BalanceBlockRow:
    account_id, level, block = key
    return BalanceBlockRow(account_id, level, block, events, position, *_fields(moved))  # type: ignore[arg-type]


def _fields(standing: Standing) -> tuple[Any, ...]:
    return tuple(getattr(standing, name) for name in STANDING_FIELDS)


TABLE = Table(
    name="balance_blocks",
    row=BalanceBlockRow,
    key=("account_id", "level", "block"),
    events=tuple(event for event in STREAM_OF if issubclass(event, AccountEvent)),
    touches=touches,
    apply=apply,
)
PROJECTION = Projection(
    name="balance_blocks",
    version=1,
    tables=(TABLE,),
    folds_every_stream=True,
    rows_are_of="account",
)
