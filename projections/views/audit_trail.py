"""The audit trail: who did what, to which stream, and why: every event that names an actor."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql

from ledger.store.reader import Recorded
from ledger.streams.registry import STREAM_OF
from projections.contract import Key, Projection, Row, Table, one_by_one
from projections.reading import list_rows, where_equal


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
    indexes=(
        ("actor", "position"),
        ("stream_id", "position"),
        ("account_id", "position"),
        ("topic", "position"),
    ),
)
PROJECTION = Projection(name="audit_trail", version=2, tables=(TABLE,), folds_every_stream=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActFilter:
    """Which acts: all that are given must hold, and after < position < before."""

    actor: str | None = None
    stream_id: UUID | None = None
    account_id: UUID | None = None
    topic: str | None = None
    after: int = 0
    before: int = (1 << 63) - 1


async def list_acts(
    connection: AsyncConnection[Any], wanted: ActFilter, limit: int
) -> list[AuditRow]:
    """Acts, the newest first, at most `limit`."""
    condition, values = where_equal(
        {
            "actor": wanted.actor,
            "stream_id": wanted.stream_id,
            "account_id": wanted.account_id,
            "topic": wanted.topic,
        }
    )
    return await list_rows(
        connection,
        TABLE,
        AuditRow,
        _IN_RANGE + condition + _NEWEST_FIRST,
        (wanted.after, wanted.before, *values, limit),
    )


_IN_RANGE = sql.SQL("where position > %s and position < %s ")
_NEWEST_FIRST = sql.SQL("order by position desc limit %s")
