"""An API key: what it may do. Only its SHA-256, its prefix and its last four are known.

The stream's id is derived from the SHA-256, so that finding a key is one read of its stream.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never
from uuid import UUID

import msgspec

from ledger.errors import NotAllowedNow, NotFound
from ledger.ids import derived_id
from ledger.streams.contract import AccountEvent, Event, Stream


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a key may do. None: no restriction of that kind; `group` None: the account's.

    `names_channels`: its holder may say which channel is asked, whomever that serves.
    """

    limit_nanos: int | None = None
    expires_at_us: int | None = None
    models: tuple[str, ...] | None = None
    allowed_ips: tuple[str, ...] | None = None
    group: str | None = None
    names_channels: bool = False


class KeyIssued(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The key exists. Its name lives in the vault; the key itself nowhere."""

    TOPIC: ClassVar[str] = "api_key.KeyIssued.v1"

    key_id: UUID
    sha256: str
    prefix: str
    last_four: str
    terms: KeyTerms
    actor: str


class KeyChanged(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """New terms, all of them; a lowered limit stops new holds only."""

    TOPIC: ClassVar[str] = "api_key.KeyChanged.v1"

    key_id: UUID
    terms: KeyTerms
    actor: str
    reason: str = ""


class KeyRevoked(AccountEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The key opens nothing any more, for ever."""

    TOPIC: ClassVar[str] = "api_key.KeyRevoked.v1"

    key_id: UUID
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """Issue a key to an account."""

    account_id: UUID
    sha256: str
    prefix: str
    last_four: str
    terms: KeyTerms
    actor: str


@dataclass(frozen=True, slots=True)
class Change:
    """Replace the terms."""

    terms: KeyTerms
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Close the key for ever."""

    actor: str
    reason: str = ""


Command = Issue | Change | Revoke
AnyEvent = KeyIssued | KeyChanged | KeyRevoked


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The fold of one key stream."""

    version: int = 0
    issued: KeyIssued | None = None
    terms: KeyTerms = KeyTerms()
    is_revoked: bool = False


def key_id(sha256: str) -> UUID:
    """The stream of the key with this SHA-256 (hex)."""
    return derived_id("api_key", sha256)


def decide(state: ApiKey, command: Command) -> tuple[Event, ...]:
    """The events that answer a command. Raises NotFound, NotAllowedNow."""
    if isinstance(command, Issue):
        return (_issued(state, command),)
    issued = state.issued
    if issued is None:
        raise NotFound("no such key")
    match command:
        case Change(terms, actor, reason):
            if state.is_revoked:
                raise NotAllowedNow("the key is revoked")
            if terms == state.terms:
                return ()
            return (
                KeyChanged(
                    account_id=issued.account_id,
                    key_id=issued.key_id,
                    terms=terms,
                    actor=actor,
                    reason=reason,
                ),
            )
        case Revoke(actor, reason):
            if state.is_revoked:
                return ()
            return (
                KeyRevoked(
                    account_id=issued.account_id, key_id=issued.key_id, actor=actor, reason=reason
                ),
            )
        case _:
            assert_never(command)


def evolve(state: ApiKey, event: AnyEvent) -> ApiKey:
    """The state after an event."""
    state = replace(state, version=state.version + 1)
    match event:
        case KeyIssued(terms=terms):
            return replace(state, issued=event, terms=terms)
        case KeyChanged(terms=terms):
            return replace(state, terms=terms)
        case KeyRevoked():
            return replace(state, is_revoked=True)
        case _:
            assert_never(event)


def _issued(state: ApiKey, command: Issue) -> KeyIssued:
    if state.issued is not None:
        raise NotAllowedNow("this key exists")
    return KeyIssued(
        account_id=command.account_id,
        key_id=key_id(command.sha256),
        sha256=command.sha256,
        prefix=command.prefix,
        last_four=command.last_four,
        terms=command.terms,
        actor=command.actor,
    )


STREAM = Stream(
    name="api_key",
    events=(KeyIssued, KeyChanged, KeyRevoked),
    initial=ApiKey,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
