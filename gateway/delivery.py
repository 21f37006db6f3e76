"""Giving the answer to the client, and closing its charge before the client can see the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from gateway.attempts import Opened, elapsed_ms
from gateway.charges import OpenCharge
from gateway.cutting import Cut
from gateway.errors import (
    GatewayError,
    InsufficientQuota,
    Overloaded,
    UpstreamFailed,
)
from gateway.exchange import Exchange
from gateway.formats.contract import Answer, ChatCall, Format, Piece, StreamReader
from gateway.tokens import Tokenizer
from ledger.pricing import Price, worst_case_nanos
from ledger.streams.charge.events import Basis
from ledger.streams.charge.rules import Settle
from ledger.usage import Usage

log = structlog.get_logger()

_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store")]
_EVENT_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_PASSING = ("content", "comment")
_DRAINED = "client_gone_drained"
_MORE_OUTPUT_TOKENS = 4_096
"""How much further a stream is covered each time its hold grows."""
_LOOK_AGAIN_TOKENS = 64
_BEYOND_LIMIT_TOKENS = 256
_NOT_STOPPING = "the provider does not stop at the limit of output tokens"


@dataclass(frozen=True, slots=True)
class Drains:
    """How long, and for how many, we read on after a client has left."""

    within_s: float = 120.0
    at_once_max: int = 50


@dataclass(slots=True)
class Ending:
    """How a stream ended: a code for the books, and what the client is told if it broke."""

    code: str = "complete"
    error: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class Delivering:
    """One call with its opened answer, on its way to the client."""

    exchange: Exchange
    call: ChatCall
    price: Price
    charge: OpenCharge
    opened: Opened
    cut: Cut


class Metered(NamedTuple):
    """What is billed, and how we know."""

    usage: Usage
    basis: Basis
    anomaly: str


class Delivery:
    """Delivers what was opened, over one wire format."""

    def __init__(self, wire: Format, tokenizer: Tokenizer, drains: Drains) -> None:
        self._wire = wire
        self._tokenizer = tokenizer
        self._drains = drains
        self._draining: set[Cut] = set()

    async def deliver(self, one: Delivering) -> None:
        """Give the answer to the client, and close the charge.

        Raises Overloaded when a whole answer's settlement is not durable in time; the client then
        has nothing, and nothing stays charged.
        """
        if one.opened.reader is not None:
            await self._stream(one, one.opened.reader)
        else:
            assert one.opened.answer is not None
            await self._whole(one, one.opened.answer)

    async def _whole(self, one: Delivering, answer: Answer) -> None:
        """The body is held back until the settlement is durable."""
        count = partial(self._tokenizer.count, one.call.model, answer.output_texts)
        metered = await self._meter(one, answer.usage, answer.anomaly, count)
        if not await one.charge.settle_in_time(_settle(one, metered, "complete")):
            one.charge.give_back_when_settled()
            raise Overloaded("the charge could not be recorded in time", retry_after_s=5)
        if one.call.stream:
            await one.exchange.start(200, _EVENT_STREAM)
            await one.exchange.end(one.opened.body)
        else:
            await one.exchange.respond(200, _JSON, one.opened.body)

    async def _stream(self, one: Delivering, reader: StreamReader) -> None:
        """Content passes at once; the end waits until the settlement is durable."""
        exchange = one.exchange
        exchange.watch(lambda: self._begin_drain(one.cut))
        await exchange.start(200, _EVENT_STREAM)
        try:
            ending = await self._pass_on(one, reader)
        finally:
            exchange.unwatch()
            self._draining.discard(one.cut)
            one.opened.upstream.close()
        last = await self._close_stream(one, reader, ending)
        await exchange.end(self._wire.stream_error(ending.error) if ending.error else last)

    async def _close_stream(self, one: Delivering, reader: StreamReader, ending: Ending) -> bytes:
        """Close the charge; what the stream ends with. Sets the ending's error if not in time."""
        if ending.error is not None and not reader.saw_content and reader.usage is None:
            attempts = one.opened.final_attempts("cut")
            await one.charge.refund_in_time(ending.code, attempts, attempts[-1].duration_ms)
            return b""
        usage = reader.usage
        if usage is not None and not reader.finished:
            usage = await _at_least_delivered(usage, reader)
        metered = await self._meter(one, usage, reader.anomaly, reader.delivered.count)
        is_told = one.call.wants_usage and reader.usage is None
        last = reader.usage_chunk(metered.usage) if is_told else b""
        code = "client_gone" if one.exchange.is_gone else ending.code
        if not await one.charge.settle_in_time(_settle(one, metered, code)):
            ending.error = Overloaded("the charge could not be recorded in time")
        return last + self._wire.end_marker

    async def _meter(
        self,
        one: Delivering,
        usage: Usage | None,
        anomaly: str | None,
        count_output: Callable[[], int],
    ) -> Metered:
        """The provider's word where there is one, else what was sent and delivered, counted."""
        if usage is not None:
            return Metered(msgspec.structs.replace(usage, calls=1), "measured", anomaly or "")
        prompt = self._wire.prompt(one.call)
        texts_tokens = await asyncio.to_thread(self._tokenizer.count, one.call.model, prompt.texts)
        bound = one.charge.opening.input_tokens_estimated
        counted = Usage(
            input=min(texts_tokens + prompt.fixed_tokens, bound),
            output=await asyncio.to_thread(count_output),
            calls=1,
        )
        return Metered(counted, "estimated", anomaly or "")

    def _begin_drain(self, cut: Cut) -> None:
        """The client left: read on for the provider's usage, within bounds."""
        if len(self._draining) < self._drains.at_once_max:
            self._draining.add(cut)
            cut.at_most(self._drains.within_s, _DRAINED)
        else:
            cut.at_most(0.0, "client_gone")

    async def _pass_on(self, one: Delivering, reader: StreamReader) -> Ending:
        """Forward until the provider's end, an error, a cut, or the end of the money."""
        cover = _RunningCover(one.call, one.charge, one.price, reader)
        limit = _OutputLimit(one.call, reader)
        try:
            async with one.cut.guard():
                async for pieces in _batches(one.opened, reader):
                    broken = await _forward(one, pieces)
                    if broken is not None:
                        return Ending("provider_error", broken)
                    ending = await _why_end(one.charge, cover, limit)
                    if ending is not None:
                        return ending
        except TimeoutError:
            return Ending(one.cut.reason, one.cut.error)
        except UpstreamFailed as error:
            if not reader.finished:  # else only the end of the wire is missing
                return Ending("provider_failed", error)
        except Overloaded as error:
            return Ending("ledger_away", error)
        if reader.finished:
            return Ending()
        return Ending("provider_broke_off", UpstreamFailed("the provider broke off its answer"))


async def _batches(opened: Opened, reader: StreamReader) -> AsyncIterator[list[Piece]]:
    assert opened.rest is not None
    yield opened.first
    async for pieces in opened.rest:
        yield pieces
    yield reader.finish()


async def _why_end(
    charge: OpenCharge, cover: "_RunningCover", limit: "_OutputLimit"
) -> Ending | None:
    """Whether the stream may not go on, whatever the provider still has to say."""
    if not charge.is_ours:
        return Ending("lease_lapsed", Overloaded("this node lost its lease"))
    if not await cover.holds():
        return Ending("quota_ended", InsufficientQuota("the balance is used up"))
    if await limit.is_exceeded():
        return Ending("limit_ignored", UpstreamFailed(_NOT_STOPPING))
    return None


async def _forward(one: Delivering, pieces: list[Piece]) -> GatewayError | None:
    """Write what may be written; what broke the stream, once it is broken."""
    passing: list[bytes] = []
    broken: GatewayError | None = None
    for piece in pieces:
        if piece.kind in _PASSING or (piece.kind == "usage" and one.call.wants_usage):
            passing.append(piece.raw)
        elif piece.kind == "error":
            broken = piece.error or UpstreamFailed("the provider's stream is broken")
    if passing:
        await one.exchange.write(b"".join(passing))
    return broken


class _RunningCover:
    """Grows the hold of a stream before what it delivers outgrows it.

    Where the client set a limit the hold covers it and grows only beyond; where it did not, the
    hold grows from 80% on.
    """

    def __init__(
        self, call: ChatCall, charge: OpenCharge, price: Price, reader: StreamReader
    ) -> None:
        self._charge = charge
        self._price = price
        self._reader = reader
        self._percent = 100 if call.max_output_tokens is not None else 80
        self._look_at_tokens = self._covered(self._percent)

    async def holds(self) -> bool:
        """Whether the output so far is covered; the hold grows if it must and may.

        The reader's estimate is cheap and may be too high: nothing is decided by it, it only
        says when to count.
        """
        estimated_tokens = self._reader.output_tokens_at_least()
        if estimated_tokens <= self._look_at_tokens or self._charge.held_nanos == 0:
            return True
        counted_tokens = await asyncio.to_thread(self._reader.delivered.count)
        if counted_tokens > self._covered(self._percent) and not await self._grow(counted_tokens):
            return False
        room_tokens = self._covered(self._percent) - counted_tokens
        self._look_at_tokens = estimated_tokens + max(_LOOK_AGAIN_TOKENS, room_tokens)
        return True

    async def _grow(self, counted_tokens: int) -> bool:
        more_nanos = self._worst_case(0, _MORE_OUTPUT_TOKENS)
        try:
            return not more_nanos or await self._charge.extend(more_nanos)
        except Overloaded:
            if counted_tokens > self._covered(100):
                raise
            return True  # what is held still lasts: ask again

    def _covered(self, percent: int) -> int:
        """How many output tokens that share of the hold covers beside the input."""
        opening = self._charge.opening
        for_output = self._charge.held_nanos * percent // 100 - self._worst_case(
            opening.input_tokens_estimated, 0
        )
        per_million = self._worst_case(0, 1_000_000) - self._worst_case(0, 0)
        if per_million == 0:
            return 1 << 62
        return max(0, for_output) * 1_000_000 // per_million

    def _worst_case(self, input_tokens: int, output_tokens: int) -> int:
        return worst_case_nanos(
            self._price,
            self._charge.opening.terms.multiplier,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )


class _OutputLimit:
    """The client's own limit, with room for a tokenizer that is not ours: a provider that goes on
    far beyond it does not mean to end.
    """

    def __init__(self, call: ChatCall, reader: StreamReader) -> None:
        self._reader = reader
        limit = call.max_output_tokens
        beyond = _BEYOND_LIMIT_TOKENS
        self._tokens_max = None if limit is None else limit * call.choices * 3 // 2 + beyond
        self._look_at_tokens = self._tokens_max or 0

    async def is_exceeded(self) -> bool:
        """Decided by counting; the reader's cheap estimate only says when to count."""
        if self._tokens_max is None:
            return False
        estimated_tokens = self._reader.output_tokens_at_least()
        if estimated_tokens <= self._look_at_tokens:
            return False
        counted_tokens = await asyncio.to_thread(self._reader.delivered.count)
        room_tokens = self._tokens_max - counted_tokens
        self._look_at_tokens = estimated_tokens + max(_LOOK_AGAIN_TOKENS, room_tokens)
        return room_tokens < 0


async def _at_least_delivered(usage: Usage, reader: StreamReader) -> Usage | None:
    """What a stream that broke off had told, if that is no less than what it delivered.

    Some providers tell usage with every chunk, and the first tells of no output yet.
    """
    told_tokens = usage.output + usage.reasoning + usage.audio_out + usage.image_out
    counted_tokens = await asyncio.to_thread(reader.delivered.count)
    return usage if told_tokens >= counted_tokens else None


def _settle(one: Delivering, metered: Metered, ending: str) -> Settle:
    opening, opened = one.charge.opening, one.opened
    return Settle(
        usage=metered.usage,
        price=one.price,
        basis=metered.basis,
        ending=ending,
        channel_id=opened.candidate.channel_id,
        upstream_model=opened.candidate.upstream_model,
        node=opening.node,
        boot=opening.boot,
        attempts=opened.final_attempts("answered" if ending == "complete" else "cut"),
        anomaly=metered.anomaly,
        ttft_ms=opened.ttft_ms,
        duration_ms=elapsed_ms(opened.started_s),
    )
