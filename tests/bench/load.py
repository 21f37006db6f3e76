"""A load generator small enough not to be the bottleneck: raw HTTP/1.1 over kept connections.

Closed loop: each connection sends its next request as soon as the last answer is whole. It reads
only what this benchmark's servers write: lower-case `content-length`, or a chunked body.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(slots=True)
class Measured:
    """What the clients saw of a window: times in seconds, of answers that ended inside it."""

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    first_bytes_s: list[float] = field(default_factory=list)
    events: int = 0
    failures: int = 0
    sent: int = 0
    """All calls answered, those before and after the window included."""
    cpu_s: float = 0.0
    """Processor time of the server over all of them; whoever drives it fills that in."""

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds

    @property
    def cpu_us_per_call(self) -> float:
        """The server's processor time for one call, in microseconds."""
        return self.cpu_s * 1e6 / max(self.sent, 1)

    @property
    def events_per_second(self) -> float:
        """Server-sent events per second."""
        return self.events / self.seconds


def percentile_ms(times_s: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile, in milliseconds."""
    ordered = sorted(times_s)
    rank = max(0, math.ceil(len(ordered) * percent / 100) - 1)
    return round(ordered[rank] * 1_000, 3) if ordered else math.nan


def post(path: str, body: bytes, key: str = "none") -> bytes:
    """The bytes of one request."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def drive(
    port: int, request: bytes, connections: int, seconds: float, warm_s: float
) -> Measured:
    """Send `request` for a while on so many connections; the first `warm_s` do not count."""
    loop = asyncio.get_running_loop()
    measured = Measured()
    clients = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(
            lambda: _Client(request, measured), "127.0.0.1", port
        )
        clients.append(protocol)
    await asyncio.sleep(warm_s)
    skipped = (len(measured.latencies_s), len(measured.first_bytes_s), measured.events)
    started_s = perf_counter()
    await asyncio.sleep(seconds)
    counted = Measured(
        seconds=perf_counter() - started_s,
        latencies_s=measured.latencies_s[skipped[0] :],
        first_bytes_s=measured.first_bytes_s[skipped[1] :],
        events=measured.events - skipped[2],
    )
    await asyncio.gather(*(client.finish() for client in clients))
    counted.failures, counted.sent = measured.failures, measured.sent
    return counted


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, measured: Measured) -> None:
        self._request = request
        self._measured = measured
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_last = False
        self._buffer = b""
        self._length = -1
        """Bytes of the whole answer; 0 while it is chunked, -1 before its head is whole."""
        self._begun_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._length < 0:
            data = self._buffer = self._buffer + data
            end = data.find(_HEAD_END)
            if end < 0:
                return
            at = data.find(_LENGTH, 0, end)
            if at < 0:
                self._length = 0
            else:
                at += len(_LENGTH)
                self._length = end + 4 + int(data[at : data.find(b"\r", at)])
            if not data.startswith(b"HTTP/1.1 200"):
                self._measured.failures += 1
            if len(data) > end + 4:
                self._measured.first_bytes_s.append(perf_counter() - self._begun_s)
            if self._length:
                self._end_if(len(data) >= self._length)
                return
        elif self._length:
            self._buffer += data
            self._end_if(len(self._buffer) >= self._length)
            return
        self._measured.events += data.count(b"data: ")
        self._buffer = self._buffer[-4:] + data if len(data) < 5 else data
        self._end_if(self._buffer.endswith(_LAST_CHUNK))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self._ended.done():
            self._measured.failures += 1
            self._ended.set_result(None)

    async def finish(self) -> None:
        """Let the answer under way be the last one."""
        self._is_last = True
        await self._ended

    def _send(self) -> None:
        self._buffer = b""
        self._length = -1
        self._begun_s = perf_counter()
        self._transport.write(self._request)

    def _end_if(self, is_whole: bool) -> None:
        if not is_whole:
            return
        self._measured.latencies_s.append(perf_counter() - self._begun_s)
        self._measured.sent += 1
        if not self._is_last:
            self._send()
        elif not self._ended.done():
            self._ended.set_result(None)
            self._transport.close()
