"""An entry of the Merkle log: the bytes of one stored event that its leaf is the hash of.

The fields and their order are those of ledger/leaf.py: leaf = SHA-256(0x00, entry).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ledger.integrity.merkle import leaf_hash
from ledger.leaf import entry_bytes

ENTRY_COLUMNS = (
    "position, originator_id, originator_version, "
    "(extract(epoch from recorded_at) * 1000000)::int8, account_id, account_seq, topic, state"
)
"""Of `ledger.event`: what `entry_of` expects, in this order, from a binary cursor."""


class MalformedEntry(Exception):
    """The bytes are not an entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored event, as it lies there. `account` is (account_id, account_seq)."""

    position: int
    stream_id: UUID
    version: int
    recorded_at_us: int
    account: tuple[UUID, int] | None
    topic: str
    state: bytes

    @property
    def account_id(self) -> UUID | None:
        """Whose event it is, if anybody's."""
        return None if self.account is None else self.account[0]

    def to_bytes(self) -> bytes:
        """What is hashed, after 0x00."""
        return entry_bytes(
            self.position,
            self.stream_id,
            self.version,
            self.recorded_at_us,
            self.account,
            (self.topic, self.state),
        )

    def leaf(self) -> bytes:
        """Its leaf in the tree, at index position - 1."""
        return leaf_hash(self.to_bytes())


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row of ENTRY_COLUMNS."""
    position, stream_id, version, recorded_at_us, account_id, account_seq, topic, state = row
    account = None if account_id is None else (account_id, account_seq)
    return Entry(position, stream_id, version, recorded_at_us, account, topic, state)


def parse_entry(content: bytes) -> Entry:
    """Raises MalformedEntry."""
    fields = _fields(content)
    sizes = [len(each) for each in fields]
    if len(fields) != 8 or sizes[:4] != [8, 16, 8, 8] or sizes[4:6] not in ([0, 0], [16, 8]):
        raise MalformedEntry("not the fields of an event")
    try:
        topic = fields[6].decode()
    except UnicodeDecodeError as error:
        raise MalformedEntry("a topic that is not UTF-8") from error
    return Entry(
        position=_integer(fields[0]),
        stream_id=UUID(bytes=fields[1]),
        version=_integer(fields[2]),
        recorded_at_us=_integer(fields[3]),
        account=(UUID(bytes=fields[4]), _integer(fields[5])) if fields[4] else None,
        topic=topic,
        state=fields[7],
    )


def _fields(content: bytes) -> list[bytes]:
    fields, place = list[bytes](), 0
    while place < len(content):
        start = place + 4
        if start > len(content):
            raise MalformedEntry("it ends in the middle of a length")
        place = start + int.from_bytes(content[start - 4 : start], "big")
        if place > len(content):
            raise MalformedEntry("it ends in the middle of a field")
        fields.append(content[start:place])
    return fields


def _integer(field: bytes) -> int:
    number: int = struct.unpack(">q", field)[0]
    return number
