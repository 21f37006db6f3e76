"""What surrounds every exchange, as plain ASGI: a request id, a bounded body, no caching."""

from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin_api.problems import MEDIA_TYPE, problem
from ledger.ids import charge_id

BODY_MAX_BYTES = 1_000_000


class Envelope:
    """Mints the request id, refuses bodies that are too large or encoded, adds headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(charge_id())
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        exchange = _Exchange(request_id, receive, send)
        headers = dict(scope["headers"])
        encoding = headers.get(b"content-encoding", b"identity").lower()
        length = headers.get(b"content-length", b"0")
        if encoding != b"identity":
            await exchange.refuse(scope, 415, "unsupported_media_type", "Send the body as it is.")
        elif not length.isdigit() or int(length) > BODY_MAX_BYTES:
            await exchange.refuse_size(scope)
        else:
            await self._serve(scope, exchange)

    async def _serve(self, scope: Scope, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            if exchange.is_too_large and not exchange.has_begun:
                await exchange.refuse_size(scope)


class _Exchange:
    """One request and its answer, watched while they pass."""

    def __init__(self, request_id: str, receive: Receive, send: Send) -> None:
        self._request_id = request_id
        self._receive = receive
        self._send = send
        self._received_bytes = 0
        self.is_too_large = False
        self.has_begun = False

    async def receive(self) -> Message:
        """The next message; a disconnect instead of more than BODY_MAX_BYTES."""
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > BODY_MAX_BYTES:
            self.is_too_large = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; the answer to a body that was cut is replaced."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            message["headers"] = [*message["headers"], *self._own_headers()]
        await self._send(message)

    async def refuse_size(self, scope: Scope) -> None:
        """413."""
        detail = f"A body may have up to {BODY_MAX_BYTES} bytes."
        await self.refuse(scope, 413, "request_too_large", detail)

    async def refuse(self, scope: Scope, status: int, code: str, detail: str) -> None:
        """Answer with a problem; the body is not read, so the connection cannot be used again."""
        body, headers = problem(status, code, detail, request_id=self._request_id)
        headers["connection"] = "close"
        answer: Any = JSONResponse(body, status, headers, media_type=MEDIA_TYPE)
        await answer(scope, self._receive, self.send)

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-request-id", self._request_id.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
