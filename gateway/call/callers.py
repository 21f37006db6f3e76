"""Who calls: exactly one credential, wherever it is carried, and the address it comes from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import parse_qsl
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from gateway.errors import InvalidKey, InvalidRequest, KeyNotAllowed, Overloaded
from gateway.http.exchange import Exchange
from ledger import clock
from ledger.networks import Network, read_network
from ledger.streams.account import Account, SpendingLimits
from ledger.streams.api_key import KeyTerms
from projections.configuration import Caller as KnownCaller
from projections.configuration import Configuration

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that may call now, and the account that pays; `channel_id` where it names a channel."""

    key_id: UUID
    account_id: UUID
    group: str
    terms: KeyTerms
    limits: SpendingLimits
    own_group: str = ""
    """The account's, where the key calls in another."""
    channel_id: UUID | None = None


async def identify(
    exchange: Exchange, configuration: Configuration, trusted_proxies: Sequence[Network]
) -> Caller:
    """The caller of an exchange.

    Raises InvalidKey, KeyNotAllowed, InvalidRequest for more than one credential, and Overloaded
    when nobody can say who it is.
    """
    secret, channel_id = named_channel(credential(exchange))
    try:
        found = await configuration.caller(secret)
    except (psycopg.Error, PoolTimeout, OSError) as error:
        raise Overloaded("the ledger cannot be reached", retry_after_s=1) from error
    caller = _admit(found, clock.now_us(), channel_id)
    if caller.terms.allowed_ips is not None:
        _check_address(caller.terms.allowed_ips, client_address(exchange, trusted_proxies))
    return caller


def credential(exchange: Exchange) -> str:
    """The one key presented: Authorization (Bearer, or the key alone), x-api-key, x-goog-api-key,
    mj-api-secret, ?key=, or a realtime client's subprotocol.

    Raises InvalidKey where there is none, InvalidRequest where there are different ones.
    """
    presented: set[str] = set()
    for name, raw in exchange.headers:
        if name == b"authorization":
            presented.add(_authorized(raw.decode("latin-1")))
        elif name in _HOLDS_KEY:
            presented.add(raw.decode("latin-1").strip())
        elif name == b"sec-websocket-protocol":
            presented.update(_named_as_protocol(raw.decode("latin-1")))
    if b"key=" in exchange.query:
        query = parse_qsl(exchange.query.decode("latin-1"))
        presented.update(value for name, value in query if name == "key")
    presented.discard(_ELSEWHERE)
    if len(presented) > 1:
        raise InvalidRequest("send one API key, not several different ones", code="several_keys")
    secret = next(iter(presented), "")
    if not secret:
        raise InvalidKey("no API key was sent: use the header `Authorization: Bearer <key>`")
    return secret


def named_channel(secret: str) -> tuple[str, UUID | None]:
    """A key, and the channel that is named behind it: `<key>-<channel's id>`."""
    key, dash, channel_id = secret[: -_ID_LENGTH - 1], secret[-_ID_LENGTH - 1 :][:1], ""
    if key and dash == "-":
        channel_id = secret[-_ID_LENGTH:]
    return (key, UUID(channel_id)) if _ID.fullmatch(channel_id) else (secret, None)


_ID_LENGTH = 36
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOLDS_KEY = (b"x-api-key", b"x-goog-api-key", b"mj-api-secret")
_ELSEWHERE = "midjourney-proxy"
"""Said by clients whose secret goes into a header of its own."""


def _authorized(told: str) -> str:
    """The key in an Authorization header: of a Bearer, or alone; empty for other schemes."""
    scheme, space, key = told.partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return "" if space else scheme or _ELSEWHERE


def _named_as_protocol(told: str) -> list[str]:
    """Browsers cannot set headers on a WebSocket; OpenAI's SDK names the key as a protocol."""
    mark = "openai-insecure-api-key."
    offered = [each.strip() for each in told.split(",")]
    return [each.removeprefix(mark) for each in offered if each.startswith(mark)]


def client_address(exchange: Exchange, trusted_proxies: Sequence[Network]) -> Address | None:
    """The peer, or the last address in X-Forwarded-For that no trusted proxy of ours has."""
    address = _parse(exchange.peer)
    forwarded = exchange.header(b"x-forwarded-for") or ""
    hops = [hop.strip() for hop in forwarded.split(",")[-32:] if hop.strip()]
    while hops and address is not None and _is_within(address, trusted_proxies):
        address = _parse(hops.pop())
    return address


def _admit(found: KnownCaller | None, now_us: int, channel_id: UUID | None) -> Caller:
    if found is None or found.key.issued is None or found.key.is_revoked:
        raise InvalidKey("the API key is not valid")
    expires_at_us = found.key.terms.expires_at_us
    if expires_at_us is not None and expires_at_us <= now_us:
        raise InvalidKey("the API key is not valid")
    _check_account(found.account)
    if channel_id is not None and not found.key.terms.names_channels:
        raise KeyNotAllowed("the API key may not name a channel", code="channel_choice_not_allowed")
    issued = found.key.issued
    return Caller(
        issued.key_id,
        issued.account_id,
        found.group,
        found.key.terms,
        found.account.limits,
        found.account.group,
        channel_id,
    )


def _check_account(account: Account) -> None:
    if account.is_suspended:
        raise KeyNotAllowed("the account is suspended", code="account_suspended")


def _check_address(allowed: Sequence[str], address: Address | None) -> None:
    if address is None or not _is_within(address, [read_network(net) for net in allowed]):
        raise KeyNotAllowed("the API key may not be used from this address", code="ip_not_allowed")


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == net.version and address in net for net in networks)
