"""Channels' names: each is one live channel's, and the database sees to it.

A name is claimed by a cell of the vault whose place is the name's: of two that come at once one
finds it taken. Claims go with the channel, or with the name it had before.
"""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.desk import Desk
from ledger import ids, vault
from ledger.errors import NotAllowedNow
from ledger.vault import Place

_KIND, _FIELD = "channel_name", "of"
_CLAIMED = "select subject from vault.cell where kind = %s and row_id = %s and field = %s for share"
_CLAIMANTS = "select subject from vault.cell where kind = %s"
_RELEASE = "delete from vault.cell where kind = %s and subject = %s and row_id <> %s"
_NO_NAME = UUID(int=0)


async def claim(connection: AsyncConnection[Any], desk: Desk, channel_id: UUID, name: str) -> None:
    """Give the name to the channel, and the one it had to nobody; in the caller's transaction.

    Raises NotAllowedNow where another channel has it.
    """
    await _claim_for_earlier(connection, desk, channel_id)
    place = Place(_KIND, ids.derived_id(_KIND, name), _FIELD, channel_id)
    await vault.put_new(connection, desk.vault, place, name)
    row = await (await connection.execute(_CLAIMED, place[:3])).fetchone()
    if row is None or row[0] != channel_id:
        raise NotAllowedNow("another channel has this name: give it another one")
    await connection.execute(_RELEASE, (_KIND, channel_id, place.row_id))


async def release(desk: Desk, channel_id: UUID) -> None:
    """The channel's name is anybody's."""
    async with desk.pool.connection() as connection:
        await connection.execute(_RELEASE, (_KIND, channel_id, _NO_NAME))


async def _claim_for_earlier(
    connection: AsyncConnection[Any], desk: Desk, channel_id: UUID
) -> None:
    """Names that channels were given before anybody claimed one; of several alike one gets it."""
    rows = await (await connection.execute(_CLAIMANTS, (_KIND,))).fetchall()
    live = {each for each, one in desk.configuration.held.channels.items() if not one.is_removed}
    earlier = live - {row[0] for row in rows} - {channel_id}
    names = await vault.tell_many(connection, desk.vault, "channel", "name", list(earlier))
    for each, name in sorted(names.items()):
        if name != vault.UNREADABLE:
            place = Place(_KIND, ids.derived_id(_KIND, name), _FIELD, each)
            await vault.put_new(connection, desk.vault, place, name)
