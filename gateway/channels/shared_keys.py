"""What this process knows of channels' keys, kept in step with what the others know.

All of it goes on beside the calls: a call looks at this process's own memory only. What a call
finds out is sent at once, and looked for twice a second.
"""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import structlog

from gateway.channels.cooling import Cooling, CoolingKeys
from gateway.owned_tasks import OwnedTasks
from ledger import clock
from projections.cache.channel_keys import SharedChannelKeys, SharedCooling
from projections.cache.errors import CacheUnavailable

log = structlog.get_logger()

LOOK_EVERY_S = 0.5
ANSWERED_EVERY_S = 5.0
"""How exactly it is told when a key has worked last."""
_OVERLAP_MS = 60_000
"""Changes are looked for again for so long: their numbers are those of a clock that may step."""


class SharedKeys:
    """Of one process."""

    def __init__(self, shared: SharedChannelKeys, tasks: OwnedTasks) -> None:
        self.cooling = CoolingKeys()
        self._shared = shared
        self._tasks = tasks
        self._seen: dict[UUID, int] = {}
        self._newest = 0
        self.answered: dict[UUID, tuple[UUID, float]] = {}
        """Keys that have worked since this was told last: of which channel, and when."""
        self._told_answered_s = 0.0

    def cool(self, channel_id: UUID, key_id: UUID, model: str, cooling: Cooling) -> None:
        """Tell the others to leave a key alone for a model. Never waits."""
        left_s = cooling.until_s - clock.monotonic_s()
        told = SharedCooling(left_s, cooling.failures, cooling.reason)
        self._tasks.start(self._sent(channel_id, key_id, model, told))

    def forgive(self, channel_id: UUID, key_id: UUID, model: str) -> None:
        """Tell the others that a key works again for a model. Never waits."""
        self._tasks.start(self._sent(channel_id, key_id, model, None))

    async def run(self) -> None:
        """Look for ever; a Redis that is away is looked for by its own breaker."""
        while True:
            try:
                await self.look()
            except CacheUnavailable:
                self._seen.clear()  # whoever comes back may have forgotten, and begin anew
                self._newest = 0
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take in what has changed, and tell which keys have worked. Raises CacheUnavailable."""
        changed = await self._shared.changed_since(max(0, self._newest - _OVERLAP_MS))
        for channel_id, number in changed.items():
            if self._seen.get(channel_id) != number:
                self._take_in(await self._shared.cooling(channel_id))
                self._seen[channel_id] = number
                self._newest = max(self._newest, number)
        await self.tell_answered()

    async def tell_answered(self) -> None:
        """Which keys have worked since this was told last. Raises CacheUnavailable."""
        now_s = clock.monotonic_s()
        if not self.answered or now_s - self._told_answered_s < ANSWERED_EVERY_S:
            return
        self._told_answered_s = now_s
        answered = dict(self.answered)
        self.answered.clear()
        by_channel: dict[UUID, dict[UUID, float]] = {}
        for key_id, (channel_id, at_s) in answered.items():
            by_channel.setdefault(channel_id, {})[key_id] = now_s - at_s
        for channel_id, ago_s in by_channel.items():
            await self._shared.note_answered(channel_id, ago_s)

    def _take_in(self, told: Mapping[tuple[UUID, str], SharedCooling]) -> None:
        """What is forgiven first, for what was found out of a key since may be beside it."""
        now_s = clock.monotonic_s()
        for (key_id, model), one in told.items():
            if not one.failures:
                self.cooling.forget(key_id, model)
        for (key_id, model), one in told.items():
            if one.failures and one.left_s:
                known = Cooling(now_s, now_s + one.left_s, one.failures, one.reason)
                self.cooling.take_over(key_id, model, known)

    async def tell(
        self, channel_id: UUID, key_id: UUID, model: str, told: SharedCooling | None
    ) -> None:
        """Tell all to leave a key alone for a model (empty: for all), or (None) that it works.

        Raises CacheUnavailable.
        """
        if told is None:
            await self._shared.forgive(channel_id, key_id, model)
        else:
            await self._shared.cool(channel_id, key_id, model, told)

    async def _sent(
        self, channel_id: UUID, key_id: UUID, model: str, told: SharedCooling | None
    ) -> None:
        try:
            await self.tell(channel_id, key_id, model, told)
        except CacheUnavailable as error:
            log.info("channel.key_not_shared", key_id=str(key_id), reason=str(error))
