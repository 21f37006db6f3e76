"""A whole answer as a provider gives it.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (Response)
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from gateway.conversation.parts import ToolCall
from gateway.conversation.turn import Choice, Turn
from gateway.formats.bedrock_converse.answers.reading_blocks import generated_texts, parts_of
from gateway.formats.bedrock_converse.answers.usage import read_usage
from gateway.formats.bedrock_converse.vocabulary import ENDS, NAME
from gateway.formats.contract import UnreadableAnswer
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import Answer
from gateway.http.lenient_json import read_object
from ledger.pricing import STANDARD

_RESERVED = "reserved"
"""Served from what the operator has reserved: no service that a client could have asked for."""


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none."""
    document = read_object(body)
    usage, anomaly = read_usage(document.get("usage"))
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=None,
        output_texts=tuple(text for block in _content(document) for text in generated_texts(block)),
        service=service_in(document),
    )


def turn_of(document: Mapping[str, Any]) -> Turn:
    """What a provider answered. Raises UnreadableAnswer."""
    parts = parts_of(_content(document))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    stop, word = ENDS.read(document.get("stopReason"), has_calls)
    choice = Choice(parts=parts, stop=stop, stop_word=word)
    return Turn(
        format=NAME,
        id=made_up_id(),
        model="",
        choices=(choice,),
        service=service_in(document) or "",
    )


def made_up_id() -> str:
    """An id for an answer, which has none in its body here."""
    return uuid4().hex


def service_in(holder: Mapping[str, Any]) -> str | None:
    """The service that answered, in an answer or in the last event of a stream."""
    tier = holder.get("serviceTier")
    told = tier.get("type") if type(tier) is dict else None
    return STANDARD if told == _RESERVED else service_of(told)


def _content(document: Mapping[str, Any]) -> list[Any]:
    output = document.get("output")
    message = output.get("message") if type(output) is dict else None
    content = message.get("content") if type(message) is dict else None
    if type(content) is not list:
        raise UnreadableAnswer("the answer has no content")
    return content
