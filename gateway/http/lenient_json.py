"""JSON from providers, read leniently: broken UTF-8 is replaced, NaN is let pass."""

import json
from typing import Any

import msgspec


class UnreadableAnswer(Exception):
    """A provider's body is empty, cut short, or not of its format at all."""


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object that `data` is. Raises UnreadableAnswer."""
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
