"""The providers' keys of each channel: which one is asked next, what it is in clear (unsealed once,
and kept in this process's memory only), and what became of it.
"""

import asyncio
import math
import random
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.channels.key_failures import KeyFinding, KeyVerdict
from gateway.channels.keys_out_of_use import KeysOutOfUse
from gateway.channels.routing import Candidate
from gateway.channels.shared_keys import SharedKeys
from gateway.errors import (
    ChannelUnusable,
    GatewayError,
    ProviderUnavailable,
    UpstreamFailed,
    UpstreamRateLimited,
)
from ledger import clock, vault
from ledger.errors import VaultRefused
from ledger.vault import Vault

log = structlog.get_logger()

_WITHIN_S = 1.0
_RECORDED_WITHIN_S = 60.0
"""For how long a key is left alone here while the ledger cannot be told what is wrong with it."""
_KNOWN_WITHIN_S = 2.0
"""How soon after that every process knows."""


class ChannelKeys:
    """Of one process."""

    def __init__(
        self,
        sealed: Vault,
        pool: AsyncConnectionPool[Any],
        out_of_use: KeysOutOfUse,
        shared: SharedKeys,
    ) -> None:
        self._vault = sealed
        self._pool = pool
        self._out_of_use = out_of_use
        self._known: dict[UUID, str] = {}
        self._turns: dict[UUID, int] = {}
        self.shared = shared
        self.cooling = shared.cooling
        self._cooling_known = shared.cooling.known
        self._answered = shared.answered

    def choose(
        self, candidate: Candidate, tried: Collection[UUID] = (), *, joins: bool = False
    ) -> UUID | None:
        """The channel's next key: not tried, and not left alone; None: there is none. As long as
        all are well this costs no look at any of them. `joins`: one will do whose rest is over and
        which another call tries already.
        """
        usable: Sequence[UUID] = candidate.key_ids
        if not self._cooling_known and not tried:
            if len(usable) > 1:
                return self._chosen(candidate, usable)
            return usable[0] if usable else None
        if tried:
            usable = [key for key in usable if key not in tried]
        if self._cooling_known:
            now_s = clock.monotonic_s()
            model = candidate.upstream_model
            usable = self.cooling.rested(usable, model, now_s, joins=joins)
            if not usable:
                return None
            chosen = self._chosen(candidate, usable)
            self.cooling.begin_trial(chosen, model, now_s)
            return chosen
        return self._chosen(candidate, usable) if usable else None

    def _chosen(self, candidate: Candidate, usable: Sequence[UUID]) -> UUID:
        if len(usable) == 1 or candidate.key_choice == "in_order":
            return usable[0]
        if candidate.key_choice == "in_turn":
            # Beginning anywhere, so that workers do not go through the keys side by side.
            keys, channel_id = candidate.key_ids, candidate.channel_id
            turn = self._turns.get(channel_id)
            turn = random.randrange(len(keys)) if turn is None else turn + 1  # noqa: S311
            while keys[turn % len(keys)] not in usable:
                turn += 1
            self._turns[channel_id] = turn % len(keys)
            return keys[turn % len(keys)]
        return random.choice(usable)  # noqa: S311 - load balancing, not a secret

    async def unsealed(self, key_id: UUID) -> str:
        """A key in clear. Its id never changes its key, so what is known stays true.

        Raises ChannelUnusable, which says nothing of the key: the vault is ours.
        """
        known = self._known.get(key_id)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(_WITHIN_S), self._pool.connection() as connection:
                found = await vault.get(connection, self._vault, "channel_key", key_id, "key")
        except (psycopg.Error, PoolTimeout, OSError, VaultRefused) as error:
            log.warning("channel.key_not_read", key_id=str(key_id), error=str(error))
            raise ChannelUnusable("a channel's key cannot be read") from error
        if found is None:
            raise ChannelUnusable("a channel has lost its key")
        self._known[key_id] = found
        return found

    def answered(self, candidate: Candidate, key_id: UUID, asked_s: float) -> None:
        """A key that was asked at that moment works."""
        self._answered[key_id] = (candidate.channel_id, asked_s)
        if self._cooling_known:
            for model in self.cooling.answered(key_id, candidate.upstream_model, asked_s):
                self.shared.forgive(candidate.channel_id, key_id, model)

    def failed(
        self, candidate: Candidate, key_id: UUID, found: KeyFinding, asked_s: float
    ) -> UpstreamFailed | None:
        """A key that was asked at that moment failed, and what that says of it. Never waits.

        What a client may be told of it; None where the key is not to blame.
        """
        if found.verdict is KeyVerdict.NOTHING:
            self.cooling.end_trial(key_id, candidate.upstream_model)
            return None
        now_s = clock.monotonic_s()
        if found.verdict is KeyVerdict.COOLING:
            model, told = candidate.upstream_model, (found.wait_s, found.reason)
            cooling = self.cooling.failed(key_id, model, told, asked_s, now_s)
            log.info(
                "channel.key_cooling",
                channel_id=str(candidate.channel_id),
                key_id=str(key_id),
                reason=found.reason,
                failures=cooling.failures,
                seconds=round(cooling.until_s - now_s, 1),
            )
            self.shared.cool(candidate.channel_id, key_id, model, cooling)
            return _rate_limited(cooling.until_s - now_s)
        if not self.cooling.is_withdrawn(key_id, now_s):
            self.cooling.withdraw(key_id, found.reason, _RECORDED_WITHIN_S, now_s)
            self._out_of_use.note(candidate, key_id, found, lambda: self._recorded(key_id, found))
        return ProviderUnavailable()

    def _recorded(self, key_id: UUID, found: KeyFinding) -> None:
        """From now on it is for the ledger to say whether the key is used."""
        self.cooling.withdraw(key_id, found.reason, _KNOWN_WITHIN_S, clock.monotonic_s())

    def exhausted(self, options: Iterable[Candidate]) -> GatewayError | None:
        """What to tell where no key of these channels may be asked now; None where one may.

        Its retry-after is the soonest moment at which one may be asked.
        """
        if not self._cooling_known:
            return None
        now_s = clock.monotonic_s()
        soonest_s = math.inf
        for candidate in options:
            keys, model = candidate.key_ids, candidate.upstream_model
            if not keys or self.cooling.rested(keys, model, now_s, joins=True):
                return None
            for key_id in keys:
                against = self.cooling.against(key_id, model)
                if not any(one.is_fact and one.until_s > now_s for one in against):
                    rested_s = max((one.until_s for one in against), default=now_s) - now_s
                    soonest_s = min(soonest_s, rested_s)
        if soonest_s == math.inf:
            return ProviderUnavailable()
        return _rate_limited(soonest_s)


def _rate_limited(wait_s: float) -> UpstreamRateLimited:
    """`wait_s`: for how long nobody is to be asked."""
    return UpstreamRateLimited(
        "The provider's rate limit is reached; try again later.",
        retry_after_s=max(1, math.ceil(wait_s)),
    )
