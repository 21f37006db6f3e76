"""Keys that providers refuse: recorded, so that no call is sent with them any more."""

from uuid import UUID

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from gateway.channels.key_failures import KeyFinding
from gateway.channels.routing import Candidate
from gateway.owned_tasks import OwnedTasks
from ledger.application import Ledger
from ledger.errors import LedgerError
from ledger.streams import channel

log = structlog.get_logger()


class KeyRefused:
    """Records that a provider refuses a channel's key, so that nobody is sent there any more."""

    def __init__(self, ledger: Ledger, node: str, tasks: OwnedTasks) -> None:
        self._ledger = ledger
        self._actor = f"node:{node}"
        self._tasks = tasks

    def __call__(self, candidate: Candidate, key_id: UUID, found: KeyFinding) -> None:
        """Never waits: the call at hand asks the next key meanwhile."""
        log.warning(
            "channel.key_refused",
            channel_id=str(candidate.channel_id),
            key_id=str(key_id),
            reason=found.reason,
        )
        self._tasks.start(self._record(candidate, key_id, found))

    async def _record(self, candidate: Candidate, key_id: UUID, found: KeyFinding) -> None:
        mark = channel.MarkKey(key_id, "unusable", self._actor, found.reason)
        try:
            await self._ledger.handle(channel.STREAM, candidate.channel_id, mark)
        except (LedgerError, psycopg.Error, PoolTimeout) as error:
            log.warning("channel.key_refusal_not_recorded", error=str(error))
