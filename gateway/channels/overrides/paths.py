"""Places in a JSON document: `messages.0.content`, `tools.*.name`, `messages.-1`.

A dot parts the names, `\\.` is a dot in one. `*` stands for every member or element, a negative
number counts from the end.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

EVERY = "*"
MISSING: Final = object()
"""What is not there; null is."""

_PART = re.compile(r"(?:\\.|[^.\\])+")
_NUMBER = re.compile(r"-?\d{1,6}", re.ASCII)

Path = tuple[str, ...]
Spot = tuple[Any, Any]
"""What holds a value, and under which name or number."""


def read_path(text: str) -> Path:
    """Raises ValueError for what names no place."""
    parts = _PART.findall(text)
    if not parts or ".".join(parts) != text:
        raise ValueError(f"{text[:80]!r} names no place: write it like messages.0.content")
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in parts)


def places(document: dict[str, Any], path: Path, *, creates: bool = False) -> Iterator[Spot]:
    """Where a path leads, as far as that is there; with `creates` objects on the way are made, and
    what the last name says need not be there yet.
    """
    holders: list[Any] = [document]
    for part in path[:-1]:
        holders = [
            found
            for holder in holders
            for key in _keys(holder, part, creates=creates)
            if isinstance(found := _child(holder, key, creates=creates), dict | list)
        ]
    for holder in holders:
        for key in _keys(holder, path[-1], creates=creates):
            yield holder, key


def value_at(document: dict[str, Any], path: Path) -> Any:  # noqa: ANN401 - JSON
    """The value at a place, the first of several; MISSING."""
    for holder, key in places(document, path):
        return holder[key]
    return MISSING


def _keys(holder: object, part: str, *, creates: bool) -> list[str] | list[int]:
    if isinstance(holder, dict):
        if part == EVERY:
            return list(holder)
        return [part] if creates or part in holder else []
    if isinstance(holder, list):
        if part == EVERY:
            return list(range(len(holder)))
        if _NUMBER.fullmatch(part):
            index = int(part) + (len(holder) if part.startswith("-") else 0)
            return [index] if 0 <= index < len(holder) + creates else []
    return []


def _child(holder: Any, key: Any, *, creates: bool) -> Any:  # noqa: ANN401 - JSON
    if isinstance(holder, list):
        return holder[key] if key < len(holder) else None
    if creates and holder.get(key) is None:
        holder[key] = {}
    return holder[key]
