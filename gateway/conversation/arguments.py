"""The arguments of a call: JSON text in some formats, an object in others, and whatever providers
and models make of either.
"""

from typing import Any

import msgspec


def as_text(told: object) -> str:
    """Text as it is, anything else as JSON; nothing is no text."""
    if type(told) is str:
        return told
    return "" if told is None else msgspec.json.encode(told).decode()


def as_object(text: str) -> dict[str, Any] | None:
    """The object that a text is, nothing being one without members; None for a text that was cut,
    or is none.
    """
    if not text.strip():
        return {}
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return told if type(told) is dict else None
