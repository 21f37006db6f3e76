"""The front's ASGI application: a few routes, matched by hand, with nothing between them and us."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from gateway.errors import GatewayError, InternalError, UnknownRoute
from gateway.exchange import Exchange, Header, Receive, Scope, Send
from gateway.formats.contract import Format
from gateway.health import Health
from gateway.models import Models
from gateway.relay import Relay
from ledger.ids import charge_id

Handler = Callable[[Exchange], Awaitable[None]]


class Gateway:
    """Serves the relay routes, the models list and the health checks."""

    def __init__(self, wire: Format, chat: Relay, models: Models, health: Health) -> None:
        self._wire = wire
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/chat/completions": {"POST": chat.serve},
            "/v1/models": {"GET": models.serve, "HEAD": models.serve},
            "/livez": {"GET": health.live, "HEAD": health.live},
            "/readyz": {"GET": health.ready, "HEAD": health.ready},
        }
        self._one_model: dict[str, Handler] = {"GET": models.serve, "HEAD": models.serve}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, HTTP only."""
        exchange = Exchange(scope, receive, send, charge_id())
        methods = self._routes.get(exchange.path)
        if methods is None and exchange.path.startswith("/v1/models/"):
            methods = self._one_model
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
        status, headers, body = self._wire.error_body(error, exchange.request_id)
        await exchange.respond(status, [*headers, *more], body)
