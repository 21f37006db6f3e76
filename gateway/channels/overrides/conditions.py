"""When an operation is done: what the request says, or what is known of the call besides."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from gateway.channels.overrides.paths import MISSING, read_path, value_at

Compared = Literal["full", "prefix", "suffix", "contains", "gt", "gte", "lt", "lte"]
KNOWN = (
    "model",
    "upstream_model",
    "original_model",
    "using_group",
    "user_id",
    "retry_index",
    "is_retry",
    "request_headers",
)
"""Of the call, by the names of other gateways; what the request itself says goes first."""


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One comparison. `pass_missing_key`: it holds where there is nothing to compare."""

    path: str
    value: Any
    mode: Compared = "full"
    invert: bool = False
    pass_missing_key: bool = False

    def holds(self, document: dict[str, Any], known: Mapping[str, Any]) -> bool:
        """Whether it does."""
        path = read_path(self.path)
        found = value_at(document, path)
        if found is MISSING:
            found = value_at(dict(known), path)
        if found is MISSING:
            return self.pass_missing_key
        return _COMPARE[self.mode](found, self.value) != self.invert


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_size(compare: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, given: _is_number(found) and _is_number(given) and compare(found, given)


_COMPARE: Mapping[Compared, Callable[[Any, Any], bool]] = {
    "full": lambda found, given: found == given or _text(found) == _text(given),
    "prefix": lambda found, given: _text(found).startswith(_text(given)),
    "suffix": lambda found, given: _text(found).endswith(_text(given)),
    "contains": lambda found, given: _text(given) in _text(found),
    "gt": _by_size(lambda found, given: found > given),
    "gte": _by_size(lambda found, given: found >= given),
    "lt": _by_size(lambda found, given: found < given),
    "lte": _by_size(lambda found, given: found <= given),
}
