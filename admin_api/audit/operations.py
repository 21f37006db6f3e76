"""The audit trail: every event that names an actor, and who that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.audit.words import read_words
from admin_api.desk import Desk, served_position
from admin_api.errors import InvalidInput
from admin_api.fields.log_range import read_range
from ledger import vault
from ledger.codec import UPCASTERS
from ledger.streams.registry import EVENT_OF_TOPIC
from projections.views import audit_trail, users
from projections.views.audit_trail import ActFilter, AuditRow

_OPERATOR = "operator:"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedActs:
    """Which acts somebody asks for: all that are given must hold.

    `topic` is an event's whole type. `since` and `until`: a day of the books, included, or a
    moment. `before`: a position.
    """

    actor: str | None = None
    stream_id: UUID | None = None
    account_id: UUID | None = None
    topic: str | None = None
    since: str | None = None
    until: str | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """An act, with the name and the role that its actor has now; None for whom has none.

    words: what was written down about it, or what was restored; None where there is nothing.
    """

    row: AuditRow
    actor_name: str | None
    actor_role: str | None
    words: str | None


async def list_acts(
    desk: Desk, asked: AskedActs, *, limit: int, at_least: int = 0
) -> tuple[list[Act], int]:
    """Acts, the newest first, and up to which position they are known.

    Raises InvalidInput, NotCaughtUp, QueryTooSlow.
    """
    topic = asked.topic
    if topic is not None and topic not in EVENT_OF_TOPIC and topic not in UPCASTERS:
        raise InvalidInput("type", "is not a type of event")
    async with desk.reading() as connection:
        position = await served_position(connection, audit_trail.PROJECTION.name, at_least)
        stretch = await read_range(connection, asked.since, asked.until, asked.before)
        if not position:
            return [], 0
        wanted = ActFilter(
            actor=asked.actor,
            stream_id=asked.stream_id,
            account_id=asked.account_id,
            topic=topic,
            after=stretch.after,
            before=stretch.before,
        )
        rows = await audit_trail.list_acts(connection, wanted, limit)
        return await _with_actors(connection, desk, rows), position


async def _with_actors(
    connection: AsyncConnection[Any], desk: Desk, rows: Sequence[AuditRow]
) -> list[Act]:
    ids = {row.actor: _operator_id(row.actor) for row in rows}
    known = sorted({user_id for user_id in ids.values() if user_id is not None})
    names = await vault.tell_many(connection, desk.vault, "user", "name", known)
    is_folded = await served_position(connection, users.PROJECTION.name)
    found = await users.list_users(connection, known) if is_folded else {}
    words = await read_words(connection, desk.vault, [(row.position, row.topic) for row in rows])
    acts = []
    for row in rows:
        user_id = ids[row.actor]
        user = None if user_id is None else found.get(user_id)
        name = None if user_id is None else names.get(user_id)
        role = None if user is None else user.role
        acts.append(Act(row, name, role, words.get(row.position)))
    return acts


def _operator_id(actor: str) -> UUID | None:
    """Whose act it was; None where that is no operator: the installation, the command line."""
    try:
        return UUID(actor.removeprefix(_OPERATOR)) if actor.startswith(_OPERATOR) else None
    except ValueError:
        return None
