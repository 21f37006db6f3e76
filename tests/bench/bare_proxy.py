"""The yardstick: a raw ASGI proxy over aiohttp, no key, no price, no books.

Run it as `python -m tests.bench.bare_proxy URL`; it prints its port and serves until killed. Same
server, loop and HTTP client as the gateway, with nothing in between.
"""

import asyncio
import socket
import sys

import aiohttp
import uvloop

from gateway.http.exchange import Receive, Scope, Send
from tollgate.server.http_server import Server, server_config

_JSON = (b"content-type", b"application/json")
_EVENT_STREAM = (b"content-type", b"text/event-stream")
_FORWARDED = {"content-type": "application/json", "authorization": "Bearer none"}


class _Proxy:
    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        body = await _read(receive)
        async with self._session.post(self._url, data=body, headers=_FORWARDED) as answer:
            if b'"stream":true' in body:
                await _pass_on(answer, send)
                return
            content = await answer.read()
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length]})
        await send({"type": "http.response.body", "body": content})


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _pass_on(answer: aiohttp.ClientResponse, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [_EVENT_STREAM]})
    async for piece in answer.content.iter_any():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _serve(url: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)
    await Server(server_config(_Proxy(url))).serve([listening])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1]))
