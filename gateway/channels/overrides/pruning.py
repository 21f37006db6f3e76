"""Taking objects out of a document by what they say of themselves."""

from typing import Any

import msgspec

from gateway.channels.overrides.conditions import Condition


class Pruning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which objects: those of a `type`, with all members of `where`, for which all `conditions`
    hold; with `recursive` those deep within as well.
    """

    type: str = ""
    where: dict[str, Any] = {}
    conditions: tuple[Condition, ...] = ()
    recursive: bool = True

    def is_about(self, one: dict[str, Any]) -> bool:
        """Whether an object is one of them."""
        wanted = {**self.where, **({"type": self.type} if self.type else {})}
        return all(one.get(name, _ABSENT) == value for name, value in wanted.items()) and all(
            each.holds(one, {}) for each in self.conditions
        )


_ABSENT = object()


def read_pruning(value: object) -> Pruning:
    """A type, or an object. Raises ValueError."""
    if isinstance(value, str):
        return read_pruning({"type": value})
    try:
        found = msgspec.convert(value, Pruning)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if not (found.type or found.where or found.conditions):
        raise ValueError("the value must say which objects: by type, where or conditions")
    return found


def pruned(holder: Any, value: object) -> None:  # noqa: ANN401 - JSON
    """Take the objects out of what a list or an object holds."""
    _prune(holder, read_pruning(value))


def _prune(holder: Any, pruning: Pruning) -> None:  # noqa: ANN401 - JSON
    if isinstance(holder, list):
        holder[:] = [each for each in holder if not _goes(each, pruning)]
        children = holder
    elif isinstance(holder, dict):
        for name in [name for name, each in holder.items() if _goes(each, pruning)]:
            del holder[name]
        children = list(holder.values())
    else:
        return
    if pruning.recursive:
        for child in children:
            _prune(child, pruning)


def _goes(one: object, pruning: Pruning) -> bool:
    return isinstance(one, dict) and pruning.is_about(one)
