"""Reads the tree from Postgres: tiles, roots, proofs, and what was sealed. O(log n) reads each."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from ledger.codec import decode
from ledger.errors import IntegrityBroken, NotFound, NotSealedYet
from ledger.integrity import merkle
from ledger.integrity.checkpoint import origin_of
from ledger.integrity.entry import ENTRY_COLUMNS, Entry, entry_of
from ledger.integrity.merkle import HASH_BYTES, HashOf, Node
from ledger.integrity.proof import ConsistencyProof, Receipt
from ledger.integrity.tiles import WIDTH, Tile, hash_in, tiles_of
from ledger.streams.seal import CheckpointSealed, SigningKeyIntroduced

Connection = AsyncConnection[Any]

LAST_SEALED = (
    "select position, topic, state from ledger.event "
    "where topic = 'seal.CheckpointSealed.v1' order by position desc limit 1"
)
_INTRODUCED = (
    "select position, topic, state from ledger.event "
    "where topic = 'seal.SigningKeyIntroduced.v1' order by position"
)
_FULL = (
    "select level, number, hashes from ledger.tile join unnest(%s::int8[], %s::int8[]) "
    "as wanted (level, number) using (level, number)"
)
_LEAVES = "select leaf from ledger.event where position > %s and position <= %s order by position"
_ROOTS = (
    "select root from ledger.tile where level = %s and number >= %s and number < %s order by number"
)
_ENTRY = f"select {ENTRY_COLUMNS} from ledger.event where "  # noqa: S608 - a constant


class SealedAt(NamedTuple):
    """A seal and where it stands in the log; always behind everything that it seals."""

    position: int
    sealed: CheckpointSealed


async def read_origin(connection: Connection) -> str | None:
    """The name of the log; None while nothing is in it."""
    cursor = await connection.execute("select leaf from ledger.event where position = 1")
    row = await cursor.fetchone()
    return None if row is None else origin_of(row[0])


async def read_last_sealed(connection: Connection) -> SealedAt | None:
    """The newest seal; None where there is none."""
    row = await (await connection.execute(LAST_SEALED, binary=True)).fetchone()
    if row is None:
        return None
    event = decode(row[1], row[2])
    assert isinstance(event, CheckpointSealed)
    return SealedAt(row[0], event)


async def read_introduced(connection: Connection) -> list[tuple[int, SigningKeyIntroduced]]:
    """Every signing key of the log, with the position of its introduction, oldest first."""
    rows = await (await connection.execute(_INTRODUCED, binary=True)).fetchall()
    introduced = []
    for position, topic, state in rows:
        event = decode(topic, state)
        assert isinstance(event, SigningKeyIntroduced)
        introduced.append((position, event))
    return introduced


async def require_sealed(connection: Connection, size: int | None = None) -> SealedAt:
    """The newest seal. Raises NotSealedYet where there is none, or none that covers `size`."""
    last = await read_last_sealed(connection)
    if last is None or (size is not None and last.sealed.size < size):
        raise NotSealedYet("no signed checkpoint covers that much of the log yet")
    return last


async def read_root(connection: Connection, size: int) -> bytes:
    """The root at a size whose full tiles are stored. Raises IntegrityBroken."""
    hash_of = await _hashes(connection, merkle.root_nodes(size), size)
    return merkle.root(size, hash_of)


async def read_inclusion(connection: Connection, position: int, size: int) -> tuple[bytes, ...]:
    """The audit path of the event at a position. Raises IntegrityBroken."""
    nodes = merkle.inclusion_nodes(position - 1, size)
    return merkle.inclusion_proof(position - 1, size, await _hashes(connection, nodes, size))


async def read_inclusions(
    connection: Connection, positions: Sequence[int], size: int
) -> list[tuple[bytes, ...]]:
    """The audit paths of several events. Raises IntegrityBroken."""
    nodes = [node for each in positions for node in merkle.inclusion_nodes(each - 1, size)]
    hash_of = await _hashes(connection, nodes, size)
    return [merkle.inclusion_proof(each - 1, size, hash_of) for each in positions]


async def read_consistency(connection: Connection, old_size: int, size: int) -> ConsistencyProof:
    """That the log only grew from one size to another. Raises IntegrityBroken."""
    nodes = merkle.consistency_nodes(old_size, size)
    hash_of = await _hashes(connection, nodes, size)
    return ConsistencyProof(old_size, size, merkle.consistency_proof(old_size, size, hash_of))


async def read_tile(connection: Connection, tile: Tile) -> bytes:
    """The hashes of a tile, side by side. Raises IntegrityBroken where they are not there."""
    if tile.is_full:
        tiles = await _read_full(connection, [tile])
        return tiles[tile.level, tile.number]
    if tile.level == 0:
        given: Sequence[int] = (tile.first, tile.first + tile.width)
        cursor = await connection.execute(_LEAVES, given, binary=True)
    else:
        given = (tile.level - 1, tile.first, tile.first + tile.width)
        cursor = await connection.execute(_ROOTS, given, binary=True)
    hashes = b"".join(row[0] for row in await cursor.fetchall())
    if len(hashes) != tile.width * HASH_BYTES:
        raise IntegrityBroken(f"a part of tile {tile.number} of level {tile.level} is missing")
    return hashes


async def read_receipt(connection: Connection, entry: Entry, *, is_shown: bool = True) -> Receipt:
    """The proof that an event is in the newest sealed log, with the event itself if `is_shown`.

    Raises NotSealedYet, IntegrityBroken.
    """
    _, sealed = await require_sealed(connection, entry.position)
    proof = await read_inclusion(connection, entry.position, sealed.size)
    extra = entry.to_bytes() if is_shown else entry.leaf()
    return Receipt(entry.position - 1, proof, sealed.note, extra)


async def require_entry(connection: Connection, position: int) -> Entry:
    """The event at a position as it lies there. Raises NotFound."""
    entry = await read_entry(connection, position)
    if entry is None:
        raise NotFound("no such event")
    return entry


async def read_entry(connection: Connection, position: int) -> Entry | None:
    """The event at a position as it lies there."""
    cursor = await connection.execute((_ENTRY + "position = %s").encode(), (position,), binary=True)
    row = await cursor.fetchone()
    return None if row is None else entry_of(row)


async def read_account_entries(
    connection: Connection, account_id: UUID, last_position: int
) -> list[Entry]:
    """The events of an account up to a position, oldest first."""
    cursor = await connection.execute(
        (_ENTRY + "account_id = %s and position <= %s order by position").encode(),
        (account_id, last_position),
        binary=True,
    )
    return [entry_of(row) for row in await cursor.fetchall()]


async def _hashes(connection: Connection, nodes: Iterable[Node], size: int) -> HashOf:
    wanted = tiles_of(nodes, size)
    tiles = await _read_full(connection, [tile for tile in wanted if tile.is_full])
    for tile in wanted:
        if not tile.is_full:
            tiles[tile.level, tile.number] = await read_tile(connection, tile)
    return _looked_up(tiles)


def _looked_up(tiles: dict[tuple[int, int], bytes]) -> Callable[[Node], bytes]:
    return lambda node: hash_in(tiles, node)


async def _read_full(
    connection: Connection, wanted: Sequence[Tile]
) -> dict[tuple[int, int], bytes]:
    if not wanted:
        return {}
    places = [tile.level for tile in wanted], [tile.number for tile in wanted]
    rows = await (await connection.execute(_FULL, places, binary=True)).fetchall()
    if len(rows) != len(wanted) or any(len(row[2]) != WIDTH * HASH_BYTES for row in rows):
        raise IntegrityBroken("a tile of the tree is missing")
    return {(level, number): hashes for level, number, hashes in rows}
