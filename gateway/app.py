"""The front's ASGI application: a few routes, matched by hand, with nothing between them and us."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

from gateway.counting import TokenCounting
from gateway.errors import GatewayError, InternalError, UnknownRoute
from gateway.exchange import Exchange, Header, Receive, Scope, Send
from gateway.formats.contract import Format
from gateway.gemini_paths import OPENAI_PREFIX, ModelAction, model_action
from gateway.health import Health
from gateway.models import Models
from gateway.relay import Place, Relay
from ledger.ids import charge_id

_DIALECT_OF = {
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic_messages",
    "/v1/messages/count_tokens": "anthropic_messages",
}
"""In whose words errors of a path are told, where that is not OpenAI's."""

Handler = Callable[[Exchange], Awaitable[None]]


class Gateway:
    """Serves the relay routes, the models list and the health checks."""

    def __init__(
        self,
        formats: Mapping[str, Format],
        relays: Mapping[str, Relay],
        counting: Mapping[str, TokenCounting],
        models: Models,
        health: Health,
    ) -> None:
        self._formats = formats
        self._gemini = relays["gemini"]
        self._count_gemini = counting["gemini"]
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/chat/completions": {"POST": relays["openai_chat"].serve},
            "/v1/completions": {"POST": relays["openai_completions"].serve},
            "/v1/responses": {"POST": relays["openai_responses"].serve},
            "/v1/messages": {"POST": relays["anthropic_messages"].serve},
            "/v1/messages/count_tokens": {"POST": counting["anthropic_messages"].serve},
            "/": {"HEAD": _here},
            "/v1/models": {"GET": models.serve, "HEAD": models.serve},
            "/v1beta/models": {"GET": models.serve, "HEAD": models.serve},
            "/livez": {"GET": health.live, "HEAD": health.live},
            "/readyz": {"GET": health.ready, "HEAD": health.ready},
        }
        self._one_model: dict[str, Handler] = {"GET": models.serve, "HEAD": models.serve}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, HTTP only."""
        exchange = Exchange(scope, receive, send, charge_id())
        methods = self._methods(exchange.path)
        handler = methods.get(exchange.method) if methods else None
        try:
            if handler is None:
                await self._refuse(exchange, methods)
            else:
                await handler(exchange)
        except BaseException:
            # A bug: the client gets its dialect, the server's log gets the story.
            if not exchange.has_started:
                await self._tell(exchange, InternalError("something went wrong here"))
            raise

    def _methods(self, path: str) -> dict[str, Handler] | None:
        """What a path answers, by method."""
        if path.startswith(OPENAI_PREFIX):
            path = "/v1/" + path.removeprefix(OPENAI_PREFIX)
        methods = self._routes.get(path)
        if methods is None and path.startswith(("/v1/models/", "/v1beta/models/")):
            asked = model_action(path)
            return self._one_model if asked is None else {"POST": self._about(asked)}
        return methods

    def _about(self, asked: ModelAction) -> Handler:
        """What is asked of a model, in Gemini's way to address it."""
        if asked.action == "countTokens":
            return self._count_gemini.serve
        place = Place(asked.model, asked.action == "streamGenerateContent")
        return partial(self._gemini.serve, place=place)

    async def _refuse(self, exchange: Exchange, methods: dict[str, Handler] | None) -> None:
        if methods is None:
            error = UnknownRoute(f"unknown request URL: {exchange.method} {exchange.path[:200]}")
        else:
            error = UnknownRoute(
                f"{exchange.method} is not allowed here", status=HTTPStatus.METHOD_NOT_ALLOWED
            )
        allow = [(b"allow", ", ".join(sorted(methods)).encode())] if methods else []
        await self._tell(exchange, error, allow)

    async def _tell(
        self, exchange: Exchange, error: GatewayError, more: Sequence[Header] = ()
    ) -> None:
        wire = self._formats[_dialect_of(exchange.path)]
        status, headers, body = wire.error_body(error, exchange.request_id)
        await exchange.respond(status, [*headers, *more], body)


def _dialect_of(path: str) -> str:
    if path.startswith("/v1beta/") and not path.startswith(OPENAI_PREFIX):
        return "gemini"
    return _DIALECT_OF.get(path, "openai_chat")


async def _here(exchange: Exchange) -> None:
    """Some clients look whether anybody is there before they ask anything."""
    await exchange.respond(200, [], b"")
