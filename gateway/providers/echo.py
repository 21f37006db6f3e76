"""A provider that answers by itself: for the first call on a fresh installation, and for tests.

It repeats the last user message, word by word, and honours `max_tokens` (one word, one token).
`metadata.echo` in the request steers it; terms are separated by spaces or commas:

    fail=500        answer with this status and an error
    usage=1000/200  report these prompt/completion tokens
    no_usage        report no usage
    words=N         answer N words instead of repeating the message
    delay_ms=N      wait before the first byte
    stall_ms=N      wait before every streamed word
    cut_after=N     break off the connection after N streamed words (or in the middle of the body)
    error_after=N   send an error object after N streamed words
    no_done         end the stream without [DONE]
    hang            never answer
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import UpstreamFailed
from gateway.http.upstream import Upstream, UpstreamAnswer
from gateway.providers.contract import NO_SETTINGS, ONE_WORD, USUAL, Attempt

_HANG_S = 3600.0
_WORDS_MAX = 100_000
_COUNTS = {"fail", "words", "delay_ms", "stall_ms", "cut_after", "error_after"}
_encode = msgspec.json.encode


class Echo:
    """Answers without leaving the process."""

    name = "echo"
    base_url = "echo:"
    is_whole_url = False
    needs_key = False
    habits = USUAL
    key_form = ONE_WORD
    spoken = ("openai_chat",)
    settings = NO_SETTINGS

    def formats(self, *_where: object) -> Sequence[str]:
        """Chat completions."""
        return self.spoken

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:  # noqa: ARG002 - a contract
        """Build the answer that the request's `metadata.echo` asks for."""
        document = msgspec.json.decode(attempt.body)
        try:
            orders = _orders(document)
        except ValueError:
            return _failure(400)
        if "hang" in orders:
            await asyncio.sleep(_HANG_S)
        if "delay_ms" in orders:
            await asyncio.sleep(int(orders["delay_ms"]) / 1000)
        if "fail" in orders:
            return _failure(int(orders["fail"]))
        script = _Script(document, orders)
        return script.stream() if attempt.is_stream else script.whole()


class _Script:
    """What is going to be said, and how."""

    def __init__(self, document: Mapping[str, Any], orders: Mapping[str, str]) -> None:
        self._orders = orders
        self._model = document["model"]
        prompt = _last_words(document)
        limit = document.get("max_completion_tokens") or document.get("max_tokens")
        asked = int(orders.get("words", len(prompt) or 1))
        given = min(asked, _WORDS_MAX if limit is None else limit)
        self._is_cut_short = asked > given
        self._words = ["word"] * given if "words" in orders else (prompt or ["(nothing)"])[:given]
        reported = orders.get("usage", f"{_count_words(document)}/{len(self._words)}")
        prompt_tokens, completion_tokens = (int(part) for part in reported.split("/"))
        self._usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }

    def whole(self) -> UpstreamAnswer:
        body = self._frame(
            "chat.completion",
            [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": " ".join(self._words)},
                    "finish_reason": self._finish_reason,
                }
            ],
            usage=None if "no_usage" in self._orders else self._usage,
        )
        encoded = _encode(body)
        if "cut_after" in self._orders:
            return _Echoed(200, "application/json", _cut(encoded))
        return _Echoed(200, "application/json", _once(encoded))

    def stream(self) -> UpstreamAnswer:
        return _Echoed(200, "text/event-stream; charset=utf-8", self._events())

    async def _events(self) -> AsyncIterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        for number, word in enumerate(self._words):
            if "stall_ms" in self._orders:
                await asyncio.sleep(int(self._orders["stall_ms"]) / 1000)
            if number == int(self._orders.get("cut_after", -1)):
                raise UpstreamFailed("the provider broke off its answer")
            if number == int(self._orders.get("error_after", -1)):
                yield _event({"error": {"message": "told to fail", "type": "server_error"}})
                return
            yield self._chunk({"content": f" {word}" if number else word})
        yield self._chunk({}, self._finish_reason)
        if "no_usage" not in self._orders:
            yield _event(self._frame("chat.completion.chunk", [], usage=self._usage))
        if "no_done" not in self._orders:
            yield b"data: [DONE]\n\n"

    @property
    def _finish_reason(self) -> str:
        return "length" if self._is_cut_short else "stop"

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event(self._frame("chat.completion.chunk", [choice], usage=None))

    def _frame(
        self, kind: str, choices: list[dict[str, Any]], usage: dict[str, int] | None
    ) -> dict[str, Any]:
        frame: dict[str, Any] = {
            "id": "chatcmpl-echo",
            "object": kind,
            "created": 0,
            "model": self._model,
            "choices": choices,
        }
        if usage is not None:
            frame["usage"] = usage
        return frame


class _Echoed:
    def __init__(self, status: int, content_type: str, body: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._body = body

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self._body])

    def pieces(self) -> AsyncIterator[bytes]:
        return self._body

    def close(self) -> None:
        """Nothing is open."""


def _orders(document: Mapping[str, Any]) -> dict[str, str]:
    metadata = document.get("metadata")
    text = metadata.get("echo", "") if isinstance(metadata, dict) else ""
    terms = str(text).replace(",", " ").split()
    orders = {name: value for name, _, value in (term.partition("=") for term in terms)}
    for name, value in orders.items():
        if name in _COUNTS and not re.fullmatch(r"[0-9]{1,9}", value):
            raise ValueError(f"{name} takes a number of up to nine digits")
    if "usage" in orders and not re.fullmatch(r"[0-9]{1,15}/[0-9]{1,15}", orders["usage"]):
        raise ValueError("usage takes two numbers")
    return orders


def _failure(status: int) -> UpstreamAnswer:
    body = {"error": {"message": "told to fail", "type": "server_error", "code": None}}
    return _Echoed(status, "application/json", _once(_encode(body)))


def _last_words(document: Mapping[str, Any]) -> list[str]:
    messages = document.get("messages") or [{}]
    return _text(messages[-1]).split()


def _count_words(document: Mapping[str, Any]) -> int:
    return sum(len(_text(message).split()) for message in document.get("messages") or ())


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


def _event(frame: dict[str, Any]) -> bytes:
    return b"data: " + _encode(frame) + b"\n\n"


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _cut(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise UpstreamFailed("the provider broke off its answer")
