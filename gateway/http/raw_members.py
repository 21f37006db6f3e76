"""A JSON object whose top-level members are replaced or dropped; all others keep their bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Edits:
    """Top-level members that are replaced (or added, at the end), left out because they are now
    said otherwise (`moved`), or left out for good (`lost`).
    """

    replaced: Mapping[str, Any] = field(default_factory=dict)
    moved: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is edited."""
        return bool(self.replaced or self.moved or self.lost)

    @property
    def dropped(self) -> tuple[str, ...]:
        """What is not in the document any more."""
        return (*self.moved, *self.lost)

    def of(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with the edits made."""
        kept = {name: value for name, value in document.items() if name not in self.dropped}
        return {**kept, **self.replaced}

    def and_set(self, members: Mapping[str, Any]) -> "Edits":
        """With more members replaced."""
        return Edits({**self.replaced, **members}, self.moved, self.lost)

    def and_then(self, later: "Edits") -> "Edits":
        """With other edits made after these."""
        return Edits(
            {**self.replaced, **later.replaced},
            (*self.moved, *later.moved),
            (*self.lost, *later.lost),
        )


def edited(body: bytes, replaced: Mapping[str, object], dropped: Iterable[str] = ()) -> bytes:
    """`body` with some members replaced (or added, at the end) and others left out."""
    members = _MEMBERS.decode(body)
    for name in dropped:
        members.pop(name, None)
    for name, value in replaced.items():
        members[name] = msgspec.Raw(msgspec.json.encode(value))
    return msgspec.json.encode(members)


def members_of(body: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The members of an object, each as its bytes."""
    return _MEMBERS.decode(body)
