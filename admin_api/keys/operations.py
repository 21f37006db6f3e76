"""API keys: issued once and shown once; their terms may change, their revocation is for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict
from uuid import UUID

import msgspec

from admin_api.access import fresh_secrets
from admin_api.accounts.operations import require_account
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from admin_api.in_turn import in_turn
from ledger import clock, ids, vault
from ledger.errors import NotFound
from ledger.money import parse_usd
from ledger.store.reader import RECORDED_COLUMNS, recorded
from ledger.streams import api_key
from ledger.streams.api_key import ApiKey, KeyTerms
from ledger.vault import Place

# The smaller of two indexes serves: an account's events, or the configuration part of the log.
_KEYS = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants only
    "where account_id = %s and topic like 'api_key.%%' and topic not like 'charge.%%' "
    "and topic not like 'credit.%%' order by position"
)
_USED = "select scope, held_nanos - posted_nanos from ledger.budget where scope = any(%s)"
_PREFIX_LENGTH = 7


class TermsInput(TypedDict, total=False):
    """Terms as people write them; None lifts a restriction, absence leaves it as it is."""

    limit: str | None
    expires_at: str | None
    models: Sequence[str] | None
    allowed_ips: Sequence[str] | None
    group: str | None
    names_channels: bool


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key. `secret` is told this once and kept nowhere."""

    key_id: UUID
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key for people; `used_nanos` is what its limit is compared with."""

    key_id: UUID
    name: str | None
    state: ApiKey
    used_nanos: int


async def issue_key(
    desk: Desk, account_id: UUID, *, name: str, terms: TermsInput, actor: str
) -> IssuedKey:
    """Issue a key to an account.

    Raises InvalidInput, InvalidAmount, NotFound, StoreUnavailable.
    """
    name = inputs.text("name", name)
    parsed = KeyTerms(**_parse(terms))
    await require_account(desk, account_id)
    secret = fresh_secrets.api_key()
    digest = ids.key_digest(secret)
    key_id = api_key.key_id(digest)
    await _put_name(desk, key_id, account_id, name)
    command = api_key.Issue(
        account_id=account_id,
        sha256=digest,
        prefix=secret[:_PREFIX_LENGTH],
        last_four=secret[-4:],
        terms=parsed,
        actor=actor,
    )
    await desk.handle(api_key.STREAM, key_id, command)
    return IssuedKey(key_id, secret)


async def change_key(
    desk: Desk, key_id: UUID, *, name: str | None, terms: TermsInput, actor: str
) -> KeyView:
    """Change what is given and leave the rest; the key as it is then.

    Raises InvalidInput, InvalidAmount, NotFound, NotAllowedNow for a revoked key.
    """
    name = None if name is None else inputs.text("name", name)
    changes = _parse(terms)

    def changed(state: ApiKey) -> api_key.Change:
        return api_key.Change(msgspec.structs.replace(state.terms, **changes), actor)

    await desk.handle(in_turn(api_key.STREAM), key_id, [changed])
    state = await _require_key(desk, key_id)
    assert state.issued is not None
    if name is not None:
        await _put_name(desk, key_id, state.issued.account_id, name)
    return (await _views(desk, {key_id: state}))[0]


async def revoke_key(desk: Desk, key_id: UUID, *, actor: str) -> None:
    """Close a key for ever; again changes nothing. Raises NotFound."""
    await desk.handle(api_key.STREAM, key_id, api_key.Revoke(actor))


async def list_keys(desk: Desk, account_id: UUID) -> list[KeyView]:
    """An account's keys, oldest first, revoked ones included. Raises NotFound."""
    await require_account(desk, account_id)
    async with desk.reading() as connection:
        cursor = await connection.execute(_KEYS, (account_id,), binary=True)
        rows = await cursor.fetchall()
    states: dict[UUID, ApiKey] = {}
    for one in map(recorded, rows):
        before = states.get(one.stream_id, ApiKey())
        states[one.stream_id] = api_key.STREAM.evolve(before, one.event)
    return await _views(desk, states)


async def _require_key(desk: Desk, key_id: UUID) -> ApiKey:
    state: ApiKey = await desk.state(api_key.STREAM, key_id)
    if state.issued is None:
        raise NotFound("no such key")
    return state


async def _views(desk: Desk, states: Mapping[UUID, ApiKey]) -> list[KeyView]:
    key_ids = list(states)
    async with desk.pool.connection() as connection:
        names = await vault.tell_many(connection, desk.vault, "api_key", "name", key_ids)
        rows = await (await connection.execute(_USED, (key_ids,))).fetchall()
    used = dict(rows)
    return [
        KeyView(key_id, names.get(key_id), state, used.get(key_id, 0))
        for key_id, state in states.items()
    ]


async def _put_name(desk: Desk, key_id: UUID, account_id: UUID, name: str) -> None:
    async with desk.pool.connection() as connection:
        place = Place("api_key", key_id, "name", account_id)
        await vault.put(connection, desk.vault, place, name)


def _parse(terms: TermsInput) -> dict[str, Any]:
    """The fields of KeyTerms that are given."""
    parsed: dict[str, Any] = {}
    if "limit" in terms:
        limit = terms["limit"]
        parsed["limit_nanos"] = None if limit is None else parse_usd(limit)
    if "expires_at" in terms:
        parsed["expires_at_us"] = _expiry(terms["expires_at"])
    if "models" in terms:
        models = terms["models"]
        parsed["models"] = None if models is None else inputs.models("models", models)
    if "allowed_ips" in terms:
        allowed = terms["allowed_ips"]
        parsed["allowed_ips"] = None if allowed is None else inputs.networks("allowed_ips", allowed)
    if "group" in terms:
        group = terms["group"]
        parsed["group"] = None if group is None else inputs.group("group", group)
    if "names_channels" in terms:
        parsed["names_channels"] = terms["names_channels"]
    return parsed


def _expiry(expires_at: str | None) -> int | None:
    if expires_at is None:
        return None
    expires_at_us = inputs.moment_us("expires_at", expires_at)
    if expires_at_us <= clock.now_us():
        raise InvalidInput("expires_at", "must lie in the future")
    return expires_at_us
