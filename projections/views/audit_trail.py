"""The audit trail: who did what, to which stream, and why: every event that names an actor."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.registry import STREAM_OF
from projections.contract import Key, Projection, Row, Table, one_by_one
from projections.reading import list_rows


class AuditRow(Row, frozen=True):
    """One act."""

    position: int
    recorded_at: datetime
    actor: str
    topic: str
    stream_id: UUID
    version: int
    account_id: UUID | None
    reason: str


def touches(event: Recorded) -> tuple[Key, ...]:
    """A row of its own for every event."""
    return ((event.position,),)


def apply(key: Key, row: AuditRow | None, event: Recorded) -> AuditRow:  # noqa: ARG001
    """What happened stays as it is."""
    return AuditRow(
        event.position,
        event.recorded_at,
        event.event.actor,  # type: ignore[attr-defined]  # only events that have one come here
        event.topic,
        event.stream_id,
        event.version,
        event.account_id,
        getattr(event.event, "reason", ""),
    )


def _always(event: Recorded) -> bool:  # noqa: ARG001 - the shape of the contract
    return True


TABLE = Table(
    name="audit_trail",
    row=AuditRow,
    key=("position",),
    events=tuple(event for event in STREAM_OF if "actor" in event.__struct_fields__),
    touches=touches,
    fold=one_by_one(apply),
    is_first=_always,
    indexes=(("actor", "position"), ("stream_id", "position")),
)
PROJECTION = Projection(name="audit_trail", version=1, tables=(TABLE,), folds_every_stream=True)


async def list_acts(connection: AsyncConnection[Any], *, before: int, limit: int) -> list[AuditRow]:
    """Acts, the newest first, beginning before the position `before`."""
    return await list_rows(
        connection,
        TABLE,
        AuditRow,
        "where position < %s order by position desc limit %s",
        (before, limit),
    )
