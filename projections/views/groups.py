"""Price groups: what their members pay of the list price, now."""

from datetime import datetime

from ledger.store.reader import Recorded
from ledger.streams.group import GroupSet
from projections.contract import Key, Projection, Row, Table, one_by_one


class GroupRow(Row, frozen=True):
    """One group; its multiplier is the exact ratio numerator / denominator."""

    name: str
    multiplier_numerator: int
    multiplier_denominator: int
    actor: str
    changed_at: datetime
    version: int
    position: int


def touches(event: Recorded) -> tuple[Key, ...]:
    """The group."""
    return ((event.event.name,),)  # type: ignore[attr-defined]  # only GroupSet


def apply(key: Key, row: GroupRow | None, event: Recorded) -> GroupRow | None:  # noqa: ARG001
    """The latest setting counts."""
    group = event.event
    if not isinstance(group, GroupSet):
        return row
    return GroupRow(
        group.name,
        group.multiplier.numerator,
        group.multiplier.denominator,
        group.actor,
        event.recorded_at,
        event.version,
        event.position,
    )


TABLE = Table(
    name="groups",
    row=GroupRow,
    key=("name",),
    events=(GroupSet,),
    touches=touches,
    fold=one_by_one(apply),
)
PROJECTION = Projection(name="groups", version=1, tables=(TABLE,))
