"""A whole chat completion as a provider answers it."""

import json
from typing import Any

import msgspec

from gateway.formats.contract import Answer, UnreadableAnswer
from gateway.formats.openai_chat.errors import failure_in_answer
from gateway.formats.openai_chat.generated import generated_texts
from gateway.formats.openai_chat.usage import read_usage


def read_answer(body: bytes) -> Answer:
    """The answer that `body` is. Raises UnreadableAnswer for what is none."""
    document = read_object(body)
    error = document.get("error") or (document if document.get("object") == "error" else None)
    choices = document.get("choices")
    if error is None and type(choices) is not list:
        raise UnreadableAnswer("the answer has no choices")
    usage, anomaly = read_usage(document.get("usage"))
    return Answer(
        usage=usage,
        anomaly=anomaly,
        error=None if error is None else failure_in_answer(error),
        output_texts=_output_texts(choices),
    )


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object that `data` is. Raises UnreadableAnswer.

    Providers are read leniently: broken UTF-8 is replaced, NaN (in log probabilities) is let pass.
    """
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = _read_leniently(data)
    if type(document) is not dict:
        raise UnreadableAnswer("the answer is not a JSON object")
    return document


def _read_leniently(data: bytes) -> object:
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer("the answer is not JSON") from error


def _output_texts(choices: object) -> tuple[str, ...]:
    if type(choices) is not list:
        return ()
    return tuple(
        text
        for choice in choices
        if type(choice) is dict
        for text in generated_texts(choice.get("message"))
    )
