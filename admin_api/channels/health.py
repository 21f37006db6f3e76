"""Which of a channel's models do not answer, as its processes tell each other."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from admin_api.channels.operations import require_channel
from admin_api.desk import Desk
from ledger import clock
from projections.cache.errors import CacheUnavailable


@dataclass(frozen=True, slots=True)
class BreakerView:
    """A breaker that is not closed. `model`: the provider's name. Half open: its time is over, and
    calls find out whether the channel answers again. `reason`: a code; `failures`: how many times
    in a row it opened.
    """

    model: str
    state: Literal["open", "half_open"]
    reason: str
    failures: int
    open_until: datetime


@dataclass(frozen=True, slots=True)
class ChannelHealthView:
    """`is_shared`: whether processes can tell each other; without Redis nothing is known here."""

    breakers: list[BreakerView]
    is_shared: bool = True


async def read_health(desk: Desk, channel_id: UUID) -> ChannelHealthView:
    """The breakers of a channel, by model. Raises NotFound."""
    await require_channel(desk, channel_id)
    try:
        told = await desk.channel_keys.cooling(channel_id)
    except CacheUnavailable:
        return ChannelHealthView([], is_shared=False)
    now = datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC)
    return ChannelHealthView(
        [
            BreakerView(
                model,
                "open" if one.left_s else "half_open",
                one.reason,
                one.failures,
                now + timedelta(seconds=one.left_s),
            )
            for (place, model), one in sorted(told.items())
            if place == channel_id and one.failures
        ]
    )


async def close_breakers(desk: Desk, channel_id: UUID) -> ChannelHealthView:
    """Ask a channel as if it had never failed, within a second, where processes can be told.

    Raises NotFound.
    """
    await require_channel(desk, channel_id)
    with contextlib.suppress(CacheUnavailable):
        await desk.channel_keys.forgive(channel_id, channel_id)
    return await read_health(desk, channel_id)
