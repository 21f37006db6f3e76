"""Access tokens that stand in for a key: fetched once, and kept until shortly before they end.

Source: RFC 6749, sections 4.4 and 5.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
import structlog

from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.http.upstream import KEY_REFUSED, Upstream, UpstreamAnswer, UpstreamRequest
from ledger import clock

log = structlog.get_logger()

FETCHED_WITHIN_S = 15.0
FRESH_S = 300.0
"""A token is not used any more in its last five minutes; one that lives short, in its last half."""

_FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
_REFUSED = (400, 401)
_CODE = re.compile(r"[a-z_]{1,64}")
_VISIBLE = r"^[\x21-\x7e]+$"


class KeyNotAccepted(Exception):
    """Whoever gives out tokens gives none for this key."""


class Grant(msgspec.Struct, frozen=True):
    """What is given for a key."""

    access_token: str
    expires_in: float = 3600.0

    def __post_init__(self) -> None:
        if not re.match(_VISIBLE, self.access_token):
            raise ValueError("a token is visible ASCII")


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str
    until_s: float


Fetch = Callable[[], Awaitable[Grant]]
Send = Callable[[str], Awaitable[UpstreamAnswer]]


class AccessTokens:
    """The tokens of one provider. However many ask for the same at once, it is fetched once."""

    def __init__(self, now_s: Callable[[], float] = clock.monotonic_s) -> None:
        self._now_s = now_s
        self._kept: dict[str, _Kept] = {}
        self._fetching: dict[str, asyncio.Task[str]] = {}

    async def ask(self, name: str, fetch: Fetch, send: Send) -> UpstreamAnswer:
        """What `send` answers with the token of this name; once more with a new one if a kept one
        is refused. Raises UpstreamFailed, UpstreamTimeout.
        """
        try:
            kept = self._usable(name)
            if kept is not None:
                answer = await send(kept)
                if answer.status != 401:
                    return answer
                answer.close()
                self._kept.pop(name, None)
            return await send(await self._fetched(name, fetch))
        except KeyNotAccepted:
            return KEY_REFUSED

    def _usable(self, name: str) -> str | None:
        kept = self._kept.get(name)
        return kept.token if kept is not None and kept.until_s > self._now_s() else None

    async def _fetched(self, name: str, fetch: Fetch) -> str:
        task = self._fetching.get(name)
        if task is None:
            task = self._fetching[name] = asyncio.create_task(self._fetch(name, fetch))
            task.add_done_callback(lambda done: self._finished(name, done))
        return await asyncio.shield(task)  # one caller who leaves takes it from nobody else

    async def _fetch(self, name: str, fetch: Fetch) -> str:
        try:
            async with asyncio.timeout(FETCHED_WITHIN_S):
                grant = await fetch()
        except TimeoutError as error:
            raise UpstreamTimeout("the provider gave no access token in time") from error
        now_s = self._now_s()
        self._kept = {one: kept for one, kept in self._kept.items() if kept.until_s > now_s}
        lives_s = max(grant.expires_in - FRESH_S, grant.expires_in / 2)
        self._kept[name] = _Kept(grant.access_token, now_s + lives_s)
        return grant.access_token

    def _finished(self, name: str, done: "asyncio.Task[str]") -> None:
        self._fetching.pop(name, None)
        if not done.cancelled():
            done.exception()  # whoever still waits for it is told


def name_of(*parts: str) -> str:
    """A name for what a token is given for; says nothing of the key in it."""
    told = b"".join(len(part).to_bytes(4) + part.encode() for part in parts)
    return hashlib.sha256(told).hexdigest()


async def exchanged(upstream: Upstream, url: str, form: Mapping[str, str]) -> Grant:
    """A token for a form. Raises KeyNotAccepted, UpstreamFailed, UpstreamTimeout."""
    body = urlencode(form).encode()
    answer = await upstream.send(UpstreamRequest(url, _FORM, body, is_aside=True))
    body = await answer.read()
    if answer.status in _REFUSED:
        log.warning("provider.token_refused", status=answer.status, error=_code(body))
        raise KeyNotAccepted("no token is given for this key")
    if answer.status != 200:
        raise UpstreamFailed(f"The provider gave no access token: status {answer.status}.")
    try:
        return msgspec.json.decode(body, type=Grant, strict=False)
    except msgspec.DecodeError as error:
        raise UpstreamFailed("The provider's access token cannot be read.") from error


def _code(body: bytes) -> str:
    """The error's code, the one thing that is safe to tell."""
    try:
        code = msgspec.json.decode(body, type=_Refusal).error
    except msgspec.DecodeError:
        return ""
    return code if _CODE.fullmatch(code) else ""
