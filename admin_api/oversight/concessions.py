"""What one person gave away without a credit: a larger overdraft, and calls for less or nothing: by
a group, by moving an account to another one, or by a key that calls in another one.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.fields.inputs import format_multiplier
from admin_api.fields.log_range import LogRange
from admin_api.oversight.facts import FOUND, NEWEST, read_facts
from ledger.money import format_usd
from ledger.pricing import Multiplier
from ledger.store.reader import Recorded, read_stream
from ledger.streams import account, group
from ledger.streams.account import Account, LimitsSet
from ledger.streams.api_key import KeyChanged, KeyIssued
from ledger.streams.contract import Stream
from ledger.streams.group import Group, GroupSet, group_stream_id

What = Literal["overdraft", "multiplier", "account_group", "key_group"]

_IN_ANOTHER_GROUP = (
    FOUND + " and convert_from(state, 'UTF8')::json -> 'terms' ->> 'group' is not null "
    "order by position desc limit %s"
)


@dataclass(frozen=True, slots=True)
class Concession:
    """Who gave what: `before` and `after` are USD of an overdraft, else what list prices are
    multiplied by. group: whose multiplier it is; member: of which group those are who pay it.
    """

    fact: Recorded
    what: What
    account_id: UUID | None
    group: str | None
    member: str | None
    before: str
    after: str
    actor: str
    reason: str


async def read_concessions(
    connection: AsyncConnection[Any], stretch: LogRange, limit: int
) -> tuple[Concession, ...]:
    """Those among the last `limit` changes of each kind in a stretch of the log, newest first."""
    past = _Past(connection)
    found: list[Concession] = []
    for topic, query, told in (
        (LimitsSet.TOPIC, NEWEST, _of_limits),
        (GroupSet.TOPIC, NEWEST, _of_group),
        (KeyIssued.TOPIC, _IN_ANOTHER_GROUP, _of_key),
        (KeyChanged.TOPIC, _IN_ANOTHER_GROUP, _of_key),
    ):
        given = (topic, stretch.after, stretch.before, limit)
        for fact in await read_facts(connection, query, given):
            found += [each async for each in told(past, fact)]
    return tuple(sorted(found, key=lambda each: -each.fact.position)[:limit])


class _Past:
    """Streams as they stood before a position; each is read once."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._streams: dict[UUID, list[Recorded]] = {}

    async def account(self, account_id: UUID, position: int) -> Account:
        state: Account = await self._state(account.STREAM, account_id, position)
        return state

    async def group(self, name: str, position: int) -> Group:
        state: Group = await self._state(group.STREAM, group_stream_id(name), position)
        return state

    async def _state(self, stream: Stream, stream_id: UUID, position: int) -> Any:  # noqa: ANN401 - each stream has its own state
        if stream_id not in self._streams:
            self._streams[stream_id] = await read_stream(self._connection, stream_id)
        state = stream.initial()
        for one in self._streams[stream_id]:
            if one.position < position:
                state = stream.evolve(state, one.event)
        return state


async def _of_limits(past: _Past, fact: Recorded) -> AsyncIterator[Concession]:
    changed = fact.event
    assert isinstance(changed, LimitsSet)
    before = await past.account(changed.account_id, fact.position)
    overdrafts = (before.limits.overdraft_nanos, changed.limits.overdraft_nanos)
    if overdrafts[0] < overdrafts[1]:
        was, now = map(format_usd, overdrafts)
        yield Concession(
            fact,
            "overdraft",
            changed.account_id,
            None,
            None,
            was,
            now,
            changed.actor,
            changed.reason,
        )
    if before.group != changed.group:
        was_paid = group.paid(await past.group(before.group, fact.position), None)
        now_paid = group.paid(await past.group(changed.group, fact.position), None)
        if group.is_less(now_paid, was_paid):
            yield _paying_less(
                fact, "account_group", (was_paid, now_paid), changed.group, before.group
            )


async def _of_group(past: _Past, fact: Recorded) -> AsyncIterator[Concession]:
    changed = fact.event
    assert isinstance(changed, GroupSet)
    before = await past.group(changed.name, fact.position)
    for each in group.lowered(before, group.evolve(before, changed)):
        yield _paying_less(fact, "multiplier", (each.before, each.after), changed.name, each.member)


async def _of_key(past: _Past, fact: Recorded) -> AsyncIterator[Concession]:
    changed = fact.event
    assert isinstance(changed, KeyIssued | KeyChanged)
    own = (await past.account(changed.account_id, fact.position)).group
    name = changed.terms.group
    assert name is not None
    was_paid = group.paid(await past.group(own, fact.position), None)
    now_paid = group.paid(await past.group(name, fact.position), own)
    if name != own and group.is_less(now_paid, was_paid):
        yield _paying_less(fact, "key_group", (was_paid, now_paid), name, own)


def _paying_less(
    fact: Recorded, what: What, paid: tuple[Multiplier, Multiplier], name: str, member: str | None
) -> Concession:
    was, now = map(format_multiplier, paid)
    by: Any = fact.event
    reason = getattr(by, "reason", "")
    return Concession(fact, what, fact.account_id, name, member, was, now, by.actor, reason)
