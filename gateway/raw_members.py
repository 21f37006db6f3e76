"""A JSON object whose top-level members are replaced or dropped; all others keep their bytes."""

from collections.abc import Iterable, Mapping

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


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
