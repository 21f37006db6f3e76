"""Is the ledger what it promises to be? Reads the whole log once, in one snapshot, and names what
is wrong: the check, the position or the scope, and what was expected.

Memory holds the open charges, a total per scope and the last number of each account; the log
itself streams by.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import IsolationLevel

from ledger.budget import BudgetFold
from ledger.charge_checks import ChargeChecks
from ledger.errors import UnknownTopic
from ledger.leaf import leaf
from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.contract import AccountEvent
from ledger.streams.registry import STREAM_OF

FINDINGS_PER_CHECK = 100
"""One mistake may show at many positions; after so many a check says no more."""

_ROWS_PER_FETCH = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `check` is a stable id; `scope` names what has no position."""

    check: str
    position: int | None
    scope: str | None
    message: str


class Checked:
    """What a finished check knows of the log: for checks that compare something else with it."""

    def __init__(self) -> None:
        self.head = 0
        self.budget = BudgetFold()


def check_ledger(dsn: str, checked: Checked | None = None) -> Iterator[Finding]:
    """Every finding, as it is found. Any role that may read will do.

    `checked`, if given, is filled on the way.
    """
    counts: Counter[str] = Counter()
    for finding in _findings(dsn, checked or Checked()):
        counts[finding.check] += 1
        if counts[finding.check] <= FINDINGS_PER_CHECK:
            yield finding


def _findings(dsn: str, checked: Checked) -> Iterator[Finding]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set time zone 'UTC'")
        adapt(connection)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            row = connection.execute("select position from ledger.head").fetchone()
            checked.head = row[0] if row else 0
            if row is None:
                yield Finding("head", None, "ledger.head", "its only row is missing")
            yield from _protection(connection)
            yield from _events(connection, checked)
            yield from _streams(connection)
            for difference in checked.budget.differences(connection):
                yield Finding(
                    "budget",
                    difference.folded.position if difference.folded else None,
                    str(difference.scope),
                    f"stored as {difference.stored}, the log says {difference.folded}",
                )


def _protection(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """The guards that make the log what it is: unique indexes, and triggers that refuse changes."""
    indexes = {"event_pkey", "event_position", "event_account", "event_closing"}
    found = connection.execute(
        "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid "
        "where i.indrelid = 'ledger.event'::regclass and i.indisunique and i.indisvalid"
    ).fetchall()
    for name in sorted(indexes - {row[0] for row in found}):
        yield Finding("protection", None, name, "the unique index is missing or invalid")
    found = connection.execute(
        "select tgname from pg_trigger "
        "where tgrelid = 'ledger.event'::regclass and tgenabled in ('O', 'A')"
    ).fetchall()
    for name in sorted({"append_only", "never_truncated"} - {row[0] for row in found}):
        yield Finding("protection", None, name, "the trigger that refuses changes is not enabled")


def _events(connection: psycopg.Connection[Any], checked: Checked) -> Iterator[Finding]:
    order, charges, money = _Order(), ChargeChecks(), _Money(checked.budget)
    with connection.cursor("events", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(f"select {RECORDED_COLUMNS}, leaf from ledger.event order by position")  # noqa: S608
        for *row, stored_leaf in cursor:
            yield from order.check(row, stored_leaf)
            try:
                event = recorded(row)
            except (UnknownTopic, msgspec.MsgspecError, ValueError) as error:
                yield Finding("event", row[0], str(row[1]), f"does not decode: {error}")
                continue
            yield from money.check(event)
            for check, message in charges.check(event):
                yield Finding(check, event.position, str(event.stream_id), message)
    yield from order.end(checked.head)
    yield from money.end()


class _Order:
    """Places, times, numbers and hashes of events, as they stand in the table."""

    def __init__(self) -> None:
        self._position = 0
        self._recorded_at = datetime.min.replace(tzinfo=UTC)
        self._account_seq: dict[UUID, int] = {}

    def check(self, row: Sequence[Any], stored_leaf: bytes) -> Iterator[Finding]:
        position, stream_id, version, topic, state, recorded_at, account_id, account_seq = row
        if position != self._position + 1:
            message = f"follows position {self._position}"
            yield Finding("position", position, None, message)
        if recorded_at < self._recorded_at:
            message = f"recorded at {recorded_at}, its predecessor later: {self._recorded_at}"
            yield Finding("recorded_at", position, None, message)
        self._position, self._recorded_at = position, recorded_at
        at_us = (recorded_at - _EPOCH) // _MICROSECOND
        account = None if account_id is None else (account_id, account_seq or 0)
        if leaf(position, stream_id, version, at_us, account, (topic, state)) != stored_leaf:
            message = f"a byte of {topic} version {version} was changed: its hash is another"
            yield Finding("leaf", position, str(stream_id), message)
        if account_id is not None:
            expected = self._account_seq.get(account_id, 0) + 1
            if account_seq != expected:
                message = f"account_seq {account_seq} instead of {expected}"
                yield Finding("account_seq", position, str(account_id), message)
            self._account_seq[account_id] = account_seq or expected

    def end(self, head: int) -> Iterator[Finding]:
        if self._position != head:
            message = f"the last event is {self._position}, the head says {head}"
            yield Finding("position", self._position, "ledger.head", message)


class _Money:
    """Effects, caps and postings of every event."""

    def __init__(self, fold: BudgetFold) -> None:
        self._fold = fold
        self._accounts: set[UUID] = set()
        self._trial: Counter[str] = Counter()

    def check(self, event: Recorded) -> Iterator[Finding]:
        own = event.event.account_id if isinstance(event.event, AccountEvent) else None
        if own != event.account_id:
            message = f"stored under account {event.account_id}, but it is {own}'s"
            yield Finding("account", event.position, str(event.stream_id), message)
            return
        if own is not None:
            self._accounts.add(own)
        for effect, total in self._fold.add(event):
            used = total.held_nanos - total.posted_nanos
            if effect.cap_nanos is not None and used > effect.cap_nanos:
                message = f"the hold takes {used} of {effect.cap_nanos} nanos"
                yield Finding("cap", event.position, str(effect.scope), message)
            if total.held_nanos < 0:
                message = f"{total.held_nanos} nanos held: more was released than held"
                yield Finding("held", event.position, str(effect.scope), message)
        postings = STREAM_OF[type(event.event)].postings(event.event)
        if sum(posting.amount_nanos for posting in postings):
            message = f"postings do not balance: {postings}"
            yield Finding("postings", event.position, str(event.stream_id), message)
        for posting in postings:
            self._trial[posting.account] += posting.amount_nanos

    def end(self) -> Iterator[Finding]:
        """Two ways to the same sums: postings of all events, and effects on all accounts."""
        if sum(self._trial.values()):
            message = f"does not sum to zero: {dict(self._trial)}"
            yield Finding("trial_balance", None, None, message)
        totals = self._fold.totals
        held = sum(totals[each].held_nanos for each in self._accounts)
        available = sum(totals[each].posted_nanos for each in self._accounts) - held
        for name, total in (("customer:held", held), ("customer:available", available)):
            if self._trial[name] != total:
                message = f"postings say {self._trial[name]} nanos, the accounts {total}"
                yield Finding("trial_balance", None, name, message)


def _streams(connection: psycopg.Connection[Any]) -> Iterable[Finding]:
    """Versions 1, 2, 3 ... of every stream, in the order of positions."""
    cursor = connection.execute(
        "select position, originator_id, originator_version, n, previous from ("
        "  select position, originator_id, originator_version,"
        "         row_number() over stream as n, lag(position) over stream as previous"
        "  from ledger.event"
        "  window stream as (partition by originator_id order by originator_version, position)"
        ") numbered "
        "where originator_version <> n or previous > position order by position limit %s",
        (FINDINGS_PER_CHECK,),
    )
    for position, stream_id, version, number, previous in cursor.fetchall():
        message = f"version {version} where {number} belongs, after position {previous}"
        yield Finding("version", position, str(stream_id), message)
