"""Is the log the one that was sealed? Reads all leaves once and compares them with what else knows:

- `tile`: the stored tiles, which name the very position that differs;
- `seal`: every checkpoint in the log, its root and its signature;
- `signer`: the signer's own memory outside of Postgres, which nobody who rewrites or restores the
  database can reach.

That each leaf is the hash of its event is the affair of `ledger.fsck`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import IsolationLevel

from ledger.codec import decode
from ledger.errors import SigningRefused, UnknownTopic
from ledger.fsck import FINDINGS_PER_CHECK, Finding, at_most
from ledger.integrity.checkpoint import Checkpoint, origin_of
from ledger.integrity.merkle import HASH_BYTES, Frontier
from ledger.integrity.note import (
    MalformedNote,
    NoteRefused,
    VerifierKey,
    encode64,
    parse_note,
    verify_note,
)
from ledger.integrity.signer import LastSigned, read_last
from ledger.integrity.tiles import WIDTH, subtree_root
from ledger.streams.seal import CheckpointSealed, SigningKeyIntroduced

_ROWS_PER_FETCH = 20_000
_MISSING = bytes(HASH_BYTES)
"""In place of the leaf of a position that is not there: no leaf is equal to it."""
_GAP_MAX = 10_000

_SEALS = (
    "select position, topic, state from ledger.event where topic in "
    "('seal.CheckpointSealed.v1', 'seal.SigningKeyIntroduced.v1') order by position"
)
_LAST_SIZE = (
    "select position, topic, state from ledger.event "
    "where topic = 'seal.CheckpointSealed.v1' order by position desc limit 1"
)
_TILE = "select hashes, root from ledger.tile where level = %s and number = %s"

Connection = psycopg.Connection[Any]


def check_integrity(dsn: str, signer_folder: Path | None = None) -> Iterator[Finding]:
    """Every finding, as it is found. Any role that may read will do.

    `signer_folder`: the folder of this node's signer, if there is one.
    """
    # Before the snapshot is taken: whatever is signed was stored before.
    try:
        remembered = None if signer_folder is None else read_last(signer_folder)
    except SigningRefused as refusal:
        remembered = None
        yield Finding("signer", None, str(signer_folder), str(refusal))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            comparison = _Comparison(connection, remembered)
            yield from at_most(FINDINGS_PER_CHECK, comparison.findings())


class _Comparison:
    """The leaves stream by; tiles, seals and the signer's memory are compared on the way."""

    def __init__(self, connection: Connection, remembered: LastSigned | None) -> None:
        self._connection = connection
        self._frontier = Frontier()
        self._tiles = _Tiles(connection)
        self._seals = _Seals(connection, self._tiles)
        self._signer = _SignerMemory(remembered)

    def findings(self) -> Iterator[Finding]:
        with self._connection.cursor("leaves", binary=True) as cursor:
            cursor.itersize = _ROWS_PER_FETCH
            cursor.execute("select position, leaf from ledger.event order by position")
            for position, leaf in cursor:
                if position == 1:
                    yield from self._begin(origin_of(leaf))
                for _ in range(min(_GAP_MAX, position - 1 - self._frontier.size)):
                    yield from self._add(_MISSING)
                yield from self._add(leaf)
        yield from self._seals.end(self._frontier.size)
        yield from self._signer.end(self._frontier.size)

    def _begin(self, origin: str) -> Iterator[Finding]:
        self._seals.origin = origin
        yield from self._signer.begin(origin)

    def _add(self, leaf: bytes) -> Iterator[Finding]:
        self._frontier.append(leaf)
        yield from self._tiles.add(leaf)
        size = self._frontier.size
        if size == self._seals.next_size:
            yield from self._seals.check(self._frontier.root())
        if size == self._signer.size:
            yield from self._signer.check(self._frontier.root())


class _Tiles:
    """Tiles as they follow from the leaves, against those that are stored."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: list[list[bytes]] = []
        self._made: list[int] = []
        self._told = 0
        self.first_bad: int | None = None
        self._sealed_size = _sealed_size(connection)

    def add(self, leaf: bytes) -> Iterator[Finding]:
        """The next leaf."""
        yield from self._add(0, leaf)

    def _add(self, level: int, node: bytes) -> Iterator[Finding]:
        if level == len(self._open):
            self._open.append([])
            self._made.append(0)
        hashes = self._open[level]
        hashes.append(node)
        if len(hashes) < WIDTH:
            return
        number, root = self._made[level], subtree_root(hashes)
        if self._told < FINDINGS_PER_CHECK:
            yield from self._compare(level, number, b"".join(hashes), root)
        self._open[level] = []
        self._made[level] += 1
        yield from self._add(level + 1, root)

    def _compare(self, level: int, number: int, hashes: bytes, root: bytes) -> Iterator[Finding]:
        row = self._connection.execute(_TILE, (level, number), binary=True).fetchone()
        scope = f"tile {number} of level {level}"
        if row is None:
            if (number + 1) * WIDTH ** (level + 1) <= self._sealed_size:
                yield self._finding(None, scope, "is missing, though its events are sealed")
            return
        for place in _differences(row[0], hashes):
            if level:
                yield self._finding(None, scope, f"hash {place} is not that of the tile below it")
            else:
                position = number * WIDTH + place + 1
                self.first_bad = self.first_bad or position
                yield self._finding(position, scope, "the event is not the one that was sealed")
        if row[1] != root and row[0] == hashes:
            yield self._finding(None, scope, "its root is not that of its hashes")

    def _finding(self, position: int | None, scope: str, message: str) -> Finding:
        self._told += 1
        return Finding("tile", position, scope, message)


class _Seals:
    """The checkpoints in the log, in their order."""

    def __init__(self, connection: Connection, tiles: _Tiles) -> None:
        self._rows = _stream(connection)
        self._tiles = tiles
        self._keys: list[VerifierKey] = []
        self._next: tuple[int, CheckpointSealed] | None = None
        self._pending: list[Finding] = []
        self._agreed = 0
        self._is_broken = False
        self.origin = ""
        self._advance()

    @property
    def next_size(self) -> int:
        """The size of the tree at which the next root is wanted; 0: no more."""
        return 0 if self._next is None else self._next[1].size

    def check(self, root: bytes) -> Iterator[Finding]:
        """Compare the next seal with the root at its size."""
        assert self._next is not None
        position, sealed = self._next
        if sealed.root == encode64(root):
            self._agreed = sealed.size
        elif not self._is_broken:
            self._is_broken = True  # the roots after it differ all the same
            yield self._broken(position, sealed)
        yield from self._signature(position, sealed)
        yield from self._settled()

    def end(self, size: int) -> Iterator[Finding]:
        """After the last leaf."""
        yield from self._settled()
        while self._next is not None:
            position, sealed = self._next
            message = f"seals {sealed.size} events, and the log has {size}"
            yield Finding("seal", position, None, message)
            yield from self._settled()

    def _settled(self) -> Iterator[Finding]:
        self._advance()
        yield from self._pending
        self._pending = []

    def _advance(self) -> None:
        """Go to the next seal whose root is still to come."""
        before = 0 if self._next is None else self._next[1].size
        self._next = None
        for position, topic, state in self._rows:
            event = _decoded(topic, state)
            if event is None:
                continue  # `ledger.fsck` says so
            if isinstance(event, SigningKeyIntroduced):
                self._introduce(position, event)
            else:
                if before < event.size < position:
                    self._next = position, event
                    return
                message = f"seals {event.size} events, after {before}, at position {position}"
                self._pending.append(Finding("seal", position, None, message))

    def _introduce(self, position: int, event: SigningKeyIntroduced) -> None:
        try:
            self._keys.append(VerifierKey.parse(event.verifier))
        except MalformedNote as error:
            self._pending.append(Finding("seal", position, None, f"a signing key: {error}"))

    def _broken(self, position: int, sealed: CheckpointSealed) -> Finding:
        first, exact = self._agreed + 1, self._tiles.first_bad
        return Finding(
            "seal",
            exact if exact is not None else first,
            f"positions {first} to {sealed.size}",
            f"the log is not the one that was sealed at position {position}: "
            "something in this range was changed",
        )

    def _signature(self, position: int, sealed: CheckpointSealed) -> Iterator[Finding]:
        said = f"{self.origin}\n{sealed.size}\n{sealed.root}\n"
        try:
            note = parse_note(sealed.note)
            key = verify_note(note, self._keys)
            if note.text != said:
                yield Finding("seal", position, None, "its note says something else")
            if str(key) != sealed.verifier:
                yield Finding("seal", position, None, "it was signed with another key")
        except (MalformedNote, NoteRefused) as error:
            yield Finding("seal", position, None, f"its signature does not hold: {error}")


class _SignerMemory:
    """What this node's signer signed last."""

    def __init__(self, last: LastSigned | None) -> None:
        self._last = None if last is None or not last.size else last
        self.size = 0 if self._last is None else self._last.size

    def begin(self, origin: str) -> Iterator[Finding]:
        """The log's name is known."""
        if self._last is not None and self._last.origin != origin:
            message = f"signed {self._last.origin}, and this log is {origin}"
            yield Finding("signer", 1, None, message)

    def check(self, root: bytes) -> Iterator[Finding]:
        """The root at the size that was signed last."""
        assert self._last is not None
        if self._last.root != root:
            said = Checkpoint(*self._last.checkpoint())
            message = f"signed the root {encode64(said.root)} at size {said.size}, it is another"
            yield Finding("signer", None, f"positions 1 to {said.size}", message)

    def end(self, size: int) -> Iterator[Finding]:
        """After the last leaf."""
        if size < self.size:
            message = (
                f"signed {self.size} events, and the log ends at {size}: its end was cut off, "
                "or an older copy was restored"
            )
            yield Finding("signer", size + 1, None, message)


def _differences(stored: bytes, expected: bytes) -> list[int]:
    if stored == expected:
        return []
    return [
        place
        for place in range(WIDTH)
        if stored[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        != expected[place * HASH_BYTES : (place + 1) * HASH_BYTES]
    ]


def _sealed_size(connection: Connection) -> int:
    row = connection.execute(_LAST_SIZE, binary=True).fetchone()
    event = None if row is None else _decoded(row[1], row[2])
    return event.size if isinstance(event, CheckpointSealed) else 0


def _decoded(topic: str, state: bytes) -> CheckpointSealed | SigningKeyIntroduced | None:
    try:
        event = decode(topic, state)
    except (UnknownTopic, msgspec.MsgspecError, ValueError):
        return None
    return event if isinstance(event, CheckpointSealed | SigningKeyIntroduced) else None


def _stream(connection: Connection) -> Iterator[tuple[int, str, bytes]]:
    with connection.cursor("seals", binary=True) as cursor:
        cursor.execute(_SEALS)
        yield from cursor
