"""What a failure of one candidate is: of its key, of its channel, of ours, or of the client."""

import asyncio
import contextlib
from typing import NamedTuple

import structlog

from gateway.call.deadlines import Deadline
from gateway.call.opened import Opened
from gateway.channels.key_failures import NOTHING_SAID, KeyFinding, finding_in_answer
from gateway.errors import GatewayError, InvalidRequest, UpstreamFailed, UpstreamTimeout
from gateway.formats.values import ChatCall
from gateway.http.upstream import UpstreamAnswer
from gateway.providers.contract import Keeper, Provider
from ledger.streams.charge.events import Attempt

log = structlog.get_logger()

_FAILURE_BYTES_MAX = 64 * 1024
_FAILURE_WITHIN_S = 10.0


class AskedOnce(NamedTuple):
    """What one answer says of the key it was asked with (None: it works), what it cost, and why it
    failed, if it did.
    """

    found: KeyFinding | None
    attempt: Attempt
    error: GatewayError | None = None


async def read_to_its_end(opened: Opened, deadline: Deadline) -> None:
    """Read what is left of a stream. Raises what it ends with, TimeoutError as a failure."""
    if opened.rest is None or opened.reader is None:
        return
    try:
        async with deadline.guard():
            async for _ in opened.rest:
                pass
            opened.reader.finish()
    except TimeoutError as late:
        raise UpstreamTimeout("the provider's stream did not end in time") from late
    finally:
        opened.upstream.close()
    if opened.reader.error is not None:
        raise opened.reader.error


async def beginning(answer: UpstreamAnswer) -> bytes:
    """What a failure says, as far as that comes soon: the next candidate waits for it."""
    body = b""
    with contextlib.suppress(TimeoutError, UpstreamTimeout):
        async with asyncio.timeout(_FAILURE_WITHIN_S):
            async for piece in answer.pieces():
                body += piece
                if len(body) > _FAILURE_BYTES_MAX:
                    break
    return body


def known_variant(call: ChatCall, provider: Provider) -> str:
    """Raises InvalidRequest for a variant the provider would take for the usual thing."""
    if call.variant and not isinstance(provider, Keeper):
        raise InvalidRequest(
            "The provider of this model cannot do this.", code="unsupported_operation"
        )
    return call.variant


def said_of_key(opened: Opened | None, error: GatewayError) -> KeyFinding:
    """What an error says of the key it was asked with; nothing where nobody answered: what keeps us
    from a provider is no fault of a key.
    """
    if opened is None or opened.upstream.status != 200:
        return NOTHING_SAID if opened is None else opened.said_of_key
    words = error.words if isinstance(error, UpstreamFailed) else None
    return NOTHING_SAID if words is None else finding_in_answer(words)


def kind_of_failure(opened: Opened | None, error: GatewayError) -> str:
    """What a channel failed with, as a code."""
    if isinstance(error, UpstreamTimeout):
        return "timeout"
    if opened is None:
        return "unreachable"
    status = opened.upstream.status
    return "broken_answer" if status == 200 else f"provider_status_{status}"


def told_of(fault: Exception, opened: Opened) -> GatewayError:
    """The failure of a candidate; a reader of ours that stumbles over an answer is one as well."""
    if isinstance(fault, GatewayError):
        return fault
    channel = str(opened.candidate.channel_id)
    log.error("failover.answer_not_understood", channel=channel, exc_info=fault)
    return UpstreamFailed("the provider's answer cannot be read")
