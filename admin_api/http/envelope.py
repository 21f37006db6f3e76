"""What surrounds every exchange, as plain ASGI: a request id, a bounded body, no caching.

A body is read from those only whose credential opens something, within bounds of size, time and
rate: what others send is not waited for, and takes no memory.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus

import psycopg
import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.errors import UNAVAILABLE, NotCaughtUp, Unauthorized
from admin_api.http.problems import MEDIA_TYPE, NO_TOKEN, problem, surrounding_headers
from ledger.ids import charge_id

log = structlog.get_logger()

BODY_MAX_BYTES = 1_000_000
BODY_WITHIN_S = 300.0
GRACE_S = 5.0
"""Time before the rate is looked at."""
BYTES_PER_S_MIN = 1_000.0
Refusal = tuple[int, str, str]
"""Status, code and detail."""
BodySizes = Mapping[tuple[str, str], int]
"""By method and path: how many bytes a body may have."""


class Envelope:
    """Mints the request id, reads the body of who may send one, adds headers.

    `prefix` is where the application lives, for a door that hands over paths as they came.
    `larger_bodies`: what takes more than BODY_MAX_BYTES. `is_somebody`: whether the credential of
    a request opens anything; raises NotCaughtUp and psycopg.Error when it is not known.
    """

    def __init__(
        self,
        app: ASGIApp,
        prefix: str,
        larger_bodies: BodySizes,
        is_somebody: Callable[[Scope], Awaitable[bool]],
    ) -> None:
        self._app = app
        self._prefix = prefix
        self._larger_bodies = larger_bodies
        self._is_somebody = is_somebody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(charge_id())
        scope["root_path"] = scope.get("root_path") or self._prefix
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _surrounded(message["headers"], request_id)
            await send(message)

        taken = await self._taken(scope, receive)
        if taken is None:
            return
        if isinstance(taken, bytes):
            await self._app(scope, _given(taken, receive), send_with_headers)
            return
        status, code, detail = taken
        content, headers = problem(status, code, detail, request_id=request_id)
        # The rest of the body was not read, so the connection cannot be used again.
        headers["connection"] = "close"
        answer = JSONResponse(content, status, headers, media_type=MEDIA_TYPE)
        await answer(scope, receive, send_with_headers)

    async def _taken(self, scope: Scope, receive: Receive) -> bytes | Refusal | None:
        """The body, or why it is not taken; None when the client went away."""
        if not _has_body(scope):
            return b""
        try:
            is_somebody = await self._is_somebody(scope)
        except (NotCaughtUp, psycopg.Error) as error:
            log.warning("desk.database_away", error=str(error))
            code = "store_unavailable"
            return HTTPStatus.SERVICE_UNAVAILABLE, code, UNAVAILABLE[code]
        if not is_somebody:
            return HTTPStatus.UNAUTHORIZED, Unauthorized.code, NO_TOKEN
        route = (scope["method"], scope["path"].removeprefix(self._prefix))
        most = self._larger_bodies.get(route, BODY_MAX_BYTES)
        return _refused_unread(scope, most) or await _read(receive, most)


def _surrounded(
    headers: Iterable[tuple[bytes, bytes]], request_id: str
) -> list[tuple[bytes, bytes]]:
    """With what every answer carries; what the route itself says of a header stands."""
    own = list(headers)
    named = {name.lower() for name, _ in own}
    return own + [each for each in surrounding_headers(request_id) if each[0] not in named]


_ENCODED = (415, "unsupported_media_type", "Send the body without Content-Encoding.")


_LATE = (408, "request_timeout", "The body did not arrive in time.")


def _too_large(most: int) -> Refusal:
    return 413, "request_too_large", f"A body may have up to {most} bytes."


def _has_body(scope: Scope) -> bool:
    """Whether the headers say that a body follows (RFC 9112, 6.3)."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _refused_unread(scope: Scope, most: int) -> Refusal | None:
    """A refusal where the headers alone say that the body is not wanted."""
    headers = dict(scope["headers"])
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return _ENCODED
    length = headers.get(b"content-length", b"0")
    return _too_large(most) if not length.isdigit() or int(length) > most else None


async def _read(receive: Receive, most: int) -> bytes | Refusal | None:
    """The body, or why it is not read any further; None when the client went away."""
    body = bytearray()
    began_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began_s + GRACE_S) as deadline:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > most:
                    return _too_large(most)
                if not message.get("more_body", False):
                    return bytes(body)
                earned_s = GRACE_S + len(body) / BYTES_PER_S_MIN
                deadline.reschedule(began_s + min(earned_s, BODY_WITHIN_S))
    except TimeoutError:
        return _LATE


def _given(body: bytes, receive: Receive) -> Receive:
    """A receive that hands out the body once and then whatever the connection says."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_given() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_given
