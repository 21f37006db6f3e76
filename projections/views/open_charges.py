"""Open charges: what is held right now, by whom; a charge leaves when it is closed."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from ledger.store.reader import Recorded
from ledger.streams.charge.events import QuotaReserved, RefundIssued, UsageSettled
from projections.contract import Key, Projection, Row, Table, members, one_by_one, starts_its_stream


class OpenChargeRow(Row, frozen=True):
    """One open charge; `position` is that of its latest hold."""

    charge_id: UUID
    account_id: UUID
    key_id: UUID
    model: str
    held_nanos: int
    node: str
    boot: UUID
    reserved_at: datetime
    position: int


def touches(event: Recorded) -> tuple[Key, ...]:
    """The charge itself."""
    return ((event.stream_id,),)


def apply(key: Key, row: OpenChargeRow | None, event: Recorded) -> OpenChargeRow | None:  # noqa: ARG001
    """Opened and grown by holds, gone with the closing event."""
    reserved = event.event
    if not isinstance(reserved, QuotaReserved):
        return None
    if row is not None:
        held_nanos = row.held_nanos + reserved.hold_nanos
        return replace(row, held_nanos=held_nanos, position=event.position)
    return OpenChargeRow(
        event.stream_id,
        reserved.account_id,
        reserved.key_id,
        reserved.terms.model,
        reserved.hold_nanos,
        reserved.node,
        reserved.boot,
        event.recorded_at,
        event.position,
    )


TABLE = Table(
    name="open_charges",
    row=OpenChargeRow,
    key=("charge_id",),
    events=(QuotaReserved, UsageSettled, RefundIssued),
    touches=touches,
    fold=one_by_one(apply),
    is_first=starts_its_stream,
    indexes=(("node", "boot"),),
)
PROJECTION = Projection(
    name="open_charges",
    version=1,
    tables=(TABLE,),
    rows_are_of="stream",
    looks_at={
        QuotaReserved: members("account_id key_id terms hold_nanos node boot"),
        UsageSettled: members(""),
        RefundIssued: members(""),
    },
    uses_places=members("stream_id version recorded_at"),
)
