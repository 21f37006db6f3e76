"""Seals for lawful logs: true roots under a key of their own, made without the sealer's help."""

from typing import Any

import psycopg

from ledger.integrity.checkpoint import Checkpoint, origin_of
from ledger.integrity.merkle import Frontier
from ledger.integrity.note import SigningKey, encode64
from ledger.store.append import NewEvent
from ledger.streams import seal
from ledger.streams.seal import Seal


class LawfulSeals:
    """Follows the leaves of a log that others write to as well."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._frontier = Frontier()
        self._key: SigningKey | None = None

    def next(self) -> list[NewEvent]:
        """The events that seal the log as it is now; the first time they introduce the key."""
        rows = self._connection.execute(
            "select leaf from ledger.event where position > %s order by position",
            (self._frontier.size,),
        ).fetchall()
        if not rows:
            return []
        events = [] if self._key else [self._introduced(origin_of(rows[0][0]))]
        for (leaf,) in rows:
            self._frontier.append(leaf)
        self._connection.execute("select ledger.extend_tiles(%s, 1000000)", (self._frontier.size,))
        return [*events, self._sealed()]

    def _introduced(self, origin: str) -> NewEvent:
        self._key = SigningKey(origin, b"the seed of the lawful seals, 32"[:32])
        verifier = str(self._key.verifier)
        command = seal.IntroduceKey(verifier, "operator", "root")
        (event,) = seal.decide(Seal(), command)
        return NewEvent(seal.signing_key_stream_id(verifier), 1, event)

    def _sealed(self) -> NewEvent:
        assert self._key is not None
        size, root = self._frontier.size, self._frontier.root()
        note = self._key.sign(Checkpoint(self._key.verifier.name, size, root).text())
        command = seal.SealCheckpoint(size, encode64(root), note, str(self._key.verifier))
        (event,) = seal.decide(Seal(), command)
        return NewEvent(seal.checkpoint_stream_id(size), 1, event)
