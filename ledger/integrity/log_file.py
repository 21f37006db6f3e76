"""A whole log as a file that proves itself: `tollgate ledger export --format jsonl --what events`.

One JSON object a line, in the order of positions, from position 1 on:

    position, version, account_seq   integers (account_seq is null where account_id is)
    stream_id, account_id            ids as text
    recorded_at                      RFC 3339 with microseconds, UTC
    topic                            the type of event
    state                            the event's own JSON, byte for byte as it is stored
    leaf                             its leaf in the Merkle tree, hex; only compared, never believed

That is all it takes to compute every leaf anew. `ledger/export/tables.py` writes it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from ledger.integrity.entry import Entry
from ledger.store.reader import Recorded
from ledger.streams.contract import Event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class LoggedEvent(NamedTuple):
    """One line: an entry, and the leaf that the file gives it."""

    entry: Entry
    leaf: bytes


class MalformedLine(Exception):
    """A line that is not an event. `number` counts from 1."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"line {number} is not an event of a log: {reason}")
        self.number = number


class _Line(msgspec.Struct, frozen=True):
    position: int
    recorded_at: datetime
    stream_id: UUID
    version: int
    topic: str
    account_id: UUID | None
    account_seq: int | None
    state: msgspec.Raw
    leaf: str


_DECODER = msgspec.json.Decoder(_Line)


def is_log_line(line: bytes) -> bool:
    """Whether a file that begins like this is a log."""
    try:
        _DECODER.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def read_log(lines: Iterable[bytes]) -> Iterator[LoggedEvent]:
    """The events of a file. Raises MalformedLine."""
    for number, text in enumerate(lines, 1):
        try:
            line = _DECODER.decode(text)
            leaf = bytes.fromhex(line.leaf)
        except (msgspec.MsgspecError, ValueError) as error:
            raise MalformedLine(number, str(error)) from error
        if (line.account_id is None) != (line.account_seq is None):
            raise MalformedLine(number, "an account without a number, or a number without one")
        yield LoggedEvent(_entry(line), leaf)


def recorded_entry(entry: Entry, event: Event) -> Recorded:
    """An entry with its event, as everything that folds the log takes it."""
    account_id, account_seq = entry.account or (None, None)
    return Recorded(
        entry.position,
        entry.stream_id,
        entry.version,
        entry.topic,
        _EPOCH + entry.recorded_at_us * _MICROSECOND,
        account_id,
        account_seq,
        event,
    )


def _entry(line: _Line) -> Entry:
    account = None
    if line.account_id is not None:
        assert line.account_seq is not None
        account = (line.account_id, line.account_seq)
    return Entry(
        position=line.position,
        stream_id=line.stream_id,
        version=line.version,
        recorded_at_us=(line.recorded_at - _EPOCH) // _MICROSECOND,
        account=account,
        topic=line.topic,
        state=bytes(line.state),
    )
