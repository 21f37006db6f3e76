"""How a channel's provider is reached, as people write it: proxy, certificates, time-outs."""

import ssl
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from admin_api.errors import InvalidInput
from ledger import ids
from ledger.proxy_addresses import ProxyAddress, read_proxy_address
from ledger.streams.routes import Route

ROOTS_MAX = 64 * 1024
TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000
TIMEOUTS = {
    "connect_timeout_ms": "connect_ms",
    "first_byte_timeout_ms": "first_byte_ms",
    "idle_timeout_ms": "idle_ms",
    "first_content_timeout_ms": "first_content_ms",
}
"""What is given, and the field of Way it becomes."""


def told_way(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[UUID, str]]:
    """The fields of Way that are given, and the texts among them that lie in the vault.

    Raises InvalidInput, which says nothing of what a proxy asks for.
    """
    fields: dict[str, Any] = {}
    texts: dict[UUID, str] = {}
    if (proxy := given.get("proxy")) is not None:
        fields |= {"proxy": "", "proxy_id": None}
        if proxy:
            address = _address(proxy)
            fields["proxy"] = address.shown
            if address.user:
                text_id = fields["proxy_id"] = ids.entity_id()
                texts[text_id] = proxy
    if (roots := given.get("trusted_certificates")) is not None:
        fields["roots"] = _certificates(roots)
    for name, field_name in TIMEOUTS.items():
        if (value := given.get(name)) is not None:
            if not 0 <= value <= TIMEOUT_MS_MAX:
                raise InvalidInput(name, f"must be 0 to {TIMEOUT_MS_MAX}")
            fields[field_name] = value
    return fields, texts


def leads_keys_elsewhere(before: Route, after: Route, address: str) -> bool:
    """Whether somebody else could read a key now: whoever is believed, and on a plain connection
    the proxy it passes.
    """
    if before.way.roots != after.way.roots:
        return True
    is_plain = address.lower().startswith("http:")
    return is_plain and before.way.proxy != after.way.proxy


def _address(proxy: str) -> ProxyAddress:
    try:
        return read_proxy_address(proxy)
    except ValueError as error:
        raise InvalidInput("proxy", str(error)) from None


def _certificates(roots: str) -> str:
    if len(roots) > ROOTS_MAX:
        raise InvalidInput("trusted_certificates", f"must be up to {ROOTS_MAX} characters")
    if not roots.strip():
        return ""
    if "PRIVATE KEY" in roots:
        raise InvalidInput("trusted_certificates", "must not hold a private key")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=roots)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput("trusted_certificates", "must be certificates in PEM") from error
    return roots.strip() + "\n"
