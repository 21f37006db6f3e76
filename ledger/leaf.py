"""The hash of one stored event: what tells a changed byte, and the leaf of the Merkle log.

SHA-256 of 0x00 (RFC 6962, 2.1: the prefix of a leaf) and the fields position, originator_id,
originator_version, recorded_at in microseconds, account_id, account_seq, topic, state: each
preceded by its length in four big-endian bytes, integers as eight big-endian bytes, ids as their
sixteen bytes, an absent account as length 0. `append_slice` in the first migration computes the
same in the database; a golden vector in the tests holds the two together.
"""

import hashlib
import struct
from uuid import UUID

_EIGHT = struct.pack(">i", 8)
_SIXTEEN = struct.pack(">i", 16)
_ABSENT = bytes(8)


def leaf(
    position: int,
    stream_id: UUID,
    version: int,
    recorded_at_us: int,
    account: tuple[UUID, int] | None,
    event: tuple[str, bytes],
) -> bytes:
    """The 32 bytes; `account` is (account_id, account_seq), `event` is (topic, state)."""
    entry = entry_bytes(position, stream_id, version, recorded_at_us, account, event)
    return hashlib.sha256(b"\x00" + entry).digest()


def entry_bytes(
    position: int,
    stream_id: UUID,
    version: int,
    recorded_at_us: int,
    account: tuple[UUID, int] | None,
    event: tuple[str, bytes],
) -> bytes:
    """What the leaf is the hash of, after its prefix: the entry of the Merkle log."""
    topic, state = event[0].encode(), event[1]
    parts = [
        _EIGHT + struct.pack(">q", position),
        _SIXTEEN + stream_id.bytes,
        _EIGHT + struct.pack(">q", version),
        _EIGHT + struct.pack(">q", recorded_at_us),
        _ABSENT
        if account is None
        else _SIXTEEN + account[0].bytes + _EIGHT + struct.pack(">q", account[1]),
        struct.pack(">i", len(topic)) + topic,
        struct.pack(">i", len(state)) + state,
    ]
    return b"".join(parts)
