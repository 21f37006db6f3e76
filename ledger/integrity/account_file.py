"""Everything an account was ever charged and credited, provable by whoever holds the file.

One JSON object a line (NDJSON). The first names the account and carries the checkpoint; then comes
one line for each event of the account, from its first (`account_seq` 1) on without a gap, with the
entry (entry.py) and its inclusion proof in base64; the last states the balance they come to.

    {"format": "tollgate-account/1", "account_id": ..., "events": 2, "checkpoint": "..."}
    {"entry": "...", "proof": ["...", ...]}
    {"posted_nanos": ..., "held_nanos": ..., "events": 2}

That nothing is left out follows from the numbers, which are part of what is hashed. That nothing
is missing at the end does not: compare with a file of a later checkpoint.
"""

from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from ledger.budget import BudgetFold
from ledger.codec import decode
from ledger.errors import NotFound
from ledger.integrity.entry import Entry
from ledger.integrity.log_file import recorded_entry
from ledger.integrity.reading import read_account_entries, read_inclusions, require_sealed

FORMAT = "tollgate-account/1"
_PROOFS_AT_ONCE = 100


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    format: str
    account_id: UUID
    events: int
    checkpoint: str


class ProvenEvent(msgspec.Struct, frozen=True):
    """A line of the middle."""

    entry: bytes
    proof: tuple[bytes, ...]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The last line."""

    posted_nanos: int
    held_nanos: int
    events: int


async def account_file(connection: AsyncConnection, account_id: UUID) -> bytes:
    """The file of an account, up to the newest checkpoint. Raises NotFound, NotSealedYet."""
    _, sealed = await require_sealed(connection)
    entries = await read_account_entries(connection, account_id, sealed.size)
    if not entries:
        raise NotFound("no such account, or nothing of it is sealed yet")
    head = Head(format=FORMAT, account_id=account_id, events=len(entries), checkpoint=sealed.note)
    lines: list[msgspec.Struct] = [head]
    for start in range(0, len(entries), _PROOFS_AT_ONCE):
        some = entries[start : start + _PROOFS_AT_ONCE]
        proofs = await read_inclusions(connection, [each.position for each in some], sealed.size)
        lines += [
            ProvenEvent(entry.to_bytes(), proof) for entry, proof in zip(some, proofs, strict=True)
        ]
    lines.append(total_of(account_id, entries))
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def total_of(account_id: UUID, entries: list[Entry]) -> Total:
    """What an account's events come to. Raises UnknownTopic, msgspec.MsgspecError."""
    fold = BudgetFold()
    for entry in entries:
        fold.add(recorded_entry(entry, decode(entry.topic, entry.state)))
    total = fold.totals[account_id]
    return Total(posted_nanos=total.posted_nanos, held_nanos=total.held_nanos, events=len(entries))
