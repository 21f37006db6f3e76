"""Seals the log: extends the tiles, computes the root, has it signed, and appends what was signed.

Whatever fails in between leaves nothing wrong behind. If it is after the signature, the signer
remembers a checkpoint that the log does not have: the next one continues it, or is the same.
"""

from dataclasses import dataclass
from typing import Any

from psycopg_pool import AsyncConnectionPool

from ledger.application import Ledger
from ledger.errors import SigningRefused
from ledger.integrity.checkpoint import Checkpoint
from ledger.integrity.note import encode64
from ledger.integrity.reading import (
    Connection,
    SealedAt,
    read_consistency,
    read_introduced,
    read_last_sealed,
    read_origin,
    read_root,
)
from ledger.integrity.signer import LastSigned
from ledger.integrity.signing import AnySigner
from ledger.store.reader import read_head
from ledger.streams import seal
from ledger.streams.seal import IntroduceKey, SealCheckpoint

EVERY_EVENTS = 10_000
EVERY_S = 60
"""A seal is due when so many events are unsealed, or one of them for so long."""

TILES_PER_STATEMENT = 256
_LOCK = 0x7365616C  # "seal": of several nodes one seals at a time

_UNSEALED = """
    select h.position - %(size)s >= %(events)s
           or clock_timestamp() - e.recorded_at >= make_interval(secs => %(seconds)s)
    from ledger.head h, ledger.event e
    where e.position > %(size)s and e.topic <> 'seal.CheckpointSealed.v1'
    order by e.position limit 1
"""


@dataclass(frozen=True, slots=True)
class Sealer:
    """What it takes to seal. `actor` is named by the event that introduces the first key."""

    pool: AsyncConnectionPool[Any]
    ledger: Ledger
    signer: AnySigner
    actor: str = "sealer"

    async def seal_if_due(self) -> SealedAt | None:
        """Seal if it is time to; None where it is not, or another node is at it.

        Raises SigningRefused, IntegrityBroken, NotStored, StoreUnavailable, psycopg.Error.
        """
        return await self._seal(is_due_only=True)

    async def seal(self) -> SealedAt | None:
        """Seal everything there is; the newest seal, made now or earlier. None: an empty log.

        Raises like `seal_if_due`.
        """
        return await self._seal(is_due_only=False)

    async def _seal(self, *, is_due_only: bool) -> SealedAt | None:
        async with self.pool.connection() as connection, connection.transaction():
            row = await (
                await connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
            ).fetchone()
            if row is None or not row[0]:
                if is_due_only:
                    return None
                await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            last = await read_last_sealed(connection)
            due = await _is_due(connection, 0 if last is None else last.sealed.size)
            if due is None or (is_due_only and not due):
                return None if is_due_only else last
            return await self._seal_now(connection, is_first=last is None)

    async def _seal_now(self, connection: Connection, *, is_first: bool) -> SealedAt:
        origin = await read_origin(connection)
        assert origin is not None, "something is unsealed"
        signer = await self.signer.last(origin)
        await self._require_introduced(connection, signer, is_first=is_first)
        size, _ = await read_head(connection)
        await extend_tiles(self.pool, size)
        root = await read_root(connection, size)
        proof: tuple[bytes, ...] = ()
        if signer.size <= size:
            proof = (await read_consistency(connection, signer.size, size)).hashes
        signed = await self.signer.sign(Checkpoint(origin, size, root), proof)
        command = SealCheckpoint(size, encode64(root), signed.note, signed.verifier)
        stream_id = seal.checkpoint_stream_id(size)
        await self.ledger.handle(seal.STREAM, stream_id, command)
        (stored,) = await self.ledger.events(stream_id)
        assert isinstance(stored.event, seal.CheckpointSealed)
        return SealedAt(stored.position, stored.event)

    async def _require_introduced(
        self, connection: Connection, signer: LastSigned, *, is_first: bool
    ) -> None:
        introduced = await read_introduced(connection)
        if any(event.verifier == signer.verifier for _, event in introduced):
            return
        if introduced or not is_first or signer.size:
            raise SigningRefused(
                "the signing key of this node is not one of this log's: "
                "run `tollgate ledger signing-key introduce` on this node"
            )
        await introduce(self.ledger, IntroduceKey(signer.verifier, "first", self.actor))


async def introduce(ledger: Ledger, command: IntroduceKey) -> None:
    """Make a signing key known to the log. Raises NotStored, StoreUnavailable."""
    await ledger.handle(seal.STREAM, seal.signing_key_stream_id(command.verifier), command)


async def extend_tiles(pool: AsyncConnectionPool[Any], size: int) -> int:
    """Store the tiles that are full at a size of the log; how many were made now.

    They are committed before any seal is that makes readers look for them.
    """
    made = 0
    while True:
        async with pool.connection() as connection:
            cursor = await connection.execute(
                "select ledger.extend_tiles(%s, %s)", (size, TILES_PER_STATEMENT)
            )
            row = await cursor.fetchone()
        assert row is not None
        made += int(row[0])
        if row[0] < TILES_PER_STATEMENT:
            return made


async def _is_due(connection: Connection, size: int) -> bool | None:
    """Whether it is time to seal what came after `size`; None: nothing came but seals."""
    given = {"size": size, "events": EVERY_EVENTS, "seconds": EVERY_S}
    row = await (await connection.execute(_UNSEALED, given)).fetchone()
    return None if row is None else bool(row[0])
