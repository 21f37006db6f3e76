"""Strict readings of one request parameter: of the right type and within bounds, or refused.

Each takes the value as the JSON parse left it and `param`, the name that the refusal carries.
`null` is absence wherever None is answered. A boolean is never a number, nor is a string.
"""

import re
from typing import Any, NoReturn

from gateway.errors import InvalidRequest

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def refuse(param: str, must: str) -> NoReturn:
    """Raise the InvalidRequest that says what `param` must be."""
    raise InvalidRequest(f"'{param}' must be {must}.", param=param)


def integer(value: object, param: str, *, least: int, most: int) -> int | None:
    """An integer within `least`..`most`; 5.0 is not one. What is beyond is told as OpenAI does."""
    if value is None:
        return None
    if type(value) is not int:
        refuse(param, f"an integer from {least} to {most}")
    if value < least:
        told = f"below minimum value. Expected a value >= {least}, but got {value} instead."
        raise InvalidRequest(
            f"Invalid '{param}': integer {told}", param=param, code="integer_below_min_value"
        )
    if value > most:
        told = f"above maximum value. Expected a value <= {most}, but got {value} instead."
        raise InvalidRequest(
            f"Invalid '{param}': integer {told}", param=param, code="integer_above_max_value"
        )
    return value


def number(value: object, param: str, *, least: float, most: float) -> float | None:
    """A number within `least`..`most`."""
    if value is None:
        return None
    if (type(value) is not int and type(value) is not float) or not least <= value <= most:
        refuse(param, f"a number from {least} to {most}")
    return value


def boolean(value: object, param: str) -> bool | None:
    """`true` or `false`."""
    if value is None:
        return None
    if type(value) is not bool:
        refuse(param, "true or false")
    return value


def text(
    value: object, param: str, *, most_bytes: int, least_bytes: int = 0, plain: bool = False
) -> str | None:
    """A string of bounded length in UTF-8; a `plain` one has no control characters."""
    if value is None:
        return None
    if type(value) is not str:
        refuse(param, "a string")
    length_bytes = len(value) if value.isascii() else len(value.encode())
    if not least_bytes <= length_bytes <= most_bytes:
        refuse(param, f"{least_bytes} to {most_bytes} bytes long")
    if plain and _CONTROL.search(value):
        refuse(param, "without control characters")
    return value


def array(value: object, param: str, *, most: int, least: int = 0) -> list[Any] | None:
    """A list with a bounded number of items."""
    if value is None:
        return None
    if type(value) is not list or not least <= len(value) <= most:
        refuse(param, f"a list of {least} to {most} items")
    return value


def mapping(value: object, param: str, *, most: int) -> dict[str, Any] | None:
    """An object with a bounded number of members."""
    if value is None:
        return None
    if type(value) is not dict or len(value) > most:
        refuse(param, f"an object with at most {most} members")
    return value
