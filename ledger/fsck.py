"""Is the ledger what it promises to be? Reads the whole log once, in one snapshot, and names what
is wrong: the check, the position or the scope, and what was expected.

The log streams by; memory holds the open charges, a total per scope, the price book, the limits,
two sums and the last number of each account, and what was seen a moment ago. Which check proves
which invariant is in README.md.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import IsolationLevel

from ledger.adjustment_checks import AdjustmentChecks
from ledger.balance_checks import BalanceChecks, BelowZero
from ledger.budget import BudgetFold
from ledger.charge_checks import ChargeChecks
from ledger.collection import without_collection
from ledger.errors import UnknownTopic
from ledger.leaf import leaf
from ledger.store.append import adapt
from ledger.store.fingerprint import schema_differences
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.version_checks import VersionChecks

FINDINGS_PER_CHECK = 100
"""One mistake may show at many positions; after so many a check says no more."""

Progress = Callable[[int, int], None]
"""Told (events done, events in all); may raise to stop."""

_ROWS_PER_FETCH = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AHEAD_MAX = timedelta(minutes=1)
"""A clock that is set back a little by a time service leaves the log's so much ahead."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `check` is a stable id; `scope` names what has no position."""

    check: str
    position: int | None
    scope: str | None
    message: str


class Checked:
    """What a finished check knows of the log: for checks that compare something else with it.

    below_zero: accounts that a lawful correction took below zero. No fault, but worth telling.
    """

    def __init__(self) -> None:
        self.head = 0
        self.budget = BudgetFold()
        self.below_zero: Mapping[UUID, BelowZero] = {}


def _unwatched(done: int, total: int) -> None:
    """Nobody watches."""


def check_ledger(
    dsn: str, checked: Checked | None = None, progress: Progress = _unwatched
) -> Iterator[Finding]:
    """Every finding, as it is found. Any role that may read will do.

    `checked`, if given, is filled on the way.
    """
    yield from at_most(FINDINGS_PER_CHECK, _findings(dsn, checked or Checked(), progress))


def at_most(limit: int, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The first so many of each check; the others are looked for, and not told."""
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.check] += 1
        if counts[finding.check] <= limit:
            yield finding


def _findings(dsn: str, checked: Checked, progress: Progress) -> Iterator[Finding]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set time zone 'UTC'")
        adapt(connection)
        yield from _protection(connection)
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            row = connection.execute("select position from ledger.head").fetchone()
            checked.head = row[0] if row else 0
            if row is None:
                yield Finding("head", None, "ledger.head", "its only row is missing")
            yield from _head_clock(connection)
            yield from _events(connection, checked, progress)
            for difference in checked.budget.differences(connection):
                yield Finding(
                    "budget",
                    difference.folded.position if difference.folded else None,
                    str(difference.scope),
                    f"stored as {difference.stored}, the log says {difference.folded}",
                )


def _protection(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """The guards that make the log what it is: the append function, unique indexes, triggers that
    refuse changes, and whatever else the migrations made.
    """
    for each in schema_differences(connection):
        yield Finding("protection", None, each.name, f"the {each.kind} {each.message}")


def _head_clock(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """The log's clock never runs backwards, so one that was set ahead stays ahead."""
    rows = connection.execute(
        "select h.recorded_at, e.recorded_at, clock_timestamp() "
        "from ledger.head h left join ledger.event e on e.position = h.position"
    ).fetchall()
    for of_head, of_last, now in rows:
        if of_last is not None and of_head < of_last:
            message = f"its clock says {of_head}, its last event was recorded at {of_last}"
            yield Finding("recorded_at", None, "ledger.head", message)
        if of_head > now + _AHEAD_MAX:
            message = f"its clock says {of_head}, and it is {now}: it was set ahead"
            yield Finding("recorded_at", None, "ledger.head", message)


def _events(
    connection: psycopg.Connection[Any], checked: Checked, progress: Progress
) -> Iterator[Finding]:
    checks = _LogChecks(BalanceChecks(checked.budget))
    done = 0
    with without_collection(), connection.cursor("events", binary=True) as cursor:
        cursor.execute(f"select {RECORDED_COLUMNS}, leaf from ledger.event order by position")  # noqa: S608
        while rows := cursor.fetchmany(_ROWS_PER_FETCH):
            for row in rows:
                yield from checks.check(row)
            yield from checks.settle(connection)
            done += len(rows)
            progress(min(done, checked.head), checked.head)
    yield from checks.end(checked.head)
    checked.below_zero = checks.balances.below_zero
    progress(checked.head, checked.head)


class _LogChecks:
    """Everything that is checked while the log streams by."""

    def __init__(self, balances: BalanceChecks) -> None:
        self.balances = balances
        self._order = _Order()
        self._versions = VersionChecks()
        self._charges = ChargeChecks()
        self._adjustments = AdjustmentChecks()

    def check(self, row: Sequence[Any]) -> Iterator[Finding]:
        """A row of RECORDED_COLUMNS and the leaf."""
        yield from self._order.check(row)
        self._versions.add(*row[:3])
        try:
            event = recorded(row[:-1])
        except (UnknownTopic, msgspec.MsgspecError, ValueError) as error:
            yield Finding("event", row[0], str(row[1]), f"does not decode: {error}")
            return
        yield from self._decoded(event)

    def settle(self, connection: psycopg.Connection[Any]) -> Iterator[Finding]:
        """After some rows: what can be said of them only now."""
        for position, stream_id, version in self._versions.settle(connection):
            message = f"version {version} does not follow on a version {version - 1} before it"
            yield Finding("version", position, str(stream_id), message)
        for position, stream_id, message in self._adjustments.settle(connection):
            yield Finding("adjustment", position, str(stream_id), message)

    def end(self, head: int) -> Iterator[Finding]:
        """After the last row."""
        yield from self._order.end(head)
        for problem in self.balances.end():
            yield Finding(problem.check, None, problem.scope, problem.message)

    def _decoded(self, event: Recorded) -> Iterator[Finding]:
        for problem in self.balances.check(event):
            scope = problem.scope or str(event.stream_id)
            yield Finding(problem.check, event.position, scope, problem.message)
        for check, message in self._charges.check(event):
            yield Finding(check, event.position, str(event.stream_id), message)
        for check, message in self._adjustments.check(event):
            yield Finding(check, event.position, str(event.stream_id), message)


class _Order:
    """Places, times, numbers and hashes of events, as they stand in the table."""

    def __init__(self) -> None:
        self._position = 0
        self._recorded_at = datetime.min.replace(tzinfo=UTC)
        self._account_seq: dict[UUID, int] = {}

    def check(self, row: Sequence[Any]) -> Iterator[Finding]:
        position, stream_id, version, topic, state, recorded_at = row[:6]
        account_id, account_seq, stored_leaf = row[6:]
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
