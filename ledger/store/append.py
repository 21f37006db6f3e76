"""What is sent to the append function and what its answer means. No I/O: all writers share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.abc import AdaptContext
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

from ledger.codec import decode, encode
from ledger.errors import ClockDoubted, NotStored, Outdated, OutOfRange, OverBudget, VersionConflict
from ledger.store.binary_arrays import adapt_arrays, byte_strings, longs, shorts, texts, uuids
from ledger.streams.contract import AccountEvent, Effect, Event
from ledger.streams.registry import EVENT_OF_TOPIC, STREAM_OF

APPEND = (
    "select * from ledger.append_events("
    "%b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::uuid[], %b::int4[], %b::int4[], "
    "%b::uuid[], %b::int4[], %b::int4[], %b::int8[], %b::int8[], %b::int8[], %b::boolean, "
    "%b::uuid[], %b::int8[], %b::int4[])"
)

END_BACKEND = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
"""Ends what a lost connection left behind. Until it is gone a refusal is not final: the lost batch
might still arrive, and store the hold whose caller has just been told that it does not fit."""

CONNECTION_LOST = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, in the middle of a fail-over
)
"""After these the fate of what was sent is unknown, and the same may be sent again."""

StoredRow = tuple[UUID, int, str, bytes]
"""Stream, version, topic and state of one event."""

_ROW_OVERHEAD_BYTES = 200
_INT8_MAX = 2**63 - 1


def adapt(context: AdaptContext) -> None:
    """What the append function is called with; every integer is sent as int8."""
    assert context.adapters is not None
    adapt_arrays(context)
    context.adapters.register_dumper(int, Int8BinaryDumper)
    context.adapters.register_dumper(str, StrBinaryDumper)


def connection_name() -> str:
    """A fresh `application_name`, by which END_BACKEND finds exactly one connection."""
    return f"tollgate-writer-{uuid4().hex}"


class NewEvent(NamedTuple):
    """An event about to happen: `version` is the last version its writer saw, plus one."""

    stream_id: UUID
    version: int
    event: Event

    @property
    def originator_id(self) -> UUID:
        """The stream, by the name that the eventsourcing library has for it."""
        return self.stream_id

    @property
    def originator_version(self) -> int:
        """The version, by the library's name."""
        return self.version


class Guard(NamedTuple):
    """The version of another stream by which events were decided: they are refused if it has moved
    on by the time they are stored.
    """

    stream_id: UUID
    version: int


class ScopeBalance(NamedTuple):
    """A budget scope as it stood right after `position`; used = held - posted."""

    account_id: UUID
    scope: UUID
    used_nanos: int
    position: int


@dataclass(slots=True, eq=False)
class Group:
    """Events that are stored together or not at all, with everything the function needs.

    `is_capped`: the database may refuse it for a cap. `is_closing`: it closes a charge.
    """

    rows: list[tuple[UUID, int, str, bytes, UUID | None]]
    effects: list[tuple[int, UUID, int, int, int | None]]
    is_capped: bool
    is_closing: bool
    has_configuration: bool
    size_bytes: int
    guard: Guard | None = None


class Outcome(NamedTuple):
    """What became of one group: its positions, or the reason why it was not stored.

    `was_stored_before`: the very same bytes were there, and the positions are theirs.
    """

    positions: tuple[int, ...]
    refusal: NotStored | None
    was_stored_before: bool = False


class BatchOutcome(NamedTuple):
    """The database's answer to a batch, group by group, and the balances it left."""

    outcomes: list[Outcome]
    balances: list[ScopeBalance]


def prepare(events: Sequence[NewEvent], guard: Guard | None = None) -> Group:
    """Encode a group once; retries send the very same bytes. Raises OutOfRange."""
    assert all(new.version >= 1 for new in events), "our streams begin at version 1"
    group = _group(
        [
            ((new.stream_id, new.version, new.event.TOPIC, encode(new.event)), new.event)
            for new in events
        ]
    )
    group.guard = guard
    return group


def prepare_stored(rows: Sequence[StoredRow]) -> Group:
    """A group of bytes that somebody else encoded; they are stored as they are.

    An event of an unknown topic moves nothing. Raises OutOfRange, and msgspec.ValidationError for
    a known topic whose state is not that event.
    """
    return _group(
        [(row, decode(row[2], row[3]) if row[2] in EVENT_OF_TOPIC else None) for row in rows]
    )


def parameters(groups: Sequence[Group]) -> list[Any]:
    """The append function's arguments; groups without a cap must come first."""
    scopes = sorted({effect[1] for group in groups for effect in group.effects})
    index = {scope: i for i, scope in enumerate(scopes, 1)}
    rows = [(g, *row) for g, group in enumerate(groups, 1) for row in group.rows]
    effects: list[tuple[int, int, int, int, int | None]] = []
    first = 1
    for group in groups:
        effects += [(first + e[0], index[e[1]], e[2], e[3], e[4]) for e in group.effects]
        first += len(group.rows)
    return [
        uuids([row[1] for row in rows]),
        longs([row[2] for row in rows]),
        texts([row[3] for row in rows]),
        byte_strings([row[4] for row in rows]),
        uuids([row[5] for row in rows]),
        shorts([None if row[5] is None else index[row[5]] for row in rows]),
        shorts([row[0] for row in rows]),
        uuids(scopes),
        shorts([effect[0] for effect in effects]),
        shorts([effect[1] for effect in effects]),
        longs([effect[2] for effect in effects]),
        longs([effect[3] for effect in effects]),
        longs([effect[4] for effect in effects]),
        any(group.has_configuration for group in groups),
        *_guards(groups),
    ]


def _guards(groups: Sequence[Group]) -> list[Any]:
    """The streams and versions of the distinct guards, and the guard of each group."""
    guards = list(dict.fromkeys(group.guard for group in groups if group.guard is not None))
    places = {guard: i for i, guard in enumerate(guards, 1)}
    return [
        uuids([guard.stream_id for guard in guards]),
        longs([guard.version for guard in guards]),
        shorts([None if group.guard is None else places[group.guard] for group in groups]),
    ]


def interpret(groups: Sequence[Group], row: Sequence[Any]) -> BatchOutcome:
    """Read the append function's one row for the batch that was sent."""
    status, positions, held, posted, touched_at, short, _stored_at = row
    scopes = sorted({effect[1] for group in groups for effect in group.effects})
    shortages = _shortages(short or [], scopes)
    outcomes = []
    first = 0
    for number, group in enumerate(groups, 1):
        last = first + len(group.rows)
        match status[number - 1]:
            case 0 | 1 as code:
                outcomes.append(Outcome(tuple(positions[first:last]), None, code == 1))
            case 2:
                outcomes.append(Outcome((), VersionConflict("the stream moved on, or is closed")))
            case 3:
                outcomes.append(Outcome((), shortages[number]))
            case 5:
                outcomes.append(Outcome((), ClockDoubted("the database's clock jumped")))
            case 6:
                outcomes.append(Outcome((), Outdated("what it was decided by has changed")))
            case _:
                outcomes.append(Outcome((), OutOfRange("a balance would leave its range")))
        first = last
    return BatchOutcome(outcomes, _balances(groups, scopes, held, posted, touched_at))


def _group(events: Sequence[tuple[StoredRow, Event | None]]) -> Group:
    assert events
    group = Group([], [], is_capped=False, is_closing=False, has_configuration=False, size_bytes=0)
    for ordinal, (row, event) in enumerate(events):
        account = event.account_id if isinstance(event, AccountEvent) else None
        group.rows.append((*row, account))
        group.size_bytes += len(row[3]) + _ROW_OVERHEAD_BYTES
        if event is None:
            continue
        stream = STREAM_OF[type(event)]
        group.has_configuration |= stream.is_configuration
        group.is_closing |= type(event) in stream.closing
        effects = stream.effects(event)
        if account is not None and account not in [effect.scope for effect in effects]:
            effects = (Effect(account, 0, 0), *effects)
        for effect in effects:
            _require_representable(effect)
            group.is_capped |= effect.cap_nanos is not None
            group.effects.append((ordinal, *effect))
    return group


def _require_representable(effect: Effect) -> None:
    for amount in (effect.held_nanos, effect.posted_nanos, effect.cap_nanos or 0):
        if not -_INT8_MAX <= amount <= _INT8_MAX:
            raise OutOfRange("an amount is larger than any balance may be")


def _shortages(short: Sequence[int], scopes: Sequence[UUID]) -> dict[int, OverBudget]:
    quads = [short[i : i + 4] for i in range(0, len(short), 4)]
    return {
        group: OverBudget(scopes[scope - 1], available, needed)
        for group, scope, available, needed in quads
    }


def _balances(
    groups: Sequence[Group],
    scopes: Sequence[UUID],
    held: Sequence[int | None],
    posted: Sequence[int | None],
    touched_at: Sequence[int | None],
) -> list[ScopeBalance]:
    accounts: dict[UUID, UUID] = {}
    for group in groups:
        for ordinal, scope, *_ in group.effects:
            account = group.rows[ordinal][4]
            assert account is not None, "only events of an account move its budgets"
            accounts[scope] = account
    return [
        ScopeBalance(accounts[scope], scope, scope_held - scope_posted, position)
        for scope, scope_held, scope_posted, position in zip(
            scopes, held or (), posted or (), touched_at or (), strict=False
        )
        if scope_held is not None and scope_posted is not None and position is not None
    ]
