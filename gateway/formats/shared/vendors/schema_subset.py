"""A JSON Schema within what a vendor enforces: what it does not know is told in words instead.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs (JSON Schema
limitations, schema complexity limits).
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

STRICT_TOOLS_MOST = 20
OPTIONAL_MOST = 24
"""Parameters that need not be given, in all strict tools and the answer's schema together."""

_KNOWN = frozenset(
    {
        "$defs", "$id", "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "const",
        "default", "definitions", "description", "enum", "examples", "format", "items", "minItems",
        "pattern", "properties", "required", "title", "type",
    }
)  # fmt: skip
_FORMATS = frozenset(
    {
        "date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid",
    }
)  # fmt: skip
_MIN_ITEMS = (0, 1)
_BEYOND_REGULAR = re.compile(r"\(\?[=!<]|\\[bB1-9]")
_OF_NAMES = ("properties", "$defs", "definitions")
_OF_SCHEMAS = ("anyOf", "allOf")


def narrowed(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A schema in the subset, and the keywords that are words of its descriptions now."""
    lost: list[str] = []
    written = _narrowed(schema, lost)
    return written, lost


def optional_in(schema: object) -> int:
    """How many parameters need not be given, at any depth."""
    if isinstance(schema, list):
        return sum(map(optional_in, schema))
    if not isinstance(schema, dict):
        return 0
    properties = schema.get("properties")
    named = set(properties) if isinstance(properties, dict) else set()
    return len(named - set(schema.get("required") or ())) + sum(map(optional_in, schema.values()))


def _narrowed(schema: Any, lost: list[str]) -> Any:  # noqa: ANN401 - decoded JSON
    if not isinstance(schema, dict):
        return schema
    told = {("anyOf" if name == "oneOf" else name): value for name, value in schema.items()}
    kept = {
        name: _below(name, value, lost) for name, value in told.items() if _is_known(told, name)
    }
    moved = {name: value for name, value in told.items() if name not in kept}
    if "object" in _types(kept):
        if kept.get("additionalProperties", False) is not False:
            lost.append("additionalProperties")
        kept["additionalProperties"] = False
    if moved:
        lost += moved
        words = ", ".join(f"{name}: {_json(value)}" for name, value in moved.items())
        own = kept.get("description")
        kept["description"] = f"{own} ({words})" if own else words
    return kept


def _is_known(schema: Mapping[str, Any], name: str) -> bool:
    value = schema[name]
    match name:
        case "minItems":
            return value in _MIN_ITEMS
        case "format":
            return value in _FORMATS
        case "pattern":
            return isinstance(value, str) and not _BEYOND_REGULAR.search(value)
        case "enum":
            return isinstance(value, list) and not any(isinstance(x, dict | list) for x in value)
        case "items":
            return isinstance(value, dict)
        case _:
            return name in _KNOWN


def _below(name: str, value: Any, lost: list[str]) -> Any:  # noqa: ANN401 - decoded JSON
    if name in _OF_NAMES and isinstance(value, dict):
        return {key: _narrowed(each, lost) for key, each in value.items()}
    if name in _OF_SCHEMAS and isinstance(value, list):
        return [_narrowed(each, lost) for each in value]
    return _narrowed(value, lost) if name == "items" else value


def _types(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    told = schema.get("type")
    if told is None:
        return ("object",) if "properties" in schema else ()
    return tuple(told) if isinstance(told, list) else (told,)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
