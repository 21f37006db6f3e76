"""Accounts: opening and changing them, listing them, and what they have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.in_turn import in_turn
from ledger import ids, vault
from ledger.errors import NotFound
from ledger.store.reader import RECORDED_COLUMNS, Balance, Recorded, read_balance, recorded
from ledger.streams import account
from ledger.streams import group as price_group
from ledger.streams.account import SpendingLimits
from ledger.streams.group import group_stream_id
from ledger.vault import Place

DEFAULT_GROUP = "default"

# One page of openings, then the streams they opened. The index is event_configuration.
_OPENINGS = """
    select originator_id from ledger.event
    where topic = 'account.AccountOpened.v1' and topic not like 'charge.%%'
      and topic not like 'credit.%%' and position > %s
    order by position limit %s
"""
_STREAMS = (
    f"select {RECORDED_COLUMNS} from ledger.event where originator_id = any(%s) "  # noqa: S608
    "order by originator_id, originator_version"
)


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account for people. `position` is that of its opening."""

    account_id: UUID
    name: str | None
    group: str
    limits: SpendingLimits
    is_suspended: bool
    opened_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What to change; None stays. `limits_nanos` are fields of SpendingLimits, None for no limit
    of that kind.
    """

    name: str | None = None
    group: str | None = None
    limits_nanos: Mapping[str, int | None] = field(default_factory=dict)


async def open_account(
    desk: Desk, *, name: str, actor: str, account_id: UUID | None = None
) -> UUID:
    """Open an account; its id. `account_id` to make the id known beforehand.

    Raises InvalidInput, NotAllowedNow if the id is taken, StoreUnavailable.
    """
    name = inputs.text("name", name)
    account_id = account_id or ids.entity_id()
    await _name(desk, account_id, name)
    command = account.Open(account_id, DEFAULT_GROUP, actor)
    appended = await desk.handle(account.STREAM, account_id, command)
    assert appended is not None
    await desk.shown(appended)
    return account_id


async def change_account(
    desk: Desk,
    account_id: UUID,
    changes: AccountChanges,
    *,
    actor: str,
    reason: str = "",
) -> AccountView:
    """Change what is given, and nothing else; the account as it is then.

    New limits and another group count for new calls. A larger overdraft, and a group that pays
    less, are money given, so they need a reason. Raises InvalidInput, NotFound, StoreUnavailable.
    """
    before = await require_account(desk, account_id)
    group = None if changes.group is None else inputs.group("group", changes.group)
    if changes.name is not None:
        await _name(desk, account_id, inputs.text("name", changes.name))

    if group is not None and not reason and await _pays_less(desk, before.group, group):
        raise InvalidInput("reason", "is needed for a group that pays less: a code")

    def changed(state: account.Account) -> account.SetLimits:
        limits = msgspec.structs.replace(state.limits, **changes.limits_nanos)
        if not reason and limits.overdraft_nanos > state.limits.overdraft_nanos:
            raise InvalidInput("reason", "is needed for a larger overdraft: a code")
        return account.SetLimits(limits, group or state.group, actor, reason)

    await desk.handle(in_turn(account.STREAM), account_id, [changed])
    return await read_account(desk, account_id)


async def suspend_account(
    desk: Desk, account_id: UUID, *, actor: str, reason: str = ""
) -> AccountView:
    """Let it make no new calls; what is open closes as always. Raises NotFound."""
    await desk.handle(account.STREAM, account_id, account.Suspend(actor, reason))
    return await read_account(desk, account_id)


async def resume_account(
    desk: Desk, account_id: UUID, *, actor: str, reason: str = ""
) -> AccountView:
    """Let it make calls again. Raises NotFound."""
    await desk.handle(account.STREAM, account_id, account.Resume(actor, reason))
    return await read_account(desk, account_id)


async def require_account(desk: Desk, account_id: UUID) -> account.Account:
    """The account's state. Raises NotFound."""
    state: account.Account = await desk.state(account.STREAM, account_id)
    if state.account_id is None:
        raise NotFound("no such account")
    return state


async def read_account(desk: Desk, account_id: UUID) -> AccountView:
    """One account. Raises NotFound."""
    async with desk.pool.connection() as connection:
        views = await _views(connection, desk, [account_id])
    if not views:
        raise NotFound("no such account")
    return views[0]


async def list_accounts(desk: Desk, *, after: int, limit: int) -> list[AccountView]:
    """Accounts in the order of their opening, those opened after position `after`."""
    async with desk.reading() as connection:
        rows = await (await connection.execute(_OPENINGS, (after, limit))).fetchall()
        return await _views(connection, desk, [row[0] for row in rows])


async def balance(desk: Desk, account_id: UUID) -> Balance:
    """What the account has and holds, as the database that decides sees it. Raises NotFound."""
    await require_account(desk, account_id)
    async with desk.pool.connection() as connection:
        found = await read_balance(connection, account_id)
    assert found is not None, "its opening touched the budget"
    return found


async def _pays_less(desk: Desk, before: str, after: str) -> bool:
    """Whether members of a group pay less than those of another."""
    own = [await desk.state(price_group.STREAM, group_stream_id(name)) for name in (before, after)]
    paid = [price_group.paid(state, None) for state in own]
    return price_group.is_less(paid[1], paid[0])


async def _name(desk: Desk, account_id: UUID, name: str) -> None:
    async with desk.pool.connection() as connection:
        place = Place("account", account_id, "name", account_id)
        await vault.put(connection, desk.vault, place, name)


async def _views(
    connection: AsyncConnection[Any], desk: Desk, account_ids: Sequence[UUID]
) -> list[AccountView]:
    cursor = await connection.execute(_STREAMS, (list(account_ids),), binary=True)
    streams: dict[UUID, list[Recorded]] = {}
    for row in await cursor.fetchall():
        one = recorded(row)
        if one.topic.startswith("account."):
            streams.setdefault(one.stream_id, []).append(one)
    names = await vault.tell_many(connection, desk.vault, "account", "name", list(streams))
    views = [_view(events, names) for events in streams.values()]
    return sorted(views, key=lambda view: view.position)


def _view(events: Sequence[Recorded], names: dict[UUID, str]) -> AccountView:
    opening = events[0]
    state = account.Account()
    for one in events:
        state = account.STREAM.evolve(state, one.event)
    return AccountView(
        account_id=opening.stream_id,
        name=names.get(opening.stream_id),
        group=state.group,
        limits=state.limits,
        is_suspended=state.is_suspended,
        opened_at=opening.recorded_at,
        position=opening.position,
    )
