"""The front's ASGI application: a few routes, matched by hand, with nothing between them and us."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

from gateway.call.relay import PathArguments, Relay
from gateway.errors import GatewayError, InternalError, Overloaded, UnknownRoute
from gateway.formats.contract import Format
from gateway.http.exchange import Exchange, Header, Receive, Scope, Send
from gateway.http.json_array import as_array
from gateway.routes.count_tokens import TokenCounting
from gateway.routes.gemini_paths import (
    MODELS,
    OPENAI_PREFIX,
    ModelAction,
    is_gemini,
    model_action,
    unknown_action,
    wants_array,
)
from gateway.routes.health import Health
from gateway.routes.models import Models, format_of_caller
from gateway.routes.stored_responses import RESPONSES, StoredResponseRoutes
from ledger.ids import charge_id

_FORMAT_OF = {
    "/v1/chat/completions": "openai_chat",
    "/v1/completions": "openai_completions",
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic_messages",
    "/v1/messages/count_tokens": "anthropic_messages",
}
"""In whose words errors of a path are told; at others it depends on who asks."""

_PREFLIGHT_LASTS_S = 86_400
_NAMES = re.compile(r"[A-Za-z0-9_, -]{1,4096}")

Handler = Callable[[Exchange], Awaitable[None]]


class Gateway:
    """Serves the relay routes, the models list and the health checks."""

    def __init__(
        self,
        formats: Mapping[str, Format],
        relays: Mapping[str, Relay],
        counting: Mapping[str, TokenCounting],
        models: Models,
        kept: StoredResponseRoutes,
        health: Health,
    ) -> None:
        self._kept = kept
        self._formats = formats
        self._gemini = relays["gemini"]
        self._count_gemini = counting["gemini"]
        self._routes: dict[str, Mapping[str, Handler]] = {
            "/v1/chat/completions": {"POST": relays["openai_chat"].serve},
            "/v1/completions": {"POST": relays["openai_completions"].serve},
            "/v1/responses": {"POST": relays["openai_responses"].serve},
            "/v1/responses/compact": {"POST": relays["compact"].serve},
            "/v1/messages": {"POST": relays["anthropic_messages"].serve},
            "/v1/messages/count_tokens": {"POST": counting["anthropic_messages"].serve},
            "/": {"HEAD": _here},
            "/v1/models": {"GET": models.serve, "HEAD": models.serve},
            "/v1beta/models": {"GET": models.serve, "HEAD": models.serve},
            "/livez": {"GET": health.live, "HEAD": health.live},
            "/readyz": {"GET": health.ready, "HEAD": health.ready},
        }
        self._one_model: Mapping[str, Handler] = {"GET": models.serve, "HEAD": models.serve}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, HTTP only."""
        exchange = Exchange(scope, receive, send, charge_id())
        methods = self._methods(exchange.path)
        handler = methods.get(exchange.method) if methods else None
        try:
            if handler is None:
                await self._answer_ourselves(exchange, methods)
            else:
                await handler(exchange)
        except BaseException:
            # A bug: the client gets its format, the server's log gets the story.
            if not exchange.has_started:
                await self._tell(exchange, InternalError("something went wrong here"))
            raise

    async def busy(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: tell whoever asks, in their format, that their call cannot be taken now.

        Their connection is closed: it is what others wait for.
        """
        exchange = Exchange(scope, receive, send, charge_id())
        error = Overloaded("too many calls are under way", retry_after_s=1)
        await self._tell(exchange, error, [(b"connection", b"close")])

    def _methods(self, path: str) -> Mapping[str, Handler] | None:
        """What a path answers, by method."""
        if path.startswith(OPENAI_PREFIX):
            path = "/v1/" + path.removeprefix(OPENAI_PREFIX)
        methods = self._routes.get(path)
        if methods is None and path.startswith(MODELS):
            asked = model_action(path)
            return self._one_model if asked is None else {"POST": self._about(asked)}
        if methods is None and path.startswith(RESPONSES):
            return self._kept.methods(path)
        return methods

    def _about(self, asked: ModelAction) -> Handler:
        """What is asked of a model, in Gemini's way to address it."""
        if asked.action == "countTokens":
            return self._count_gemini.serve
        streams = asked.action == "streamGenerateContent"
        path = PathArguments(asked.model, streams, _told_as_asked if streams else _told_whole)
        return partial(self._gemini.serve, path=path)

    async def _answer_ourselves(
        self, exchange: Exchange, methods: Mapping[str, Handler] | None
    ) -> None:
        """A browser's question before the real one, or a refusal."""
        if methods is None:
            error = UnknownRoute(f"unknown request URL: {exchange.method} {exchange.path[:200]}")
            await self._tell(exchange, error)
            return
        action = unknown_action(exchange.path) if exchange.method == "POST" else ""
        if action:
            error = UnknownRoute(f"the action {action[:64]!r} of models is not offered here")
            await self._respond("gemini", exchange, error)
            return
        allowed = ", ".join(sorted([*methods, "OPTIONS"])).encode()
        if exchange.method == "OPTIONS":
            await exchange.start(204, _preflight(exchange, allowed))
            await exchange.end()
            return
        error = UnknownRoute(
            f"{exchange.method} is not allowed here", status=HTTPStatus.METHOD_NOT_ALLOWED
        )
        await self._tell(exchange, error, [(b"allow", allowed)])

    async def _tell(
        self, exchange: Exchange, error: GatewayError, more: Sequence[Header] = ()
    ) -> None:
        await self._respond(format_of(exchange), exchange, error, more)

    async def _respond(
        self,
        format_name: str,
        exchange: Exchange,
        error: GatewayError,
        more: Sequence[Header] = (),
    ) -> None:
        client_format = self._formats[format_name]
        status, headers, body = client_format.error_body(error, exchange.request_id)
        await exchange.respond(status, [*headers, *more], body)


def format_of(exchange: Exchange) -> str:
    """The format in which an exchange is told what is wrong with its address or with us."""
    path = exchange.path
    if path.startswith(OPENAI_PREFIX):
        path = "/v1/" + path.removeprefix(OPENAI_PREFIX)
    elif is_gemini(path):
        return "gemini"
    if path.startswith(RESPONSES):
        path = RESPONSES.rstrip("/")
    return _FORMAT_OF.get(path) or format_of_caller(exchange)


def _preflight(exchange: Exchange, allowed: bytes) -> list[Header]:
    """What the Fetch standard has a browser ask first; the answer to it opens nothing by itself."""
    asked = exchange.header(b"access-control-request-headers") or ""
    return [
        (b"allow", allowed),
        (b"access-control-allow-methods", allowed),
        # A wildcard would not cover `Authorization`.
        (b"access-control-allow-headers", asked.encode() if _NAMES.fullmatch(asked) else b"*"),
        (b"access-control-max-age", str(_PREFLIGHT_LASTS_S).encode()),
        (b"vary", b"Access-Control-Request-Headers"),
    ]


def _told_as_asked(exchange: Exchange) -> None:
    """A stream is an array, unless events are asked for. Raises InvalidRequest."""
    if wants_array(exchange.query):
        exchange.send_through(as_array)


def _told_whole(_exchange: Exchange) -> None:
    """There is one way to tell a whole answer."""


async def _here(exchange: Exchange) -> None:
    """Some clients look whether anybody is there before they ask anything."""
    await exchange.respond(200, [], b"")
