"""The keys of a channel, one by one: what is known of each, and taking it out of use by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from admin_api.channels.operations import require_channel
from admin_api.desk import Desk
from ledger.errors import NotFound
from ledger.streams import channel
from ledger.streams.channel import Channel, KeyState


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key of a channel for people. `since`: when its state was last changed; None: never."""

    key_id: UUID
    state: KeyState
    reason: str
    since: datetime | None


async def list_keys(desk: Desk, channel_id: UUID) -> list[KeyView]:
    """Every key of a channel, in the order in which it has them. Raises NotFound, NotCaughtUp."""
    await desk.up_to_date()
    return _views(await require_channel(desk, channel_id), desk.configuration.held.keys_changed_at)


async def pause_key(
    desk: Desk, channel_id: UUID, key_id: UUID, *, actor: str, reason: str = ""
) -> KeyView:
    """Send no calls with a key, until somebody resumes it. Raises NotFound, StoreUnavailable."""
    return await _commanded(desk, channel_id, channel.PauseKey(key_id, actor, reason))


async def resume_key(
    desk: Desk, channel_id: UUID, key_id: UUID, *, actor: str, reason: str = ""
) -> KeyView:
    """Send calls with a key again, whatever was wrong. Raises NotFound, StoreUnavailable."""
    return await _commanded(desk, channel_id, channel.ResumeKey(key_id, actor, reason))


async def _commanded(
    desk: Desk, channel_id: UUID, command: channel.PauseKey | channel.ResumeKey
) -> KeyView:
    await require_channel(desk, channel_id)
    await desk.handle(channel.STREAM, channel_id, command)
    for view in await list_keys(desk, channel_id):
        if view.key_id == command.key_id:
            return view
    raise NotFound("no such key on this channel")


def _views(state: Channel, changed_at: Mapping[UUID, datetime]) -> list[KeyView]:
    views = []
    for key_id in state.route.key_ids:
        condition = state.out_of_use.get(key_id)
        reason = "" if condition is None else condition.reason
        views.append(KeyView(key_id, state.key_state(key_id), reason, changed_at.get(key_id)))
    return views
