"""The keys of a channel, one by one: what is known of each, and taking it out of use by hand."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from admin_api.channels.operations import require_channel
from admin_api.desk import Desk
from ledger import clock
from ledger.errors import NotFound
from ledger.streams import channel
from ledger.streams.channel import Channel, KeyState
from projections.cache.channel_keys import SharedCooling
from projections.cache.errors import CacheUnavailable


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key of a channel for people. `since`: when its state was last changed; None: never.

    A key that rests is `cooling` until then, and usable by itself after: for some of the provider's
    models, none named: for all. That and when it worked last is what processes tell each other,
    None where they cannot.
    """

    key_id: UUID
    state: KeyState | Literal["cooling"]
    reason: str
    since: datetime | None
    cooling_until: datetime | None = None
    cooling_models: tuple[str, ...] = ()
    answered_at: datetime | None = None


async def list_keys(desk: Desk, channel_id: UUID) -> list[KeyView]:
    """Every key of a channel, in the order in which it has them. Raises NotFound, NotCaughtUp."""
    await desk.up_to_date()
    views = _views(await require_channel(desk, channel_id), desk.configuration.held.keys_changed_at)
    try:
        cooling = await desk.channel_keys.cooling(channel_id)
        answered_ago_s = await desk.channel_keys.answered_ago_s(channel_id)
    except CacheUnavailable:
        return views
    now = datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC)
    return [
        _with_health(
            view,
            {model: one for (key, model), one in cooling.items() if key == view.key_id},
            answered_ago_s.get(view.key_id),
            now,
        )
        for view in views
    ]


async def pause_key(
    desk: Desk, channel_id: UUID, key_id: UUID, *, actor: str, reason: str = ""
) -> KeyView:
    """Send no calls with a key, until somebody resumes it. Raises NotFound, StoreUnavailable."""
    return await _commanded(desk, channel_id, channel.PauseKey(key_id, actor, reason))


async def resume_key(
    desk: Desk, channel_id: UUID, key_id: UUID, *, actor: str, reason: str = ""
) -> KeyView:
    """Send calls with a key again, whatever was wrong: one that rests is asked at once, too, where
    processes can be told. Raises NotFound, StoreUnavailable.
    """
    with contextlib.suppress(CacheUnavailable):
        await desk.channel_keys.forgive(channel_id, key_id)
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


def _with_health(
    view: KeyView,
    of_models: Mapping[str, SharedCooling],
    answered_ago_s: float | None,
    now: datetime,
) -> KeyView:
    if answered_ago_s is not None:
        view = replace(view, answered_at=now - timedelta(seconds=answered_ago_s))
    resting = {model: one for model, one in of_models.items() if one.left_s}
    if view.state != "usable" or not resting:
        return view
    longest = max(resting.values(), key=lambda one: one.left_s)
    return replace(
        view,
        state="cooling",
        reason=longest.reason,
        cooling_until=now + timedelta(seconds=longest.left_s),
        cooling_models=() if "" in resting else tuple(sorted(resting)),
    )


def _views(state: Channel, changed_at: Mapping[UUID, datetime]) -> list[KeyView]:
    views = []
    for key_id in state.route.key_ids:
        condition = state.out_of_use.get(key_id)
        reason = "" if condition is None else condition.reason
        views.append(KeyView(key_id, state.key_state(key_id), reason, changed_at.get(key_id)))
    return views
