"""A worker with the real HTTP server and an application that says what reached it.

Started as `python echo_worker.py <fd of a listening socket>`; limits are small, for tests.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from tollgate.server.http_head import ConnectionLimits
from tollgate.server.http_server import Server, server_config

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

LIMITS = ConnectionLimits(
    first_byte_s=0.4,
    head_s=0.4,
    idle_s=0.8,
    linger_s=0.3,
    half_closed_s=0.6,
    write_stall_s=0.6,
    pipelined_max=20,
)


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path = scope["path"]
    if path == "/early":
        await answer(send, 401, {"early": True})
        return
    if path == "/endless":
        await endless(send)
        return
    if path == "/slow":
        await asyncio.sleep(0.25)
    if path == "/never":
        await never(receive)
        return
    body = bytearray()
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            gone.append(path)
            return
        body += message["body"]
        more_body = message["more_body"]
    seen = {
        "pid": os.getpid(),
        "method": scope["method"],
        "path": path,
        "raw_path": scope["raw_path"].decode("latin-1"),
        "client": scope["client"],
        "headers": [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
        ],
        "body": body[:100].decode("latin-1"),
        "body_bytes": len(body),
        "gone": gone,
    }
    await answer(send, 200, seen)


gone: list[str] = []


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def never(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.append("/never")


async def endless(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(10_000):
        await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer(send: Send, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def serve(listener: socket.socket) -> None:
    server = Server(server_config(application, limits=LIMITS, graceful_shutdown_s=3))
    server.ticks_per_sweep = 1

    def drain() -> None:
        server.should_exit = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drain)
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    config = server_config(application, limits=LIMITS)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve(socket.socket(fileno=int(sys.argv[1]))))
