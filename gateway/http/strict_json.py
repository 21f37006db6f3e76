"""The one parse of a request's JSON: what it accepts, every later reader reads in the same way.

Refused, besides what RFC 8259 refuses: a top level that is not an object, duplicate keys, NaN and
infinities, numbers that would lose their value (floats beyond the double range, integers beyond
64 bits), lone surrogates, a byte order mark, and documents too deep or with too many values.
"""

import json
import math
from functools import partial
from typing import Any, NoReturn

import msgspec

from gateway.errors import InvalidRequest, RequestTooLarge
from gateway.http.json_bounds import DEPTH_MAX, holds_more_values, is_too_deep
from gateway.http.off_loop import Beside

NODES_MAX = 200_000
"""Values in one document."""

_NUMBER_MAX_CHARACTERS = 1_000
_TOO_DEEP = f"The request body is nested more than {DEPTH_MAX} levels deep."
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_INT64_MAX_CHARACTERS = 20
_TOLD_KEY_MAX_CHARACTERS = 64

_parsing = Beside("strict-json")


async def parse_off_loop(body: bytes) -> dict[str, Any]:
    """`parse`, in a thread where the body is large enough to hold up the event loop."""
    return await _parsing.run(len(body), partial(parse, body))


def parse(body: bytes) -> dict[str, Any]:
    """The object that `body` is.

    Raises InvalidRequest (`invalid_json`, `duplicate_key`, or `invalid_value` for an integer
    beyond 64 bits) or RequestTooLarge (more than NODES_MAX values).
    """
    if holds_more_values(body, NODES_MAX):
        raise RequestTooLarge(f"The request body has more than {NODES_MAX} values.")
    document = _decode(body)
    if type(document) is not dict:
        raise InvalidRequest("The request body must be a JSON object.", code="invalid_json")
    if is_too_deep(body, document):
        raise InvalidRequest(_TOO_DEEP, code="invalid_json")
    # Only an escape can bring a surrogate in, as UTF-8 has none.
    if b"\\ud" in body or b"\\uD" in body:
        _check_surrogates(document)
    return document


def _decode(body: bytes) -> Any:  # noqa: ANN401 - a JSON value is any of seven types
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The request body is not UTF-8 at byte {error.start}.", code="invalid_json"
        ) from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"The request body is not valid JSON: {error.msg} at character {error.pos}.",
            code="invalid_json",
        ) from error
    except RecursionError as error:
        raise InvalidRequest(_TOO_DEEP, code="invalid_json") from error


def _check_surrogates(document: object) -> None:
    """Refuse strings that have no UTF-8 form: each later writer would fail on them."""
    try:
        msgspec.json.encode(document)
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "The request body has a string with half of a surrogate pair.", code="invalid_json"
        ) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _refuse_duplicate(pairs)
    return result


def _refuse_duplicate(pairs: list[tuple[str, Any]]) -> NoReturn:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    told = key[:_TOLD_KEY_MAX_CHARACTERS].encode("ascii", "backslashreplace").decode()
    raise InvalidRequest(f"The key {told!r} is given twice.", code="duplicate_key", param=told)


def _integer(text: str) -> int:
    if len(text) <= _INT64_MAX_CHARACTERS:
        value = int(text)
        if _INT64_MIN <= value <= _INT64_MAX:
            return value
    _check_number_length(text)
    raise InvalidRequest("An integer in the request body does not fit 64 bits.")


def _float(text: str) -> float:
    _check_number_length(text)
    value = float(text)
    if math.isinf(value):
        _refuse_constant(text[:32])
    return value


def _check_number_length(text: str) -> None:
    if len(text) > _NUMBER_MAX_CHARACTERS:
        raise InvalidRequest(
            f"The request body has a number of {len(text)} characters.", code="invalid_json"
        )


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidRequest(f"{text} is not a number in JSON.", code="invalid_json")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_integer,
    parse_constant=_refuse_constant,
)
