"""What a worker's server calls: the desk under /api/, the gateway for everything else."""

import asyncio
from collections.abc import Awaitable, Callable

from admin_api.http.application import PREFIX
from gateway.http.exchange import Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEALTH_PATHS = ("/livez", "/readyz")
_NOT_YET = (
    b'{"error":{"message":"This gateway is starting; try again in a moment.",'
    b'"type":"server_error","param":null,"code":"starting"}}'
)
_NOT_YET_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_NOT_YET)).encode()),
    (b"retry-after", b"1"),
]


class RootApp:
    """The root ASGI callable. Until `ready` is set only the health checks are answered."""

    def __init__(self, gateway: App, desk: App, ready: asyncio.Event) -> None:
        self._gateway = gateway
        self._desk = desk
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. The parts are opened and closed by the worker, so a lifespan holds nothing."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path: str = scope["path"]
        if not self._ready.is_set() and path not in _HEALTH_PATHS:
            await _refuse(send)
        elif path == "/api" or path.startswith("/api/"):
            await self._desk({**scope, "root_path": PREFIX}, receive, send)
        else:
            await self._gateway(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": _NOT_YET_HEADERS})
    await send({"type": "http.response.body", "body": _NOT_YET})
