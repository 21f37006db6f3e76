"""JSON from providers, read leniently: broken UTF-8 and halves of surrogate pairs are replaced,
NaN is let pass. Bounded all the same, before anything is built from it.
"""

import json
import re
from typing import Any, TypeVar

import msgspec

from gateway.http.json_bounds import holds_more_values, is_too_deep

NODES_MAX = 500_000
"""Values in one answer, or in one event of a stream: probabilities of many tokens are many."""

STUMBLES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What is raised by code that believes an answer to be what its format says."""

_Told = TypeVar("_Told")
_HALF_OF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


class UnreadableAnswer(Exception):
    """A provider's body is empty, cut short, or not of its format at all."""


class AnswerTooLarge(UnreadableAnswer):
    """A provider's body, or an event, holds more than can be looked at."""


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object that `data` is. Raises UnreadableAnswer."""
    document = read_value(data)
    if type(document) is not dict:
        raise UnreadableAnswer("the answer is not a JSON object")
    return document


def read_value(data: bytes) -> object:
    """The JSON value that `data` is. Raises UnreadableAnswer."""
    check_values(data)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = _read_leniently(data)
    if is_too_deep(data, value):
        raise UnreadableAnswer("the answer is nested too deeply")
    return value


def check_values(data: bytes) -> None:
    """Raises AnswerTooLarge, at a small part of what building the values would take."""
    if len(data) > NODES_MAX and holds_more_values(data, NODES_MAX):
        raise AnswerTooLarge(f"the answer has more than {NODES_MAX} values")


def read_struct(data: bytes, decoder: msgspec.json.Decoder[_Told]) -> _Told:
    """What `decoder` makes of an object. Raises UnreadableAnswer."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = read_object(data)
    try:
        return msgspec.convert(document, decoder.type)
    except msgspec.ValidationError as error:
        raise UnreadableAnswer("the answer is not what its format says") from error


def _read_leniently(data: bytes) -> object:
    try:
        document = json.loads(data.decode("utf-8", "replace"))
        if _HALF_OF_A_PAIR.search(data):
            document = json.loads(_mended(json.dumps(document, ensure_ascii=False)))
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer("the answer is not JSON") from error
    return document


def _mended(text: str) -> str:
    """A text that has a form in bytes: U+FFFD stands for every half of a surrogate pair."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
