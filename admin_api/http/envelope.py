"""What surrounds every exchange, as plain ASGI: a request id, a bounded body, no caching."""

from collections.abc import Iterable, Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.http.problems import MEDIA_TYPE, problem, surrounding_headers
from ledger.ids import charge_id

BODY_MAX_BYTES = 1_000_000
BodySizes = Mapping[tuple[str, str], int]
"""By method and path: how many bytes a body may have."""


class Envelope:
    """Mints the request id, reads the body before anything else happens, adds headers.

    `prefix` is where the application lives, for a door that hands over paths as they came.
    `larger_bodies`: what takes more than BODY_MAX_BYTES.
    """

    def __init__(self, app: ASGIApp, prefix: str, larger_bodies: BodySizes) -> None:
        self._app = app
        self._prefix = prefix
        self._larger_bodies = larger_bodies

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

        route = (scope["method"], scope["path"].removeprefix(self._prefix))
        most = self._larger_bodies.get(route, BODY_MAX_BYTES)
        refusal = _refused_unread(scope, most)
        if refusal is None:
            body = await _read(receive, most)
            if body is None:
                return
            if len(body) <= most:
                await self._app(scope, _given(body, receive), send_with_headers)
                return
            refusal = _too_large(most)
        status, code, detail = refusal
        content, headers = problem(status, code, detail, request_id=request_id)
        # The rest of the body was not read, so the connection cannot be used again.
        headers["connection"] = "close"
        answer = JSONResponse(content, status, headers, media_type=MEDIA_TYPE)
        await answer(scope, receive, send_with_headers)


def _surrounded(
    headers: Iterable[tuple[bytes, bytes]], request_id: str
) -> list[tuple[bytes, bytes]]:
    """With what every answer carries; what the route itself says of a header stands."""
    own = list(headers)
    named = {name.lower() for name, _ in own}
    return own + [each for each in surrounding_headers(request_id) if each[0] not in named]


_ENCODED = (415, "unsupported_media_type", "Send the body without Content-Encoding.")


def _too_large(most: int) -> tuple[int, str, str]:
    return 413, "request_too_large", f"A body may have up to {most} bytes."


def _refused_unread(scope: Scope, most: int) -> tuple[int, str, str] | None:
    """Status, code and detail where the headers alone say that the body is not wanted."""
    headers = dict(scope["headers"])
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return _ENCODED
    length = headers.get(b"content-length", b"0")
    return _too_large(most) if not length.isdigit() or int(length) > most else None


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body, or just more of it than is allowed; None when the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most or not message.get("more_body", False):
            return bytes(body)


def _given(body: bytes, receive: Receive) -> Receive:
    """A receive that hands out the body once and then whatever the connection says."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_given() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_given
