"""Overrides as an operator writes them, checked before anything is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.channels.overrides import headers as header_rules
from gateway.channels.overrides.guarded import is_guarded
from gateway.channels.overrides.operations import MODES, Operation, is_given, passed_names
from gateway.channels.overrides.paths import read_path
from gateway.channels.overrides.pruning import read_pruning

OPERATIONS_MAX = 100
TEXT_MAX = 65_536

_decoder = msgspec.json.Decoder(dict[str, Any])
_ADDS = frozenset(("set", "default", "prepend", "append", "ensure_prefix", "ensure_suffix"))
_CODE = 64


@dataclass(frozen=True, slots=True)
class Overrides:
    """Of one channel, ready to be done. `headers` as written, checked."""

    operations: tuple[Operation, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """All that they may add to a request, for the hold to cover it."""
        added = [one.value for one in self.operations if one.mode in _ADDS]
        added += [one.to for one in self.operations if one.mode in ("replace", "regex_replace")]
        return msgspec.json.encode(added).decode() if added else ""


def read_overrides(parameters: str, headers: str) -> Overrides:
    """Either may be empty. Raises ValueError, in words for whoever wrote it."""
    return Overrides(_operations(parameters), _headers(headers))


def _document(text: str) -> dict[str, Any]:
    if len(text) > TEXT_MAX:
        raise ValueError(f"must be up to {TEXT_MAX} characters")
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"must be a JSON object: {error}") from None


def _headers(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    given = _document(text)
    if len(given) > header_rules.HEADERS_MAX:
        raise ValueError(f"must be up to {header_rules.HEADERS_MAX} headers")
    for name, value in given.items():
        header_rules.check_header(name, value)
    return {name: value if isinstance(value, str) else "" for name, value in given.items()}


def _operations(text: str) -> tuple[Operation, ...]:
    """A list of operations, or members that are set one by one."""
    if not text.strip():
        return ()
    given = _document(text)
    if "operations" not in given:
        plain = [
            {"mode": "set", "path": name.replace("\\", "\\\\").replace(".", "\\."), "value": value}
            for name, value in given.items()
        ]
        return _checked(plain)
    if set(given) != {"operations"} or not isinstance(given["operations"], list):
        raise ValueError("operations must be a list, with nothing beside it")
    return _checked(given["operations"])


def _checked(given: list[Any]) -> tuple[Operation, ...]:
    if len(given) > OPERATIONS_MAX:
        raise ValueError(f"must be up to {OPERATIONS_MAX} operations")
    found = []
    for number, one in enumerate(given):
        try:
            operation = msgspec.convert(one, Operation)
            _check(operation)
        except (msgspec.ValidationError, ValueError) as error:
            raise ValueError(f"operation {number}: {error}") from None
        found.append(operation)
    return tuple(found)


def _check(one: Operation) -> None:
    if one.mode == "set_header":
        raise ValueError("set_header belongs to the header overrides, which are kept secret")
    if one.mode not in MODES:
        raise ValueError(f"the mode {one.mode[:40]!r} is none of {', '.join(sorted(MODES))}")
    for condition in one.conditions:
        read_path(condition.path)
    for check in _CHECKS[one.mode]:
        check(one)


def _writes(text: str) -> None:
    path = read_path(text)
    if is_guarded(path):
        raise ValueError(
            f"{text[:80]} says what is sold and how it is counted, and is not for overrides"
        )


def _path(one: Operation) -> None:
    _writes(one.path)


def _from(one: Operation) -> None:
    read_path(one.from_)


def _from_that_goes(one: Operation) -> None:
    _writes(one.from_)


def _to(one: Operation) -> None:
    _writes(one.to)


def _value(one: Operation) -> None:
    if not is_given(one.value):
        raise ValueError("has no value")


def _text_value(one: Operation) -> None:
    if not isinstance(one.value, str) or not one.value:
        raise ValueError("the value must be a text")


def _bounds(one: Operation) -> None:
    value = one.value
    is_right = isinstance(value, dict) and value and set(value) <= {"min", "max"}
    if not is_right or not all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in value.values()
    ):
        raise ValueError('the value must be like {"min": 0, "max": 1}, or one of them')


def _replaced(one: Operation) -> None:
    if not one.from_:
        raise ValueError("says not what to replace: from is empty")


def _pattern(one: Operation) -> None:
    header_rules.compiled(one.from_)


def _error(one: Operation) -> None:
    told = {"message": one.value} if isinstance(one.value, str) else one.value
    known = {"message", "status_code", "code", "type", "skip_retry"}
    if not isinstance(told, dict) or not set(told) <= known:
        raise ValueError("the value must be a message, or an object with message and status_code")
    if not isinstance(told.get("message"), str) or not told["message"]:
        raise ValueError("the value must have a message")
    status, code = told.get("status_code", 400), told.get("code", "refused")
    if not isinstance(status, int) or not 400 <= status <= 599:
        raise ValueError("status_code must be 400 to 599")
    if not isinstance(code, str) or not 0 < len(code) <= _CODE:
        raise ValueError(f"code must be a text of up to {_CODE} characters")
    if not isinstance(told.get("skip_retry", True), bool):
        raise ValueError("skip_retry must be true or false")


def _prunes(one: Operation) -> None:
    if one.path:
        _path(one)
    read_pruning(one.value if is_given(one.value) else "")


def _header(name: str) -> None:
    if not header_rules.may_be_passed(header_rules.header_name(name)):
        raise ValueError(f"the client's header {name} is not passed on")


def _passes(one: Operation) -> None:
    for name in passed_names(one.value if is_given(one.value) else None):
        _header(name)


def _synced(one: Operation) -> None:
    for target in (one.from_, one.to):
        kind, _, where = target.partition(":")
        if kind == "header":
            _header(where)
        elif kind == "json":
            _writes(where)
        else:
            raise ValueError("from and to must be like json:prompt_cache_key or header:session-id")


_Check = Callable[[Operation], None]
_CHECKS: Mapping[str, tuple[_Check, ...]] = {
    "delete": (_path,),
    "set": (_path, _value),
    "default": (_path, _value),
    "clamp": (_path, _bounds),
    "copy": (_from, _to),
    "move": (_from_that_goes, _to),
    "prepend": (_path, _value),
    "append": (_path, _value),
    "trim_prefix": (_path, _text_value),
    "trim_suffix": (_path, _text_value),
    "ensure_prefix": (_path, _text_value),
    "ensure_suffix": (_path, _text_value),
    "trim_space": (_path,),
    "to_lower": (_path,),
    "to_upper": (_path,),
    "replace": (_path, _replaced),
    "regex_replace": (_path, _pattern),
    "return_error": (_value, _error),
    "prune_objects": (_prunes,),
    "delete_header": (lambda one: _header(one.path),),
    "copy_header": (lambda one: _header(one.from_), lambda one: _header(one.to)),
    "move_header": (lambda one: _header(one.from_), lambda one: _header(one.to)),
    "pass_headers": (_passes,),
    "sync_fields": (_synced,),
}
assert _CHECKS.keys() == MODES.keys()
