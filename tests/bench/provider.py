"""A provider that costs next to nothing: a fixed chat completion, whole or as a stream.

Run it as `python -m tests.bench.provider`; it prints its port and serves until killed.
"""

import asyncio
from typing import cast

import msgspec
import uvloop

STREAM_EVENTS = 102
"""Events in one stream: a hundred with content, the usage, and the end marker."""

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_ID = "chatcmpl-0123456789abcdefghijklmnopqrs"
_USAGE = {"prompt_tokens": 83, "completion_tokens": 100, "total_tokens": 183}
_WORDS = "The quick brown fox jumps over the lazy dog, and then it rests for a while. "


def _answer() -> bytes:
    body = msgspec.json.encode(
        {
            "id": _ID,
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": _WORDS * 6, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _USAGE,
            "system_fingerprint": "fp_0123456789",
        }
    )
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _stream() -> list[bytes]:
    """The chunks of a stream, its head with the first."""
    frame = {"id": _ID, "object": "chat.completion.chunk", "created": 1_750_000_000}
    frame |= {"model": "gpt-4o-mini"}
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"content": " word"}] * (STREAM_EVENTS - 4)  # a token each, as the usage says
    events = [
        {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    events.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({**frame, "choices": [], "usage": _USAGE})
    texts = [b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events]
    texts.append(b"data: [DONE]\n\n")
    pieces = [f"{len(text):x}\r\n".encode() + text + b"\r\n" for text in texts]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    pieces[0] = head + pieces[0]
    pieces[-1] += b"0\r\n\r\n"
    return pieces


ANSWER = _answer()
STREAM = _stream()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        end = data.find(_HEAD_END)
        if end >= 0:
            at = data.lower().index(_LENGTH) + len(_LENGTH)
            if len(data) >= end + 4 + int(data[at : data.index(b"\r", at)]):
                self._buffer = b""
                if b'"stream":true' in data:
                    self._write(0)
                else:
                    self._transport.write(ANSWER)
                return
        self._buffer = data

    def _write(self, number: int) -> None:
        """One event per write, as providers do; other connections take their turns in between."""
        if self._transport.is_closing():
            return
        self._transport.write(STREAM[number])
        if number + 1 < len(STREAM):
            self._loop.call_soon(self._write, number + 1)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
