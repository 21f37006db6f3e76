"""What a worker's server calls: the desk under /api/, the gateway for everything else."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from admin_api.http.application import PREFIX
from gateway.http.exchange import Receive, Scope, Send
from gateway.routes.gemini_paths import MODELS, OPENAI_PREFIX
from gateway.routes.stored_responses import RESPONSES
from ledger import clock
from tollgate.server import open_files

log = structlog.get_logger()

App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEALTH_PATHS = ("/livez", "/readyz")
_SAY_AGAIN_S = 1.0
_NAMES_FOLLOW = tuple(
    prefix.encode() for prefix in (f"{PREFIX}/", *MODELS, f"{OPENAI_PREFIX}models/", RESPONSES)
)
"""Beginnings of paths in which names follow that may hold slashes."""
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
    """The root ASGI callable. Until `ready` is set only the health checks are answered.

    `busy` tells clients of the gateway, each in their format, that a call cannot be taken now;
    `files_used`: how many files this process has open, about.
    """

    def __init__(self, gateway: App, busy: App, desk: App, ready: asyncio.Event) -> None:
        self._gateway = gateway
        self._busy = busy
        self._desk = desk
        self._ready = ready
        self._files_max = open_files.most() - open_files.KEPT_FREE
        self._said_s = -_SAY_AGAIN_S
        self.files_used: Callable[[], int] = _none

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. The parts are opened and closed by the worker, so a lifespan holds nothing."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = _path(scope)
        if path is not scope["path"]:
            scope = {**scope, "path": path}
        if not self._ready.is_set() and path not in _HEALTH_PATHS:
            await _refuse(send)
        elif self.files_used() > self._files_max and path not in _HEALTH_PATHS:
            self._say_that_it_is_full()
            await self._busy(scope, receive, send)
        elif path == "/api" or path.startswith("/api/"):
            await self._desk({**scope, "root_path": PREFIX}, receive, send)
        else:
            await self._gateway(scope, receive, send)

    def _say_that_it_is_full(self) -> None:
        now_s = clock.monotonic_s()
        if now_s - self._said_s >= _SAY_AGAIN_S:
            self._said_s = now_s
            log.error(
                "server.too_many_open_files",
                used=self.files_used(),
                most=self._files_max,
                consequence="calls are refused",
                remedy="raise the limit of open files, or add nodes",
            )


def _path(scope: Scope) -> str:
    """The path, decoded, but for one whose slashes are hidden where no name of a model or another
    thing stands: what others keep to themselves by its beginning must not be reached by another.
    """
    path: str = scope["path"]
    raw: bytes = scope["raw_path"]
    if b"%2" not in raw or b"%2f" not in raw.lower() or raw.startswith(_NAMES_FOLLOW):
        return path
    return raw.decode("latin-1")


def _none() -> int:
    return 0


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": _NOT_YET_HEADERS})
    await send({"type": "http.response.body", "body": _NOT_YET})
