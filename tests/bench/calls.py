"""Calls through the gateway and through the bare proxy, side by side in one run."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import uvloop

from tests.bench.load import Measured, drive, percentile_ms, post
from tests.bench.serving import MODEL, Stage, Target

_PATH = "/v1/chat/completions"
_QUESTION = (
    "Explain in plain words why the sky is blue, why it turns red in the evening, and what that "
    "has to do with the length of the way that the light takes through the air. Please give an "
    "example that a child of ten years would understand."
)
_SYSTEM = "You are a helpful assistant that answers in one short paragraph."
_CALL = {
    "model": MODEL,
    "max_tokens": 200,
    "messages": [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _QUESTION},
    ],
}


@dataclass(slots=True)
class Calls:
    """Drives both targets, and counts what was billed."""

    stage: Stage
    seconds: float
    warm_s: float
    billed: int = 0
    failures: int = 0
    loads: list[float] = field(default_factory=list)

    def whole(self, connections: int) -> dict[str, Any]:
        """Answers in one piece, over so many connections."""
        bare, billed = self._both(connections, is_stream=False)
        added = {
            f"added_p{percent}_ms": round(
                percentile_ms(billed.latencies_s, percent)
                - percentile_ms(bare.latencies_s, percent),
                3,
            )
            for percent in (50, 99)
        }
        return {**self._told(bare, billed), **added}

    def streams(self, connections: int) -> dict[str, Any]:
        """Streams, over so many connections."""
        bare, billed = self._both(connections, is_stream=True)
        told = self._told(bare, billed)
        for name, measured in (("bare", bare), ("billed", billed)):
            told[name]["events_per_second"] = round(measured.events_per_second)
            told[name]["first_byte_p50_ms"] = percentile_ms(measured.first_bytes_s, 50)
        added_ms = percentile_ms(billed.first_bytes_s, 50) - percentile_ms(bare.first_bytes_s, 50)
        return {**told, "added_first_byte_p50_ms": round(added_ms, 3)}

    def _both(self, connections: int, *, is_stream: bool) -> tuple[Measured, Measured]:
        bare = self._drive(self.stage.bare, connections, is_stream)
        billed = self._drive(self.stage.billed, connections, is_stream)
        self.billed += billed.sent
        return bare, billed

    def _drive(self, target: Target, connections: int, is_stream: bool) -> Measured:
        request = request_to(target, is_stream=is_stream)
        before_s = target.cpu_s()
        measured = uvloop.run(drive(target.port, request, connections, self.seconds, self.warm_s))
        measured.cpu_s = target.cpu_s() - before_s
        self.failures += measured.failures
        self.loads.append(os.getloadavg()[0])
        return measured

    def _told(self, bare: Measured, billed: Measured) -> dict[str, Any]:
        return {
            "bare": _summary(bare),
            "billed": _summary(billed),
            "share_of_bare": round(billed.per_second / bare.per_second, 3),
            "share_of_bare_by_cpu": round(bare.cpu_us_per_call / billed.cpu_us_per_call, 3),
        }


def request_to(target: Target, *, is_stream: bool) -> bytes:
    """The bytes of the one request that everything is measured with."""
    call = {**_CALL, "stream": True} if is_stream else _CALL
    body = json.dumps(call, separators=(",", ":")).encode()
    return post(_PATH, body, target.key)


def _summary(measured: Measured) -> dict[str, Any]:
    return {
        "per_second": round(measured.per_second),
        "p50_ms": percentile_ms(measured.latencies_s, 50),
        "p99_ms": percentile_ms(measured.latencies_s, 99),
        "cpu_us_per_call": round(measured.cpu_us_per_call),
        "per_cpu_second": round(1e6 / measured.cpu_us_per_call),
    }
