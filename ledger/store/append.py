"""What is sent to the append function and what its answer means. No I/O: two writers share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.abc import AdaptContext
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

from ledger.codec import encode
from ledger.errors import NotStored, OutOfRange, OverBudget, VersionConflict
from ledger.streams.contract import AccountEvent, Effect, Event
from ledger.streams.registry import STREAM_OF

APPEND = (
    "select * from ledger.append_events("
    "%b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::uuid[], %b::int8[]::int[], "
    "%b::int8[]::int[], %b::uuid[], %b::int8[]::int[], %b::int8[]::int[], %b::int8[], %b::int8[], "
    "%b::int8[], %b::boolean)"
)


def adapt(context: AdaptContext) -> None:
    """Send every integer as int8, so that one prepared statement serves every batch."""
    assert context.adapters is not None
    context.adapters.register_dumper(int, Int8BinaryDumper)
    context.adapters.register_dumper(str, StrBinaryDumper)


class NewEvent(NamedTuple):
    """An event about to happen: `version` is the last version its writer saw, plus one."""

    stream_id: UUID
    version: int
    event: Event


class ScopeBalance(NamedTuple):
    """A budget scope as it stood right after `position`; used = held - posted."""

    account_id: UUID
    scope: UUID
    used_nanos: int
    position: int


@dataclass(slots=True, eq=False)
class Group:
    """Events that are stored together or not at all, with everything the function needs."""

    rows: list[tuple[UUID, int, str, bytes, UUID | None]]
    effects: list[tuple[int, UUID, int, int, int | None]]
    is_capped: bool
    has_configuration: bool
    size_bytes: int


class Outcome(NamedTuple):
    """What became of one group: its positions, or the reason why it was not stored."""

    positions: tuple[int, ...]
    refusal: NotStored | None


class Answer(NamedTuple):
    """The database's answer to a batch, group by group, and the balances it left."""

    outcomes: list[Outcome]
    balances: list[ScopeBalance]


def prepare(events: Sequence[NewEvent]) -> Group:
    """Encode a group once; retries send the very same bytes."""
    assert events
    rows: list[tuple[UUID, int, str, bytes, UUID | None]] = []
    effects: list[tuple[int, UUID, int, int, int | None]] = []
    is_capped = has_configuration = False
    size_bytes = 0
    for ordinal, (stream_id, version, event) in enumerate(events):
        stream = STREAM_OF[type(event)]
        state = encode(event)
        account = event.account_id if isinstance(event, AccountEvent) else None
        rows.append((stream_id, version, event.TOPIC, state, account))
        size_bytes += len(state) + 200
        has_configuration |= stream.is_configuration
        own_effects = stream.effects(event)
        if account is not None and not any(e.scope == account for e in own_effects):
            own_effects = (Effect(account, 0, 0), *own_effects)
        for effect in own_effects:
            is_capped |= effect.cap_nanos is not None
            effects.append((ordinal, *effect))
    return Group(rows, effects, is_capped, has_configuration, size_bytes)


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
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        [row[4] for row in rows],
        [row[5] for row in rows],
        [None if row[5] is None else index[row[5]] for row in rows],
        [row[0] for row in rows],
        scopes,
        [effect[0] for effect in effects],
        [effect[1] for effect in effects],
        [effect[2] for effect in effects],
        [effect[3] for effect in effects],
        [None if effect[4] is None else effect[4] for effect in effects],
        any(group.has_configuration for group in groups),
    ]


def interpret(groups: Sequence[Group], row: Sequence[Any]) -> Answer:
    """Read the append function's one row for the batch that was sent."""
    status, positions, held, posted, touched_at, short, _stored_at = row
    scopes = sorted({effect[1] for group in groups for effect in group.effects})
    shortages = _shortages(short or [], scopes)
    outcomes = []
    first = 0
    for number, group in enumerate(groups, 1):
        last = first + len(group.rows)
        match status[number - 1]:
            case 0 | 1:
                outcomes.append(Outcome(tuple(positions[first:last]), None))
            case 2:
                outcomes.append(Outcome((), VersionConflict("the stream moved on, or is closed")))
            case 3:
                outcomes.append(Outcome((), shortages[number]))
            case _:
                outcomes.append(Outcome((), OutOfRange("a balance would leave its range")))
        first = last
    return Answer(outcomes, _balances(groups, scopes, held, posted, touched_at))


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
