"""The HTTP server: uvicorn, over connections that keep our bounds.

Deadlines cost nothing per request: one sweep a second looks at all connections.
"""

import asyncio
import contextlib
import importlib.util
import math
from collections.abc import Awaitable, Callable, Generator

import uvicorn

from tollgate.server.http_head import (
    ConnectionLimits,
)
from tollgate.server.http_protocol import HttpConfig, HttpProtocol

DEFAULT_LIMITS = ConnectionLimits()


def server_config(
    app: Callable[..., Awaitable[None]],
    *,
    limits: ConnectionLimits = DEFAULT_LIMITS,
    graceful_shutdown_s: int | None = None,
) -> HttpConfig:
    """The one way this program serves HTTP; the listening sockets are given to `Server.serve`.

    `app` is an ASGI 3 callable that answers lifespan events. `graceful_shutdown_s` bounds the
    drain; None waits for the last answer however long it takes.
    """
    config = HttpConfig(
        app,
        http=HttpProtocol,
        loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        ws="none",
        lifespan="on",
        interface="asgi3",
        workers=1,  # uvicorn would read its number from the environment
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # whose word about addresses counts is decided behind this door
        backlog=2048,
        timeout_keep_alive=math.ceil(limits.idle_s),
        timeout_graceful_shutdown=graceful_shutdown_s,
    )
    config.limits = limits
    return config


class Server(uvicorn.Server):
    """A server that leaves signals to its worker, which drains it by setting `should_exit`."""

    ticks_per_sweep = 10
    """uvicorn ticks every 100 ms."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def files_used(self) -> int:
        """How many files connections and calls have open, or soon will: a call that is being
        answered takes a connection to its provider besides its client's.
        """
        return len(self.server_state.connections) + len(self.server_state.tasks)

    async def on_tick(self, counter: int) -> bool:
        if counter % self.ticks_per_sweep == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, HttpProtocol) and connection.deadline_s < now_s:
                    connection.expire()
        return await super().on_tick(counter)
