"""What can be done to a request: one row a mode.

An operation that does not fit what a request holds (a text to trim that is a number, a place that
is not there) leaves it as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gateway.channels.overrides import headers as header_rules
from gateway.channels.overrides.conditions import Condition
from gateway.channels.overrides.paths import (
    EVERY,
    MISSING,
    Path,
    Spot,
    places,
    read_path,
    value_at,
)
from gateway.channels.overrides.pruning import pruned

_LARGEST = 64 * 1024 * 1024


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As it is written. `path`, `from`, `to`: places, or names of headers. `keep_origin`: what is
    there already stays.
    """

    mode: str
    path: str = ""
    value: Any = UNSET
    from_: str = msgspec.field(name="from", default="")
    to: str = ""
    keep_origin: bool = False
    conditions: tuple[Condition, ...] = ()
    logic: Literal["AND", "OR"] = "OR"

    def is_due(self, document: dict[str, Any], known: Mapping[str, Any]) -> bool:
        """Whether its conditions hold; one of them, or with AND all."""
        if not self.conditions:
            return True
        held = (each.holds(document, known) for each in self.conditions)
        return all(held) if self.logic == "AND" else any(held)


class Ended(Exception):
    """An operation answers the call itself."""

    def __init__(self, message: str, status: int, code: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.message, self.status, self.code, self.is_final = message, status, code, is_final


@dataclass(slots=True)
class Request:
    """A request on its way. `touched`: the top-level members that may have changed. `headers`: what
    is sent besides, by lower-case name; `client`: what the client sent and may be passed on.
    """

    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    client: Mapping[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    def touch(self, path: Path) -> None:
        """Before something there is changed."""
        if path[0] == EVERY:
            self.touched.update(self.document)
        self.touched.add(path[0])


def _put(place: Spot, value: Any) -> None:  # noqa: ANN401 - JSON
    holder, key = place
    if isinstance(holder, list) and key == len(holder):
        holder.append(value)
    else:
        holder[key] = value


def _is_there(place: Spot) -> bool:
    holder, key = place
    return key in holder if isinstance(holder, dict) else int(key) < len(holder)


def _take_out(place: Spot) -> None:
    holder, key = place
    del holder[key]


def _copied(value: Any) -> Any:  # noqa: ANN401 - JSON
    encoded = msgspec.json.encode(value)
    _require_room(len(encoded))
    return msgspec.json.decode(encoded)


def _require_room(size: int) -> None:
    """Before something is made that a client has a say in how large it gets."""
    if size > _LARGEST:
        raise ValueError("what an override makes of this request is too large")


def _delete(request: Request, one: Operation) -> None:
    path = read_path(one.path)
    request.touch(path)
    for place in reversed(list(places(request.document, path))):  # numbers stay true
        _take_out(place)


def _set(request: Request, one: Operation) -> None:
    _set_at(request, read_path(one.path), one.value, keeps=one.keep_origin)


def _default(request: Request, one: Operation) -> None:
    _set_at(request, read_path(one.path), one.value, keeps=True)


def _set_at(request: Request, path: Path, value: Any, *, keeps: bool = False) -> None:  # noqa: ANN401
    request.touch(path)
    for place in list(places(request.document, path, creates=True)):
        if not (keeps and _is_there(place)):
            _put(place, _copied(value))


def _clamp(request: Request, one: Operation) -> None:
    least, most = one.value.get("min"), one.value.get("max")

    def clamped(found: Any) -> Any:  # noqa: ANN401
        if not isinstance(found, int | float) or isinstance(found, bool):
            return found
        found = found if least is None else max(found, least)
        return found if most is None else min(found, most)

    _changed(request, one, clamped)


def _changed(request: Request, one: Operation, change: Callable[[Any], Any]) -> None:
    path = read_path(one.path)
    request.touch(path)
    for holder, key in places(request.document, path):
        holder[key] = change(holder[key])


def _copy(request: Request, one: Operation) -> None:
    found = value_at(request.document, read_path(one.from_))
    if found is not MISSING:
        _set_at(request, read_path(one.to), found, keeps=one.keep_origin)


def _move(request: Request, one: Operation) -> None:
    source = read_path(one.from_)
    found = value_at(request.document, source)
    if found is MISSING:
        return
    request.touch(source)
    for place in reversed(list(places(request.document, source))):
        _take_out(place)
    _set_at(request, read_path(one.to), found, keeps=one.keep_origin)


def _prepend(request: Request, one: Operation) -> None:
    _changed(request, one, lambda found: _joined(one.value, found, one, is_before=True))


def _append(request: Request, one: Operation) -> None:
    _changed(request, one, lambda found: _joined(found, one.value, one, is_before=False))


def _joined(first: Any, second: Any, one: Operation, *, is_before: bool) -> Any:  # noqa: ANN401
    """Texts and lists one after the other; of objects the members of both, the new ones' unless
    what is there is to stay.
    """
    found = second if is_before else first
    if isinstance(found, str) and isinstance(one.value, str):
        return first + second
    if isinstance(found, list):
        given = one.value if isinstance(one.value, list) else [one.value]
        return [*given, *found] if is_before else [*found, *given]
    if isinstance(found, dict) and isinstance(one.value, dict):
        return {**one.value, **found} if one.keep_origin else {**found, **one.value}
    return found


def _of_texts(change: Callable[[str, Operation], str]) -> Callable[[Request, Operation], None]:
    def done(request: Request, one: Operation) -> None:
        _changed(request, one, lambda at: change(at, one) if isinstance(at, str) else at)

    return done


def _ensured_prefix(text: str, one: Operation) -> str:
    return text if text.startswith(one.value) else one.value + text


def _ensured_suffix(text: str, one: Operation) -> str:
    return text if text.endswith(one.value) else text + one.value


def _replaced(text: str, one: Operation) -> str:
    _require_room(len(text) + text.count(one.from_) * len(one.to))
    return text.replace(one.from_, one.to)


def _replaced_by_pattern(text: str, one: Operation) -> str:
    _require_room((len(text) + 1) * (len(one.to) + 1))
    told: str = header_rules.compiled(one.from_).sub(one.to, text)
    return told


def _return_error(_request: Request, one: Operation) -> None:
    told = one.value if isinstance(one.value, dict) else {"message": one.value}
    raise Ended(
        told["message"],
        told.get("status_code", 400),
        told.get("code", "refused_by_channel"),
        is_final=told.get("skip_retry", True),
    )


def _prune(request: Request, one: Operation) -> None:
    if not one.path:
        request.touch((EVERY,))
        pruned(request.document, one.value)
        return
    path = read_path(one.path)
    request.touch(path)
    for holder, key in places(request.document, path):
        pruned(holder[key], one.value)


def _sent(request: Request, name: str) -> str | None:
    lower = name.lower()
    sent = request.client.get(lower)
    return request.headers.get(lower, None if sent is None else header_rules.literal(sent))


def _delete_header(request: Request, one: Operation) -> None:
    request.headers.pop(one.path.lower(), None)


def _copy_header(request: Request, one: Operation) -> None:
    found, to = _sent(request, one.from_), one.to.lower()
    if found is not None and not (one.keep_origin and to in request.headers):
        request.headers[to] = found


def _move_header(request: Request, one: Operation) -> None:
    _copy_header(request, one)
    request.headers.pop(one.from_.lower(), None)


def _pass_headers(request: Request, one: Operation) -> None:
    for name in passed_names(one.value):
        found = request.client.get(name)
        if found is not None and not (one.keep_origin and name in request.headers):
            request.headers[name] = header_rules.literal(found)


def passed_names(value: object) -> list[str]:
    """The names that `pass_headers` names, in a list or parted by commas, in lower case. Raises
    ValueError.
    """
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("names of headers are a list, or a text with commas")
    return [header_rules.header_name(each) for each in value]


def _sync_fields(request: Request, one: Operation) -> None:
    """What one of two places says, the other says too, where it says nothing."""
    first, second = _synced(request, one.from_), _synced(request, one.to)
    if first is not None and second is None:
        _sync_to(request, one.to, first)
    elif second is not None and first is None:
        _sync_to(request, one.from_, second)


def _synced(request: Request, target: str) -> str | None:
    kind, _, where = target.partition(":")
    if kind == "header":
        return request.client.get(where.lower())
    found = value_at(request.document, read_path(where))
    return found if isinstance(found, str) and found else None


def _sync_to(request: Request, target: str, value: str) -> None:
    kind, _, where = target.partition(":")
    if kind == "header":
        request.headers[where.lower()] = header_rules.literal(value)
    else:
        _set_at(request, read_path(where), value)


MODES: Mapping[str, Callable[[Request, Operation], None]] = {
    "delete": _delete,
    "set": _set,
    "default": _default,
    "clamp": _clamp,
    "copy": _copy,
    "move": _move,
    "prepend": _prepend,
    "append": _append,
    "trim_prefix": _of_texts(lambda text, one: text.removeprefix(one.value)),
    "trim_suffix": _of_texts(lambda text, one: text.removesuffix(one.value)),
    "ensure_prefix": _of_texts(_ensured_prefix),
    "ensure_suffix": _of_texts(_ensured_suffix),
    "trim_space": _of_texts(lambda text, _: text.strip()),
    "to_lower": _of_texts(lambda text, _: text.lower()),
    "to_upper": _of_texts(lambda text, _: text.upper()),
    "replace": _of_texts(_replaced),
    "regex_replace": _of_texts(_replaced_by_pattern),
    "return_error": _return_error,
    "prune_objects": _prune,
    "delete_header": _delete_header,
    "copy_header": _copy_header,
    "move_header": _move_header,
    "pass_headers": _pass_headers,
    "sync_fields": _sync_fields,
}


def is_given(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether an operation has a value; null is one."""
    return not isinstance(value, UnsetType)
