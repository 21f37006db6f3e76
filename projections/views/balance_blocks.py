"""What every 256 events of an account did to it, and every 65,536: so that what it stood at after
any of its events is a sum of few rows and of few events.

Rows of full blocks never change again. Sums, not balances: a row needs no other row to be made.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import astuple

from ledger.statement import Standing, fold
from ledger.store.reader import Recorded
from ledger.streams.charge.events import QuotaReserved, RefundIssued, UsageSettled
from ledger.streams.contract import AccountEvent
from ledger.streams.registry import STREAM_OF
from projections.contract import Key, Projection, Row, Table, members, once_for_same

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


def fold_block(
    key: Key, row: BalanceBlockRow | None, events: Sequence[Recorded]
) -> BalanceBlockRow:
    """Adds what the events change."""
    moved = _moved(events) if row is None else _changes(row) + _moved(events)
    counted = len(events) if row is None else row.events + len(events)
    position = events[-1].position
    return BalanceBlockRow(*key, counted, position, *astuple(moved))  # type: ignore[arg-type, call-arg]


_moved = once_for_same(fold)


def _changes(row: BalanceBlockRow) -> Standing:
    return Standing(*astuple(row)[-len(STANDING_FIELDS) :])


TABLE = Table(
    name="balance_blocks",
    row=BalanceBlockRow,
    key=("account_id", "level", "block"),
    events=tuple(event for event in STREAM_OF if issubclass(event, AccountEvent)),
    touches=touches,
    fold=fold_block,
)
PROJECTION = Projection(
    name="balance_blocks",
    version=1,
    tables=(TABLE,),
    folds_every_stream=True,
    rows_are_of="account",
    looks_at={
        QuotaReserved: members("hold_nanos"),
        UsageSettled: members("released_nanos charged_nanos"),
        RefundIssued: members("released_nanos"),
    },
    uses_places=members("version account_id account_seq"),
)
