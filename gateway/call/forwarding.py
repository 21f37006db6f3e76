"""Forwarding a stream to its client, as long as it may go on."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from gateway.call.charges.open_charge import OpenCharge
from gateway.call.deadlines import Deadline
from gateway.call.opened import Opened
from gateway.call.running_cover import OutputLimit, RunningCover
from gateway.errors import GatewayError, InsufficientQuota, Overloaded, UpstreamFailed
from gateway.formats.contract import StreamReader
from gateway.formats.values import ChatCall, Piece
from gateway.http.exchange import Exchange
from ledger.pricing import Price

PROVIDER_ERROR = "provider_error"
"""How a stream ends in which the provider tells an error."""

_PASSING = ("content", "comment")
_NOT_STOPPING = "the provider does not stop at the limit of output tokens"
_ANSWERED = "answered"
_BODY_ENDS_WITHIN_S = 0.25
_USAGE_COMES_WITHIN_S = 5.0


@dataclass(slots=True)
class Ending:
    """How a stream ended: a code for the books, and what the client is told if it broke."""

    code: str = "complete"
    error: GatewayError | None = None


class Delivering(msgspec.Struct, frozen=True):
    """One call with its opened answer, on its way to the client."""

    exchange: Exchange
    call: ChatCall
    price: Price
    charge: OpenCharge
    opened: Opened
    deadline: Deadline


async def pass_on(one: Delivering, reader: StreamReader) -> Ending:
    """Forward until the provider's end, an error, a cut, or the end of the money."""
    cover = RunningCover(one.call, one.charge, one.price, reader)
    limit = OutputLimit(one.call, reader)
    try:
        async with one.deadline.guard():
            async for pieces in _batches(one.opened, reader):
                broken = await _forward(one, pieces)
                if broken is not None:
                    return Ending(PROVIDER_ERROR, broken)
                ending = await _why_end(one.charge, cover, limit)
                if ending is not None:
                    return ending
                _expect_no_more(one.deadline, reader, pieces)
    except TimeoutError:
        if not reader.finished:
            return Ending(one.deadline.reason, one.deadline.error)
    except UpstreamFailed as error:
        if not reader.finished:  # else only the end of the body is missing
            return Ending("provider_failed", error)
    except Overloaded as error:
        return Ending("ledger_away", error)
    if reader.finished:
        return Ending()
    return Ending("provider_broke_off", UpstreamFailed("the provider broke off its answer"))


def _expect_no_more(deadline: Deadline, reader: StreamReader, pieces: Sequence[Piece]) -> None:
    """Once the answer is whole: a provider that does not end its body now is not waited for.

    Behind the end marker there is nothing but the end of the body, in the same segment mostly;
    without one, usage may still come.
    """
    if not reader.finished:
        return
    is_marked = bool(pieces) and pieces[-1].kind == "end"  # nothing is read after it
    deadline.at_most(_BODY_ENDS_WITHIN_S if is_marked else _USAGE_COMES_WITHIN_S, _ANSWERED)


async def _batches(opened: Opened, reader: StreamReader) -> AsyncIterator[list[Piece]]:
    assert opened.rest is not None
    yield opened.take_first()
    async for pieces in opened.rest:
        yield pieces
    yield reader.finish()


async def _why_end(charge: OpenCharge, cover: RunningCover, limit: OutputLimit) -> Ending | None:
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
    told = b"".join(passing)
    if told:
        await one.exchange.write(told)
    return broken
