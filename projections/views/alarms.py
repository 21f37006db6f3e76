"""Alarms: what somebody should look at, as `ledger.alarms` reads it off the events of calls; and
how many there were of each kind, ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql

from ledger.alarms import EVENTS, alarms
from ledger.store.reader import Recorded
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from projections.contract import Key, Projection, Row, Table, members
from projections.reading import list_rows, where_equal


class AlarmRow(Row, frozen=True):
    """One alarm: the event at `position` is one of this kind.

    amount_nanos: how much money it is about, as far as the event says.
    """

    position: int
    kind: str
    recorded_at: datetime
    charge_id: UUID
    account_id: UUID
    model: str
    amount_nanos: int
    channel_id: UUID | None


class AlarmTotalRow(Row, frozen=True):
    """All alarms of one kind."""

    kind: str
    alarms: int = 0
    amount_nanos: int = 0


def touches(event: Recorded) -> tuple[Key, ...]:
    """A row of its own for every alarm."""
    return tuple([(event.position, alarm.kind) for alarm in alarms(event.event)])


def fold(key: Key, row: AlarmRow | None, events: Sequence[Recorded]) -> AlarmRow:  # noqa: ARG001
    """What happened stays as it is."""
    _, kind = key
    (event,) = events
    told = event.event
    assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
    (alarm,) = (one for one in alarms(told) if one.kind == kind)
    return AlarmRow(
        event.position,
        alarm.kind,
        event.recorded_at,
        event.stream_id,
        told.account_id,
        told.terms.model,
        alarm.amount_nanos,
        alarm.channel_id,
    )


def touches_totals(event: Recorded) -> tuple[Key, ...]:
    """The kinds of its alarms."""
    return tuple([(alarm.kind,) for alarm in alarms(event.event)])


def fold_totals(key: Key, row: AlarmTotalRow | None, events: Sequence[Recorded]) -> AlarmTotalRow:
    """Adds the alarms to the sums."""
    (kind,) = key
    assert isinstance(kind, str)
    found = [one for event in events for one in alarms(event.event) if one.kind == kind]
    row = row or AlarmTotalRow(kind)
    amount_nanos = row.amount_nanos + sum(alarm.amount_nanos for alarm in found)
    return AlarmTotalRow(kind, row.alarms + len(found), amount_nanos)


def _always(event: Recorded) -> bool:  # noqa: ARG001 - the shape of the contract
    return True


TABLE = Table(
    name="alarms",
    row=AlarmRow,
    key=("position", "kind"),
    events=EVENTS,
    touches=touches,
    fold=fold,
    is_first=_always,
    indexes=(("kind", "position"), ("recorded_at",)),
)
TOTALS = Table(
    name="alarm_totals",
    row=AlarmTotalRow,
    key=("kind",),
    events=EVENTS,
    touches=touches_totals,
    fold=fold_totals,
)
PROJECTION = Projection(
    name="alarms",
    version=1,
    tables=(TABLE, TOTALS),
    looks_at={
        UsageSettled: members(
            "account_id terms channel_id charged_nanos shortfall_nanos cost anomaly attempts"
        ),
        RefundIssued: members("account_id terms reason released_nanos attempts"),
    },
    uses_places=members("stream_id recorded_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmFilter:
    """Which alarms: all that are given must hold, and after < position < before."""

    kind: str | None = None
    after: int = 0
    before: int = (1 << 63) - 1


class KindCount(NamedTuple):
    """How many alarms there were of a kind."""

    kind: str
    alarms: int


async def list_alarms(
    connection: AsyncConnection[Any], wanted: AlarmFilter, limit: int
) -> list[AlarmRow]:
    """Alarms, the newest first: `limit` of them, and the others of the last event as well."""
    condition, values = where_equal({"kind": wanted.kind})
    rows = await list_rows(
        connection,
        TABLE,
        AlarmRow,
        _IN_RANGE + condition + _NEWEST_FIRST,
        (wanted.after, wanted.before, *values, limit),
    )
    return sorted(rows, key=lambda row: (-row.position, row.kind))


async def list_totals(connection: AsyncConnection[Any]) -> list[AlarmTotalRow]:
    """All alarms there ever were, by kind; kinds that never came are left out."""
    return await list_rows(connection, TOTALS, AlarmTotalRow, "order by kind", ())


async def count_of_last_day(connection: AsyncConnection[Any]) -> list[KindCount]:
    """The alarms of the last 24 hours by the database's clock, by kind."""
    cursor = await connection.execute(_LAST_DAY)
    return [KindCount(*row) for row in await cursor.fetchall()]


_IN_RANGE = sql.SQL("where position > %s and position < %s ")
_NEWEST_FIRST = sql.SQL("order by position desc fetch first %s rows with ties")
_LAST_DAY = """
    select kind, count(*) from projections.alarms
    where recorded_at > clock_timestamp() - interval '24 hours' group by kind order by kind
"""
