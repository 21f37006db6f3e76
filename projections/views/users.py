"""Users of the desk: their roles, and the proofs of identity that are accepted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.user import (
    IdentityLinked,
    IdentityUnlinked,
    RoleChanged,
    SubjectErased,
    UserDisabled,
    UserEnabled,
    UserRegistered,
)
from projections.contract import Json, Key, Projection, Row, Table, document, one_by_one
from projections.reading import list_rows

_IDENTITIES = msgspec.json.Decoder(list[tuple[str, str]])


class UserRow(Row, frozen=True):
    """One user; `identities` is a sorted list of [method, subject]."""

    user_id: UUID
    role: str = "auditor"
    is_disabled: bool = False
    is_erased: bool = False
    identities: Json = Json("[]")
    registered_at: datetime | None = None
    position: int = 0


def touches(event: Recorded) -> tuple[Key, ...]:
    """The user."""
    return ((event.event.user_id,),)  # type: ignore[attr-defined]  # all events of this table have one


def apply(key: Key, row: UserRow | None, event: Recorded) -> UserRow:
    """Each event changes what it is about."""
    user_id = key[0]
    assert isinstance(user_id, UUID)
    row = row or UserRow(user_id)
    return replace(row, position=event.position, **_facts(row, event))


def _facts(row: UserRow, event: Recorded) -> dict[str, Any]:
    match event.event:
        case UserRegistered(role=role):
            return {"role": role, "registered_at": event.recorded_at}
        case RoleChanged(role=role):
            return {"role": role}
        case IdentityLinked(method=method, subject=subject):
            return {"identities": document(sorted(_identities(row) | {(method, subject)}))}
        case IdentityUnlinked(method=method, subject=subject):
            return {"identities": document(sorted(_identities(row) - {(method, subject)}))}
        case UserDisabled():
            return {"is_disabled": True}
        case UserEnabled():
            return {"is_disabled": False}
        case SubjectErased():
            return {"is_erased": True, "identities": Json("[]")}
        case _:
            return {}


def _identities(row: UserRow) -> set[tuple[str, str]]:
    return set(_IDENTITIES.decode(row.identities))


TABLE = Table(
    name="users",
    row=UserRow,
    key=("user_id",),
    events=(
        UserRegistered,
        RoleChanged,
        IdentityLinked,
        IdentityUnlinked,
        UserDisabled,
        UserEnabled,
        SubjectErased,
    ),
    touches=touches,
    fold=one_by_one(apply),
)
PROJECTION = Projection(name="users", version=2, tables=(TABLE,))


async def list_users(
    connection: AsyncConnection[Any], user_ids: Sequence[UUID]
) -> dict[UUID, UserRow]:
    """Those of these users that there are, by their ids."""
    rows = await list_rows(connection, TABLE, UserRow, "where user_id = any(%s)", (list(user_ids),))
    return {row.user_id: row for row in rows}
