"""Keys that providers do not take any more: recorded, so that no call is sent with them."""

from collections.abc import Callable
from typing import Literal
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from gateway.channels.key_failures import KeyFinding, KeyVerdict
from gateway.channels.routing import Candidate
from gateway.owned_tasks import OwnedTasks
from ledger.application import Ledger
from ledger.errors import LedgerError
from ledger.streams import channel

log = structlog.get_logger()


class KeysOutOfUse:
    """Records that a key is refused, or that there is no money behind it."""

    def __init__(self, ledger: Ledger, node: str, tasks: OwnedTasks) -> None:
        self._ledger = ledger
        self._actor = f"node:{node}"
        self._tasks = tasks

    def note(
        self,
        candidate: Candidate,
        key_id: UUID,
        found: KeyFinding,
        when_recorded: Callable[[], None],
    ) -> None:
        """Never waits: the call at hand asks the next key meanwhile."""
        log.warning(
            "channel.key_out_of_use",
            channel_id=str(candidate.channel_id),
            key_id=str(key_id),
            state=found.verdict.value,
            reason=found.reason,
        )
        self._tasks.start(self._record(candidate, key_id, found, when_recorded))

    async def _record(
        self,
        candidate: Candidate,
        key_id: UUID,
        found: KeyFinding,
        when_recorded: Callable[[], None],
    ) -> None:
        is_money = found.verdict is KeyVerdict.OUT_OF_MONEY
        state: Literal["refused", "out_of_money"] = "out_of_money" if is_money else "refused"
        mark = channel.MarkKey(key_id, state, self._actor, found.reason, expected="usable")
        try:
            await self._ledger.handle(channel.STREAM, candidate.channel_id, mark)
        except (LedgerError, psycopg.Error, PoolTimeout) as error:
            log.warning("channel.key_not_recorded", error=str(error))
        else:
            when_recorded()
