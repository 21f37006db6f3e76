"""What an answer used: the provider's word where there is one, else what was sent and delivered."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from gateway.call.metering.sent_prompt import sent_prompt
from gateway.call.metering.tokenizer import Tokenizer
from gateway.call.opened import Opened
from gateway.errors import InvalidRequest
from gateway.formats.contract import Format, StreamReader
from gateway.formats.shared.usage_table import IMPLAUSIBLE
from gateway.formats.translator import Asking
from gateway.formats.values import Answer, ChatCall
from ledger.pricing import output_tokens, prompt_tokens
from ledger.streams.charge.events import Basis, QuotaReserved
from ledger.usage import TOOL_CLASSES, Usage

CONTRADICTED = "usage_contradicted"
"""Anomaly: nothing is told of what was read or written, though something was delivered."""

_NOTHING = _NO_TOOLS = Usage()
_NO_CONVERSATION = (InvalidRequest, AttributeError, KeyError, TypeError, ValueError)
"""Of a call that only its own provider understands; and what bytes that pass may hold."""


class Metered(NamedTuple):
    """What is billed, how we know, and the service that answered where the provider says it.

    `is_plausible`: whether a call can have used so much; no more than the hold is charged else.
    """

    usage: Usage
    basis: Basis
    anomaly: str
    service: str | None
    is_plausible: bool = True


class Meter:
    """Meters answers to clients of one format."""

    def __init__(self, client_format: Format, tokenizer: Tokenizer) -> None:
        self._format = client_format
        self._tokenizer = tokenizer

    async def so_far(self, call: ChatCall, opening: QuotaReserved, opened: Opened) -> Metered:
        """What is billed for an answer as far as it has come."""
        told, reader = _told_by(opened), opened.reader
        usage = told.usage
        if reader is None:
            assert opened.whole is not None
            texts = opened.whole.answer.output_texts
            has_output = bool(texts) and call.max_output_tokens != 0  # else it is an echo
            count_output: Callable[[], int] = partial(self._tokenizer.count, call.model, texts)
        else:
            has_output = reader.saw_content
            count_output = reader.delivered.count
            if usage is not None and not reader.finished:
                usage = await _at_least_delivered(usage, reader)
        if usage is not None and not (has_output and _is_contradicted(usage)):
            return _measured(told, usage)
        return await self._counted(call, opening, opened, count_output, usage)

    async def of_failure(self, call: ChatCall, opening: QuotaReserved, opened: Opened) -> Metered:
        """What is billed for an answer of which nothing is delivered, but that was paid for."""
        told = _told_by(opened)
        if told.usage is None:
            return await self._counted(call, opening, opened, lambda: 0, None)
        return _measured(told, told.usage)

    async def _counted(
        self,
        call: ChatCall,
        opening: QuotaReserved,
        opened: Opened,
        count_output: Callable[[], int],
        contradicted: Usage | None,
    ) -> Metered:
        """What was sent and delivered. Of a usage that is contradicted the other side is kept."""
        sent_tokens = await asyncio.to_thread(
            likely_prompt_tokens,
            self._format,
            self._tokenizer,
            call,
            opened.format,
            opened.asking,
        )
        counted = Usage(
            input=min(sent_tokens, opening.input_tokens_estimated),
            output=await asyncio.to_thread(count_output),
        )
        told = _told_by(opened)
        anomalies = [told.anomaly]
        if contradicted is not None:
            counted = _without_nothing(contradicted, counted)
            anomalies.append(CONTRADICTED)
        usage = _with_calls(counted, told.tools)
        return Metered(usage, "estimated", ",".join(filter(None, anomalies)), told.service)


def likely_prompt_tokens(
    client_format: Format, tokenizer: Tokenizer, call: ChatCall, format_name: str, asking: Asking
) -> int:
    """What who is asked reads of a call that is sent in a format, once, whatever format the client
    used for it. Counts for as long as the text is long.
    """
    model = asking.suffix.model
    try:
        conversation = client_format.translation.conversation(call)
    except _NO_CONVERSATION:
        prompt = client_format.prompt(call)
        return tokenizer.count(model, prompt.texts) + prompt.estimated_tokens
    sent = sent_prompt(conversation, format_name, asking)
    return sent.tokens(tokenizer.count(model, sent.texts))


def used_by_failure(opened: Opened) -> Metered | None:
    """What a provider says that it used though it failed; None where it tells of nothing."""
    told = opened.failed_answer or opened.reader
    if told is None and opened.whole is not None:
        told = opened.whole.answer
    if told is None or told.usage is None or told.usage == _NOTHING:
        return None
    return _measured(told, told.usage)


def _told_by(opened: Opened) -> Answer | StreamReader:
    """What a provider says of its answer."""
    if opened.whole is not None:
        return opened.whole.answer
    assert opened.reader is not None
    return opened.reader


def _measured(told: Answer | StreamReader, usage: Usage) -> Metered:
    anomaly = told.anomaly or ""
    billed = _with_calls(usage, told.tools)
    return Metered(billed, "measured", anomaly, told.service, anomaly != IMPLAUSIBLE)


def _is_contradicted(usage: Usage) -> bool:
    """Whether a usage says that nothing was read, or nothing written, of an answer with content."""
    return not prompt_tokens(usage) or not output_tokens(usage)


def _without_nothing(told: Usage, counted: Usage) -> Usage:
    """A usage with what was counted on the side of which it tells nothing."""
    if not prompt_tokens(told):
        told = msgspec.structs.replace(told, input=counted.input)
    if not output_tokens(told):
        told = msgspec.structs.replace(told, output=counted.output)
    return told


async def _at_least_delivered(usage: Usage, reader: StreamReader) -> Usage | None:
    """What a stream that broke off had told, if that is no less than what it delivered.

    Some providers tell usage with every chunk, and the first tells of no output yet.
    """
    counted_tokens = await asyncio.to_thread(reader.delivered.count)
    return usage if output_tokens(usage) >= counted_tokens else None


def _with_calls(usage: Usage, tools: Usage) -> Usage:
    """The tokens of a call with the call itself, and with the tools that the provider ran."""
    if tools == _NO_TOOLS:  # nearly always
        return msgspec.structs.replace(usage, calls=1)
    ran = {kind: getattr(tools, kind) for kind in TOOL_CLASSES}
    return msgspec.structs.replace(usage, calls=1, **ran)
