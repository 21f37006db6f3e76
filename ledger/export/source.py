"""The events of a selection, from one snapshot of the database, in the order they were stored.

Rows come through a cursor in the database, so memory holds a batch of them and no more.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import IsolationLevel, sql

from ledger.book_days import TIME_ZONE_SETTING, BookDays, days_of
from ledger.codec import decode
from ledger.errors import InvalidSelection, NotFound
from ledger.export.selection import Selection
from ledger.integrity.reading import LAST_SEALED
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.contract import Posting
from ledger.streams.registry import STREAM_OF
from ledger.streams.seal import CheckpointSealed
from ledger.streams.setting import setting_stream_id

ROWS_PER_FETCH = 2_000

_TIME_ZONE_STREAM = setting_stream_id(TIME_ZONE_SETTING)
_TIME_ZONES = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - a constant
    "where originator_id = %s order by originator_version"
)

Connection = psycopg.Connection[Any]


class Stored(NamedTuple):
    """An event as it is read and as it lies there: `state` is its JSON, `leaf` its hash."""

    recorded: Recorded
    state: bytes
    leaf: bytes

    def postings(self) -> tuple[Posting, ...]:
        """Its double entry; empty where it moves no money."""
        return STREAM_OF[type(self.recorded.event)].postings(self.recorded.event)


class Opening(NamedTuple):
    """What a ledger account had before the first event of an export; credits are positive.

    `customer_id` is given for the accounts of customers, one by one.
    """

    account: str
    customer_id: UUID | None
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the log: up to `head`. `first` and `last` are the positions asked for, both
    included; there is nothing where `last` is before `first`.

    `as_of`: when `last` was recorded; None before the first event.
    `is_complete`: nothing that is recorded later can fall into what was asked for.
    """

    connection: Connection
    selection: Selection
    head: int
    taken_at: datetime
    first: int
    last: int
    as_of: datetime | None
    is_complete: bool

    def events(self) -> Iterator[Stored]:
        """What was asked for. Raises UnknownTopic for an event of a newer release."""
        yield from _events(self.connection, self.selection, self.first, self.last)

    def days(self) -> BookDays:
        """The days of the books, as they are set up to `head`."""
        rows = self.connection.execute(_TIME_ZONES, (_TIME_ZONE_STREAM,), binary=True).fetchall()
        return days_of(map(recorded, rows))

    def checkpoint(self) -> str | None:
        """The newest sealed checkpoint, as a signed note; None where nothing was sealed yet."""
        row = self.connection.execute(LAST_SEALED, binary=True).fetchone()
        if row is None:
            return None
        event = decode(row[1], row[2])
        assert isinstance(event, CheckpointSealed)
        return event.note

    def openings(self) -> list[Opening]:
        """What the events before `first` left on each ledger account, those with nothing left out.

        Reads all of them.
        """
        left: Counter[tuple[str, UUID | None]] = Counter()
        for stored in _events(self.connection, self.selection, 1, self.first - 1):
            customer_id = stored.recorded.account_id
            for account, amount_nanos in stored.postings():
                left[account, owner_of(account, customer_id)] += amount_nanos
        in_order = sorted(left.items(), key=lambda one: (one[0][0], str(one[0][1])))
        return [Opening(*key, nanos) for key, nanos in in_order if nanos]


def owner_of(account: str, customer_id: UUID | None) -> UUID | None:
    """Whose a ledger account is: the customer's, or nobody's but the house's."""
    return customer_id if account.startswith("customer:") else None


@contextlib.contextmanager
def open_snapshot(dsn: str, selection: Selection) -> Iterator[Snapshot]:
    """A snapshot, for as long as the block lasts. Any role that may read will do.

    Raises NotFound for an account there is none of, InvalidSelection for a range that is reversed
    or begins in the future, psycopg.OperationalError.
    """
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("set local time zone 'UTC'")
        connection.execute("set local statement_timeout = 0")
        row = connection.execute(
            "select position, recorded_at, clock_timestamp() from ledger.head"
        ).fetchone()
        assert row is not None
        head, head_recorded_at, taken_at = row
        _require_account(connection, selection.account_id)
        _require_past(selection, head, taken_at)
        first, last = _range(connection, selection, head)
        until = selection.until
        yield Snapshot(
            connection,
            selection,
            head,
            taken_at,
            first,
            last,
            _recorded_at(connection, last),
            not isinstance(until, datetime) or head_recorded_at >= until,
        )


def _require_account(connection: Connection, account_id: UUID | None) -> None:
    if account_id is None:
        return
    row = connection.execute(
        "select exists (select from ledger.event where account_id = %s)", (account_id,)
    ).fetchone()
    if row is None or not row[0]:
        raise NotFound("no such account")


def _require_past(selection: Selection, head: int, now: datetime) -> None:
    """A range may end with the day that is going on, which `is_complete` tells."""
    for bound in (selection.since, selection.until):
        if isinstance(bound, int) and bound > head:
            raise InvalidSelection(f"position {bound} is not there yet: the log ends at {head}")
    if isinstance(selection.since, datetime) and selection.since > now:
        raise InvalidSelection(f"{selection.since.isoformat()} is in the future")


def _range(connection: Connection, selection: Selection, head: int) -> tuple[int, int]:
    since, until = selection.since, selection.until
    first = _first_position(connection, since, head) if isinstance(since, datetime) else since or 1
    if isinstance(until, datetime):
        return first, _first_position(connection, until, head) - 1
    if until is not None and until < first:
        raise InvalidSelection(f"position {until} is before the first of the range: reversed")
    return first, head if until is None else until


def _recorded_at(connection: Connection, position: int) -> datetime | None:
    row = connection.execute(
        "select recorded_at from ledger.event where position = %s", (position,)
    ).fetchone()
    return None if row is None else row[0]


def _first_position(connection: Connection, moment: datetime, head: int) -> int:
    """The first position recorded at a moment or later; head + 1 where there is none.

    Times never decrease along the log, so a few rows of it tell.
    """
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "select recorded_at from ledger.event where position = %s", (middle,)
        ).fetchone()
        assert row is not None, f"position {middle} is missing: run fsck"
        if row[0] < moment:
            low = middle + 1
        else:
            high = middle
    return low


def _events(
    connection: Connection, selection: Selection, first: int, last: int
) -> Iterator[Stored]:
    conditions = [sql.SQL("position between %(first)s and %(last)s")]
    if selection.account_id is not None:
        conditions.append(sql.SQL("account_id = %(account)s"))
    if selection.topic is not None:
        conditions.append(sql.SQL("topic = %(topic)s"))
    query = sql.SQL("select {}, leaf from ledger.event where {} order by position").format(
        sql.SQL(RECORDED_COLUMNS), sql.SQL(" and ").join(conditions)
    )
    given = {
        "first": first,
        "last": last,
        "account": selection.account_id,
        "topic": selection.topic,
    }
    with connection.cursor("export", binary=True) as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(query, given)
        for *row, leaf in cursor:
            yield Stored(recorded(row), row[4], leaf)
