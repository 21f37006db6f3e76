"""The beginning of a provider's answer: read until there is something to give to the client.

A whole answer is held until its charge is closed, so it is read to its end. A stream is held until
something was generated, or for so long, or so much of it, that the client shall hear somebody is
there.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from msgspec.structs import replace

from gateway.call.opened import Opened, elapsed_ms
from gateway.errors import UpstreamFailed, UpstreamTimeout
from gateway.formats.contract import StreamReader, UnreadableAnswer
from gateway.formats.shared.vendors.accepted import accepted
from gateway.formats.shared.vendors.answer_limit import limit_to_keep
from gateway.formats.translator import Whole
from gateway.formats.values import ChatCall, CountTokens, Piece
from gateway.http.lenient_json import AnswerTooLarge
from gateway.http.off_loop import Beside
from gateway.http.upstream import ANSWER_TOO_LARGE, UpstreamAnswer, whole_body
from ledger import clock
from ledger.usage import Usage

_COMMITTED_AFTER_MS = 10_000
_COMMITTED_PIECES = 256
_COMMITTED_BYTES = 256 * 1024
_BLANK = b"\xef\xbb\xbf \t\r\n"
"""What may stand before everything: a byte order mark, and white space."""
_BLANK_MAX_BYTES = 4_096
_BEGINS_JSON = (b"{", b"[")
_BEGINS_FIELD = (b"d", b"e", b"i", b"r", b":")
"""Of an event: data, event, id, retry, or a comment."""

_reading = Beside("answers")


async def open_answer(
    opened: Opened, call: ChatCall, count_tokens: CountTokens, patience_s: float
) -> None:
    """What the provider gives, as far as the client has to wait for it. Where a stream was asked
    for, what comes is taken for what it is, whatever it is labelled; and where its channel says by
    when it must have said something, nobody is committed to it before.

    Raises UpstreamFailed, UpstreamTimeout, and the error of an answer that tells one.
    """
    if not call.stream:
        await _open_whole(opened, call, await opened.upstream.read())
        return
    first_content_ms = opened.candidate.way.first_content_ms
    if not first_content_ms:
        await _open_streamed(opened, call, count_tokens, patience_s, _COMMITTED_AFTER_MS)
        return
    left_s = (first_content_ms - elapsed_ms(opened.started_s)) / 1_000
    try:
        async with asyncio.timeout(max(0.0, left_s)):
            await _open_streamed(opened, call, count_tokens, patience_s, first_content_ms)
    except TimeoutError as error:
        raise UpstreamTimeout("the provider said nothing in time") from error


async def _open_streamed(
    opened: Opened,
    call: ChatCall,
    count_tokens: CountTokens,
    patience_s: float,
    committed_after_ms: int,
) -> None:
    chunks = opened.upstream.pieces()
    first = await _first_of(chunks, opened.started_s, committed_after_ms)
    if _are_events(first, opened.upstream):
        reader = opened.translator.stream(_as_told(opened, call), count_tokens)
        opened.reader = reader
        opened.rest = _fed(reader, first, chunks, patience_s)
        await _open_stream(opened, reader, opened.rest, committed_after_ms)
    else:
        await _open_whole(opened, call, await whole_body(chunks, first=first))


async def whole_told(opened: Opened, call: ChatCall, whole: Whole, usage: Usage) -> bytes:
    """A whole answer as the client reads it. Raises UnreadableAnswer."""
    told = partial(opened.translator.told, _as_told(opened, call), whole, usage)
    return await _reading.run(len(whole.body), told)


def _as_told(opened: Opened, call: ChatCall) -> ChatCall:
    takes = accepted(opened.asking.vendor, opened.format, opened.upstream_model)
    limit = limit_to_keep(call, takes)
    return call if limit is None else replace(call, told_tokens_most=limit)


async def _open_whole(opened: Opened, call: ChatCall, body: bytes) -> None:
    """Understand it, and see that the client can be told it, before anybody is committed."""
    try:
        read = partial(opened.translator.whole, body)
        whole = opened.whole = await _reading.run(len(body), read)
        passes = not (call.stream or opened.translator.retells)
        if whole.answer.error is None and not passes:
            await whole_told(opened, call, whole, Usage())
    except AnswerTooLarge as error:
        raise UpstreamFailed(ANSWER_TOO_LARGE) from error
    except UnreadableAnswer as error:
        raise UpstreamFailed("the provider's answer cannot be read") from error
    if whole.answer.error is not None:
        raise whole.answer.error


async def _open_stream(
    opened: Opened,
    reader: StreamReader,
    pieces_of_chunks: AsyncIterator[list[Piece]],
    committed_after_ms: int,
) -> None:
    """Read on until something was generated, or the stream has ended well without."""
    held_bytes = 0
    async for pieces in pieces_of_chunks:
        opened.first += pieces
        if reader.error is not None:
            break
        opened.ttft_ms = elapsed_ms(opened.started_s)
        if reader.saw_content or reader.finished:
            return
        held_bytes += sum(len(piece.raw) + len(piece.data) for piece in pieces)
        is_much = held_bytes > _COMMITTED_BYTES or len(opened.first) > _COMMITTED_PIECES
        if is_much or opened.ttft_ms > committed_after_ms:
            return  # it thinks aloud: the client shall hear that somebody is there
    opened.first += reader.finish()
    _check_begun(reader)


def _check_begun(reader: StreamReader) -> None:
    """Raises what a stream failed with that ended before anything was generated."""
    if reader.error is not None and not reader.saw_content:
        raise reader.error
    if not reader.saw_content and not reader.finished:
        raise UpstreamFailed("the provider's stream ended before it began")


async def _fed(
    reader: StreamReader, first: bytes, chunks: AsyncIterator[bytes], patience_s: float
) -> AsyncIterator[list[Piece]]:
    """What each chunk brings. A provider that only pings, or never comes to the end of an event, is
    as silent as one that says nothing; a client that takes its time with it is not the provider.

    Raises UpstreamFailed, UpstreamTimeout.
    """
    spoke_s = clock.monotonic_s()
    chunk: bytes | None = first
    while chunk is not None:
        pieces = reader.feed(chunk)
        now_s = clock.monotonic_s()
        if any(piece.kind != "comment" for piece in pieces):
            spoke_s = now_s
        elif now_s - spoke_s > patience_s:
            raise UpstreamTimeout("the provider stopped answering")
        yield pieces
        spoke_s += clock.monotonic_s() - now_s
        chunk = await anext(chunks, None)


async def _first_of(
    chunks: AsyncIterator[bytes], started_s: float, committed_after_ms: int
) -> bytes:
    """The first bytes that say something, or what there is when the client shall hear that somebody
    is there; none of an empty body.
    """
    first = b""
    async for chunk in chunks:
        first += chunk
        is_long = elapsed_ms(started_s) > committed_after_ms or len(first) > _BLANK_MAX_BYTES
        if is_long or first.lstrip(_BLANK):
            break
    return first


def _are_events(first: bytes, answer: UpstreamAnswer) -> bool:
    """Whether a body is a stream of events. Some vendors label one as JSON, or JSON as one."""
    begins = first.lstrip(_BLANK)[:1]
    if begins in _BEGINS_JSON:
        return False
    is_labelled = answer.headers.get("content-type", "").startswith("text/event-stream")
    return is_labelled or begins in _BEGINS_FIELD
