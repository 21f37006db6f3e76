"""API keys: whose they are, what they may do, and what they spent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.store.reader import Recorded
from ledger.streams.api_key import KeyChanged, KeyIssued, KeyRevoked, KeyTerms
from ledger.streams.charge.events import (
    ChargeAdjusted,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from projections.contract import Json, Key, Projection, Row, Table, document, members
from projections.reading import list_rows

_CHARGE = (QuotaReserved, UsageSettled, RefundIssued, ChargeAdjusted)


class KeyRow(Row, frozen=True):
    """One API key. spent_nanos includes adjustments; null terms restrict nothing.

    `position` is that of the last change of the key itself.
    """

    key_id: UUID
    account_id: UUID
    sha256: str | None = None
    prefix: str | None = None
    last_four: str | None = None
    limit_nanos: int | None = None
    expires_at_us: int | None = None
    models: Json | None = None
    allowed_ips: Json | None = None
    group_name: str | None = None
    names_channels: bool = False
    is_revoked: bool = False
    issued_at: datetime | None = None
    position: int = 0
    requests: int = 0
    refunds: int = 0
    held_nanos: int = 0
    spent_nanos: int = 0
    last_used_at: datetime | None = None


def touches(event: Recorded) -> tuple[Key, ...]:
    """The key of the event."""
    return ((event.event.key_id,),)  # type: ignore[attr-defined]  # all events of this table have one


def fold(key: Key, row: KeyRow | None, events: Sequence[Recorded]) -> KeyRow:
    """Terms by the key's own events, money by those of its charges."""
    key_id, account_id = key[0], events[0].account_id
    assert isinstance(key_id, UUID)
    assert account_id is not None
    row = row or KeyRow(key_id, account_id)
    requests, refunds = row.requests, row.refunds
    held, spent = row.held_nanos, row.spent_nanos
    last_used_at = row.last_used_at
    changes: dict[str, Any] = {}
    for event in events:
        match event.event:
            case QuotaReserved(hold_nanos=hold):
                held += hold
                if event.version == 1:
                    last_used_at = event.recorded_at
            case UsageSettled(released_nanos=released, charged_nanos=charged):
                held -= released
                spent += charged
                requests += 1
            case RefundIssued(released_nanos=released):
                held -= released
                refunds += 1
            case ChargeAdjusted(delta_nanos=delta):
                spent += delta
            case _:
                changes |= {"position": event.position, **_configured(event)}
    return replace(
        row,
        requests=requests,
        refunds=refunds,
        held_nanos=held,
        spent_nanos=spent,
        last_used_at=last_used_at,
        **changes,
    )


def _configured(event: Recorded) -> dict[str, Any]:
    match event.event:
        case KeyIssued() as issued:
            return {
                "account_id": issued.account_id,
                "sha256": issued.sha256,
                "prefix": issued.prefix,
                "last_four": issued.last_four,
                "issued_at": event.recorded_at,
                **_terms(issued.terms),
            }
        case KeyChanged(terms=terms):
            return _terms(terms)
        case KeyRevoked():
            return {"is_revoked": True}
        case _:
            return {}


def _terms(terms: KeyTerms) -> dict[str, Any]:
    return {
        "limit_nanos": terms.limit_nanos,
        "expires_at_us": terms.expires_at_us,
        "models": None if terms.models is None else document(terms.models),
        "allowed_ips": None if terms.allowed_ips is None else document(terms.allowed_ips),
        "group_name": terms.group,
        "names_channels": terms.names_channels,
    }


TABLE = Table(
    name="keys",
    row=KeyRow,
    key=("key_id",),
    events=(KeyIssued, KeyChanged, KeyRevoked, *_CHARGE),
    touches=touches,
    fold=fold,
    indexes=(("account_id", "key_id"),),
)
PROJECTION = Projection(
    name="keys",
    version=4,
    tables=(TABLE,),
    rows_are_of="account",
    looks_at={
        QuotaReserved: members("key_id hold_nanos"),
        UsageSettled: members("key_id released_nanos charged_nanos"),
        RefundIssued: members("key_id released_nanos"),
    },
    uses_places=members("version recorded_at account_id"),
)


async def list_keys_of_account(
    connection: AsyncConnection[Any], account_id: UUID, *, after: UUID | None, limit: int
) -> list[KeyRow]:
    """An account's keys in the order of their ids, beginning behind `after`."""
    return await list_rows(
        connection,
        TABLE,
        KeyRow,
        "where account_id = %s "
        "and key_id > coalesce(%s, '00000000-0000-0000-0000-000000000000'::uuid) "
        "order by key_id limit %s",
        (account_id, after, limit),
    )
