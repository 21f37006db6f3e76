"""A provider that speaks OpenAI's format over real HTTP, and misbehaves exactly as told.

A request names its script in `metadata.script`; a script is a row of steps: bytes to write as they
are, seconds to wait, RESET, or HANG. So anything that can happen on a socket can be scripted. All
that arrived is kept in `received`.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

HANG_S = 60.0


class _Reset:
    """Breaks the connection with a RST."""


RESET: Final = _Reset()
HANG: Final = HANG_S
Step = bytes | float | _Reset
Script = Sequence[Step]

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
DONE = b"data: [DONE]\n\n"
EVENT_STREAM = {"content-type": "text/event-stream"}


@dataclass(slots=True)
class Received:
    """One request; `is_abandoned` turns true if the caller left before the script's end."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    is_abandoned: bool = False
    method: str = "POST"

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


@dataclass
class FakeProvider:
    """Serves scripts by name; one for `prefix/name` goes before one for `name`.

    `prefix` is the first part of the path, so that several channels can lead to one provider.
    """

    port: int = 0
    scripts: dict[str, Script] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def base_url(self, prefix: str = "a") -> str:
        return f"http://127.0.0.1:{self.port}/{prefix}/v1"

    def calls_of(self, prefix: str) -> list[Received]:
        return [one for one in self.received if one.path.startswith(f"/{prefix}/")]

    def named(self, path: str, body: bytes) -> Script:
        prefix = path.split("/")[1]
        try:
            name = json.loads(body)["metadata"]["script"]
        except (ValueError, KeyError, TypeError):
            name = "fine"
        return self.scripts.get(f"{prefix}/{name}") or self.scripts[name]


Provider = TypeVar("Provider", bound=FakeProvider)


@contextlib.contextmanager
def fake_provider(scripts: Mapping[str, Script] | None = None) -> Iterator[FakeProvider]:
    """A provider on a free port of loopback, in a thread of this process."""
    given = {"fine": whole(), "fine_stream": stream(), **(scripts or {})}
    with serving(FakeProvider(scripts=given)) as provider:
        yield provider


@contextlib.contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """Any provider, served likewise."""
    started = threading.Event()
    stopping: list[Any] = []

    async def serve() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: _converse(provider, reader, writer), "127.0.0.1", 0, backlog=1024
        )
        provider.port = server.sockets[0].getsockname()[1]
        stopped = asyncio.Event()
        stopping.extend((asyncio.get_running_loop(), stopped))
        started.set()
        await stopped.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    started.wait()
    try:
        yield provider
    finally:
        loop, stopped = stopping
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)


# ---------------------------------------------------------------------- scripts


def completion(
    text: str = "a fine answer", usage: object = USAGE, **fields: object
) -> dict[str, Any]:
    """A chat completion; `usage` None leaves it out."""
    document: dict[str, Any] = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": "fake-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        **fields,
    }
    return document if usage is None else {**document, "usage": usage}


def whole(
    content: object = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> Script:
    """One answer of known length: JSON, or bytes as they are; `length` may lie."""
    body = content if isinstance(content, bytes) else _json(content or completion())
    lines = {"content-type": "application/json", **(headers or {})}
    lines["content-length"] = str(len(body) if length is None else length)
    return (head(status, lines) + body,)


def until_closed(body: bytes, *, headers: Mapping[str, str] | None = None) -> Script:
    """An answer that only the end of the connection ends."""
    lines = {"content-type": "application/json", "connection": "close", **(headers or {})}
    return (head(200, lines) + body,)


def stream(
    words: Sequence[str] = ("a", " fine", " answer"),
    *,
    usage: object = USAGE,
    finish: bool = True,
    done: bool = True,
    pause_s: float = 0.0,
) -> Script:
    """A whole stream of events, properly ended on the wire."""
    events: list[bytes] = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": word}) for word in words]
    events += [chunk({}, "stop")] * finish
    events += [_event({**_frame([]), "usage": usage})] * (usage is not None)
    events += [DONE] * done
    steps: list[Step] = [opened()]
    for event in events:
        steps += [event_chunk(event), pause_s]
    return (*steps, b"0\r\n\r\n")


def opened(headers: Mapping[str, str] = EVENT_STREAM, status: int = 200) -> bytes:
    """The head of a chunked answer."""
    return head(status, {"transfer-encoding": "chunked", **headers})


def event_chunk(event: bytes) -> bytes:
    """One event, framed for a chunked answer."""
    return b"%x\r\n%s\r\n" % (len(event), event)


def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
    """One event of a chat completion's stream."""
    return _event(_frame([{"index": 0, "delta": delta, "finish_reason": finish_reason}]))


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {status} Told"] + [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def error(message: str = "told to fail", **fields: object) -> dict[str, Any]:
    """An error object in OpenAI's envelope."""
    return {"error": {"message": message, "type": "server_error", "code": None, **fields}}


def _frame(choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake-model",
        "choices": choices,
    }


def _event(frame: Mapping[str, Any]) -> bytes:
    return b"data: " + _json(frame) + b"\n\n"


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


# ---------------------------------------------------------------------- the conversation


async def _converse(
    provider: FakeProvider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve a connection's requests one after the other."""
    ended = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
    with contextlib.suppress(*ended):
        while True:
            received = await _read_request(reader)
            provider.received.append(received)
            script = provider.named(received.path, received.body)
            if not await _play(script, received, reader, writer):
                return
            if b"content-length" not in script_head(script) and not _is_chunked(script):
                break
    writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = lines[0].split()
    return Received(path, headers, body, method=method)


async def _play(
    script: Script,
    received: Received,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    """Carry out the steps; False if the connection is over."""
    for step in script:
        if isinstance(step, _Reset):
            _reset(writer)
            return False
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step and await _is_left_within(reader, step):
            received.is_abandoned = True
            writer.close()
            return False
    return True


async def _is_left_within(reader: asyncio.StreamReader, pause_s: float) -> bool:
    """Wait; whether the caller closed the connection meanwhile."""
    try:
        return not await asyncio.wait_for(reader.read(1), pause_s)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def script_head(script: Script) -> bytes:
    """The head that a script begins with, in lower case."""
    first = next((step for step in script if isinstance(step, bytes)), b"")
    return first.partition(b"\r\n\r\n")[0].lower()


def _is_chunked(script: Script) -> bool:
    return b"chunked" in script_head(script) and script[-1:] == (b"0\r\n\r\n",)
