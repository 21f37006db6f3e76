"""What is asked about an answer that is kept: to see it again, to see what went into it, to end it,
to have it deleted. Nothing of it is paid for, and nothing of it is in the ledger.

Its provider is asked, where that keeps it; of what was translated we keep the answer ourselves.

Source: https://platform.openai.com/docs/api-reference/responses
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import msgspec

from gateway.call.callers import identify
from gateway.call.parts import Parts
from gateway.channels.key_failures import NOTHING_SAID, KeyFinding, finding_in_failure
from gateway.channels.routing import Candidate, candidate_of
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    Overloaded,
    UnknownResponse,
    UpstreamFailed,
    UpstreamTimeout,
)
from gateway.formats.contract import Format
from gateway.http.exchange import Exchange
from gateway.http.upstream import UpstreamAnswer
from gateway.providers.contract import Keeper, Visit
from gateway.stored_responses.store import StoredResponse
from ledger import clock
from ledger.networks import Network

RESPONSES = "/v1/responses/"

_METHODS = {"": ("GET", "DELETE"), "cancel": ("POST",), "input_items": ("GET",)}
_FORWARDED = frozenset(
    {
        "after",
        "include",
        "include[]",
        "include_obfuscation",
        "limit",
        "order",
        "starting_after",
        "stream",
    }
)
"""Parameters that go on to the provider; a key in the address must not."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
_FAILURE_BYTES_MAX = 64 * 1024
_NO_STORE = (b"cache-control", b"no-store")
_JSON = [(b"content-type", b"application/json; charset=utf-8"), _NO_STORE]
_EVENT_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    _NO_STORE,
    (b"x-accel-buffering", b"no"),
]

Handler = Callable[[Exchange], Awaitable[None]]


class _StoredResponsePath(NamedTuple):
    response_id: str
    action: str


class StoredResponseRoutes:
    """Serves `/v1/responses/{id}` and what is below it."""

    def __init__(
        self, client_format: Format, parts: Parts, trusted_proxies: Sequence[Network] = ()
    ) -> None:
        self._format = client_format
        self._parts = parts
        self._trusted_proxies = trusted_proxies

    def methods(self, path: str) -> Mapping[str, Handler] | None:
        """What a path below `/v1/responses/` answers, by method."""
        response_id, slash, action = path.removeprefix(RESPONSES).partition("/")
        if not _ID.fullmatch(response_id) or (slash and not action):
            return None
        serve = partial(self.serve, asked=_StoredResponsePath(response_id, action))
        return dict.fromkeys(_METHODS[action], serve) if action in _METHODS else None

    async def serve(self, exchange: Exchange, asked: _StoredResponsePath) -> None:
        """Answer one exchange with what the provider says."""
        try:
            caller = await identify(exchange, self._parts.configuration, self._trusted_proxies)
            kept = await self._parts.stored_responses.find(caller.account_id, asked.response_id)
            if kept is None:
                raise _unknown(asked.response_id)
            if kept.channel_id is None:
                await self._show(exchange, asked, kept)
                return
            with self._parts.deadlines.begin() as deadline:
                async with deadline.guard():
                    await self._visit(exchange, asked, kept, kept.channel_id)
        except TimeoutError:
            await self._refuse(exchange, Overloaded("this node is going down", retry_after_s=1))
        except GatewayError as error:
            await self._refuse(exchange, error)

    async def _show(
        self, exchange: Exchange, asked: _StoredResponsePath, kept: StoredResponse
    ) -> None:
        """What we keep ourselves."""
        if asked.action:
            raise InvalidRequest(
                "The response has ended, and what went into it is not kept.",
                code="unsupported_operation",
            )
        if exchange.method == "DELETE":
            await self._parts.stored_responses.forget(kept.account_id, kept.response_id)
            told: object = {"id": kept.response_id, "object": "response", "deleted": True}
        else:
            told = (await self._parts.stored_responses.documents([kept])).get(kept.response_id)
            if told is None:
                raise _unknown(kept.response_id)
        await exchange.respond(200, _JSON, msgspec.json.encode(told))

    async def _visit(
        self, exchange: Exchange, asked: _StoredResponsePath, kept: StoredResponse, channel_id: UUID
    ) -> None:
        place = self._place(kept, channel_id)
        provider = self._parts.providers.get(place.type)
        if not isinstance(provider, Keeper):
            raise InvalidRequest(
                "The provider that made this response does not show it again.",
                code="unsupported_operation",
            )
        keys = self._parts.vault.keys
        key_id = keys.choose(place)
        unavailable = keys.exhausted((place,)) if key_id is None else None
        if unavailable is not None:
            raise unavailable
        key = "" if key_id is None else await keys.unsealed(key_id)
        asked_s = clock.monotonic_s()
        path = "/".join(filter(None, asked))
        visit = Visit(
            exchange.method, place.base_url or provider.base_url, key, path, _on(exchange)
        )
        answer = await provider.visit(
            visit, await self._parts.vault.ways.upstream(place.channel_id, place.way)
        )
        try:
            if not 200 <= answer.status < 300:
                error, found = await self._failure(asked, answer)
                told = key_id and keys.failed(place, key_id, found, asked_s)
                raise told or error
            if key_id is not None:
                keys.answered(place, key_id, asked_s)
            if exchange.method == "DELETE":  # on record before anybody is told
                await self._parts.stored_responses.forget(kept.account_id, kept.response_id)
            await self._pass_on(exchange, answer)
        finally:
            answer.close()

    def _place(self, kept: StoredResponse, channel_id: UUID) -> Candidate:
        """The channel and the key that made it. Raises UnknownResponse, UpstreamFailed."""
        channel = self._parts.configuration.held.channels.get(channel_id)
        if channel is None or channel.is_removed:
            raise _unknown(kept.response_id)
        place = candidate_of(channel_id, channel, "", kept.channel_key_id)
        if channel.is_paused or place is None:
            raise UpstreamFailed("The provider that keeps this response is not asked at present.")
        return place

    async def _pass_on(self, exchange: Exchange, answer: UpstreamAnswer) -> None:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            await exchange.respond(200, _JSON, await answer.read())
            return
        exchange.watch(answer.close)
        await exchange.start(200, _EVENT_STREAM)
        last = b""
        try:
            async for piece in answer.pieces():
                await exchange.write(piece)
        except (UpstreamFailed, UpstreamTimeout) as error:
            last = self._format.stream_error(error)
        await exchange.end(last)

    async def _failure(
        self, asked: _StoredResponsePath, answer: UpstreamAnswer
    ) -> tuple[GatewayError, KeyFinding]:
        """What went wrong, and what that says of the key."""
        if answer.status == 404:
            return _unknown(asked.response_id), NOTHING_SAID
        body = b""
        async for piece in answer.pieces():
            body += piece
            if len(body) > _FAILURE_BYTES_MAX:
                break
        found = finding_in_failure(answer.status, answer.headers, body)
        return self._format.classify_failure(answer.status, answer.headers, body), found

    async def _refuse(self, exchange: Exchange, error: GatewayError) -> None:
        if exchange.has_started:  # a stream that was cut: what came is all there is
            await exchange.end(self._format.stream_error(error))
            return
        status, headers, body = self._format.error_body(error, exchange.request_id)
        await exchange.respond(status, headers, body)


def _unknown(response_id: str) -> UnknownResponse:
    return UnknownResponse(f"Response with id '{response_id}' not found.")


def _on(exchange: Exchange) -> str:
    """The parameters that go on to the provider."""
    given = parse_qsl(exchange.query.decode("latin-1"))
    return urlencode([(name, value) for name, value in given if name in _FORWARDED])
