"""Proofs for everybody: the newest checkpoint, the tree, and receipts for whose events they are."""

import re
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.access.permissions import Owner
from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from ledger.codec import decode
from ledger.errors import NotFound
from ledger.integrity import reading
from ledger.integrity.account_file import account_file
from ledger.integrity.entry import Entry
from ledger.integrity.proof import ConsistencyProof, Receipt
from ledger.integrity.tiles import MalformedTilePath, Tile, parse_tile_path
from ledger.streams import seal
from ledger.streams.charge.events import ChargeAdjusted
from ledger.streams.credit import CreditGranted
from ledger.streams.seal import Seal

POSITION_MAX = 2**62

_SHOWN_TO_OWNERS = frozenset({CreditGranted.TOPIC, ChargeAdjusted.TOPIC})

_POSITION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_EVENT = re.compile(r"([0-9a-fA-F-]{32,36})(?::([1-9][0-9]{0,8}))?", re.ASCII)
_AT_VERSION = (
    "select position from ledger.event where originator_id = %s "
    "and (%s::int8 is null or originator_version = %s) order by originator_version desc limit 1"
)


async def read_checkpoint(desk: Desk) -> str:
    """The newest checkpoint, a signed note. Raises NotFound while there is none."""
    async with desk.pool.connection() as connection:
        last = await reading.read_last_sealed(connection)
    if last is None:
        raise NotFound("nothing is sealed yet")
    return last.sealed.note


async def read_keys(desk: Desk) -> str:
    """The verifier keys of the log as a policy file, each with where it was introduced."""
    async with desk.pool.connection() as connection:
        introduced = await reading.read_introduced(connection)
    lines = ["# Who signs the checkpoints of this log, oldest first. Compare them with a copy you"]
    lines += ["# got some other way: whoever could forge the log could forge this list as well."]
    for position, event in introduced:
        endorsed = "endorsed by the key before it" if event.endorsement else event.cause
        lines += [f"# introduced at position {position}: {endorsed}", event.verifier]
    return "".join(f"{line}\n" for line in lines)


async def read_proof(desk: Desk, position: int, size: int | None = None) -> Receipt:
    """That the event at a position is in the log, without the event: its leaf hash alone.

    `size`: of an earlier checkpoint; None: the newest. Raises NotFound where there is no such
    checkpoint, InvalidInput for a position beyond it, NotSealedYet.
    """
    async with desk.reading() as connection:
        newest = await reading.require_sealed(connection, size)
        sealed = newest.sealed
        if size is not None and size != sealed.size:
            state: Seal = await desk.state(seal.STREAM, seal.checkpoint_stream_id(size))
            if state.sealed is None:
                raise NotFound(f"there is no checkpoint of size {size}")
            sealed = state.sealed
        elif size is None:
            await reading.require_sealed(connection, position)
        if position > sealed.size:
            raise InvalidInput("position", f"must not be beyond the checkpoint's {sealed.size}")
        leaf = (await reading.require_entry(connection, position)).leaf()
        hashes = await reading.read_inclusion(connection, position, sealed.size)
    return Receipt(position - 1, hashes, sealed.note, leaf)


async def read_consistency(desk: Desk, old_size: int, new_size: int) -> ConsistencyProof:
    """That the log only grew from one size to another.

    Raises InvalidInput for sizes in the wrong order, NotSealedYet.
    """
    if old_size > new_size:
        raise InvalidInput("from", "must not be larger than `to`")
    async with desk.reading() as connection:
        await reading.require_sealed(connection, new_size)
        return await reading.read_consistency(connection, old_size, new_size)


async def read_tile(desk: Desk, level: str, path: str) -> bytes:
    """The hashes of a tile that is sealed. Raises NotFound."""
    try:
        tile = parse_tile_path(level, path)
    except MalformedTilePath as error:
        raise NotFound(str(error)) from error
    async with desk.reading() as connection:
        await _require_tile(connection, tile)
        return await reading.read_tile(connection, tile)


async def read_receipt(desk: Desk, reference: str, owner: Owner | None = None) -> Receipt:
    """The proof of an event, with the event itself in it.

    `reference`: a position, or the id of its stream, `ID` for its last event or `ID:VERSION`.
    `owner`: whose event it has to be; of events that name channels, nodes or costs of ours they
    are given the proof for the hash alone. Raises NotFound, NotSealedYet.
    """
    async with desk.reading() as connection:
        position = await _position(connection, reference)
        entry = await reading.require_entry(connection, position)
        if owner is not None and not _is_of(entry, owner):
            raise NotFound("no such event")
        is_shown = owner is None or entry.topic in _SHOWN_TO_OWNERS
        return await reading.read_receipt(connection, entry, is_shown=is_shown)


async def read_account_file(desk: Desk, account_id: UUID) -> bytes:
    """An account's sealed events, the proof of each, and what they come to; see account_file.py.

    Raises NotFound, NotSealedYet.
    """
    async with desk.pool.connection() as connection:
        return await account_file(connection, account_id)


def _is_of(entry: Entry, owner: Owner) -> bool:
    """Whether an event is of this account, and not of another key of it."""
    if entry.account_id != owner.account_id:
        return False
    key_id = getattr(decode(entry.topic, entry.state), "key_id", owner.key_id)
    return bool(key_id == owner.key_id)


async def _position(connection: AsyncConnection, reference: str) -> int:
    if _POSITION.fullmatch(reference) and int(reference) <= POSITION_MAX:
        return int(reference)
    match = _EVENT.fullmatch(reference)
    try:
        stream_id = UUID(match[1] if match else "")
    except ValueError as error:
        raise NotFound("no such event: give a position, or an id as it was answered") from error
    assert match is not None
    version = None if match[2] is None else int(match[2])
    cursor = await connection.execute(_AT_VERSION, (stream_id, version, version))
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("no such event")
    return int(row[0])


async def _require_tile(connection: AsyncConnection, tile: Tile) -> None:
    """Raises NotFound for a tile that the newest checkpoint does not cover."""
    last = await reading.read_last_sealed(connection)
    if last is None or tile.leaves_end > last.sealed.size:
        raise NotFound("there is no such tile in the newest checkpoint")
