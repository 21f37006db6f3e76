"""What Redis knows of balances: a second opinion that may refuse a hold early, never grant one.

Per scope it holds what Postgres published last, with the position in the log at which that was
true, and the holds taken since that are not published yet. An answer of OK or none at all means:
ask Postgres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from ledger.store.append import ScopeBalance
from projections.cache.errors import CacheUnavailable
from projections.cache.guarded import GuardedRedis
from projections.cache.pipeline import Word
from projections.cache.scripts import LARGEST_EXACT, PUBLISH, RESERVE


class Verdict(Enum):
    """What Redis says to a hold."""

    OK = "ok"
    """Nothing known speaks against it, and it counts as in flight."""

    SHORT = "short"
    """A known scope does not cover it; to be confirmed by Postgres before anyone is refused."""

    UNAVAILABLE = "unavailable"
    """No answer: Postgres decides alone."""


class BalanceCache:
    """The cached balances and the holds in flight, shared by all processes on one Redis."""

    def __init__(self, redis: GuardedRedis) -> None:
        self._redis = redis

    async def reserve(
        self,
        account: UUID,
        hold_id: UUID,
        amount_nanos: int,
        limits: Sequence[tuple[UUID, int | None]],
    ) -> Verdict:
        """Ask whether the hold fits, and count it as in flight if it does.

        `limits` are the distinct scopes the hold counts in, each with its cap in nanodollars or
        None. A scope Redis knows nothing of is not short. An id already in flight answers OK
        again and counts once. Raises ValueError on a negative amount, nothing else.
        """
        if amount_nanos < 0:
            raise ValueError("a hold cannot be negative")
        if amount_nanos == 0 or not limits:
            return Verdict.OK
        prefix = _prefix(account)
        used = prefix + "used:"
        keys = [prefix + "holds", prefix + "times"]
        args: list[Word] = [hold_id.hex, min(amount_nanos, LARGEST_EXACT)]
        for scope, cap_nanos in limits:
            keys.append(used + scope.hex)
            args.append(_cap(cap_nanos))
        try:
            held = await self._redis.evalsha(RESERVE, keys, args)
        except CacheUnavailable:
            return Verdict.UNAVAILABLE
        return Verdict.OK if held else Verdict.SHORT

    async def publish(
        self, balances: Sequence[ScopeBalance], settled_holds: Sequence[tuple[UUID, UUID]]
    ) -> bool:
        """Tell what Postgres decided: absolute values, and the (account, hold) pairs now in them.

        A value replaces one of an earlier position only. One script call per account, all in one
        write. True when Redis confirmed all of it; False when it did not, and then the same values
        or later ones are welcome again.
        """
        accounts: dict[UUID, _Publication] = {}
        for balance in balances:
            newest = accounts.setdefault(balance.account_id, _Publication({}, {})).newest
            known = newest.get(balance.scope)
            if known is None or balance.position >= known.position:
                newest[balance.scope] = balance
        for account, hold_id in settled_holds:
            accounts.setdefault(account, _Publication({}, {})).holds[hold_id.hex] = None
        calls = [each.arguments(account) for account, each in accounts.items()]
        try:
            await self._redis.evalsha_each(PUBLISH, calls)
        except CacheUnavailable:
            return False
        return True

    async def read(self, account: UUID, scope: UUID) -> tuple[int, int] | None:
        """The (used_nanos, position) Redis knows of a scope, None if it knows nothing.

        Raises CacheUnavailable; for comparing the cache with the books, not for decisions.
        """
        known = await self._redis.call("GET", f"{_prefix(account)}used:{scope.hex}")
        if not isinstance(known, bytes):
            return None
        position, _, used_nanos = known.partition(b" ")
        try:
            return int(used_nanos), int(position)
        except ValueError:  # written by somebody else; the scripts take it for unknown as well
            return None


@dataclass(frozen=True, slots=True)
class _Publication:
    """What is published of one account: the newest value of each scope, and its holds, once each.

    The script relies on neither coming twice.
    """

    newest: dict[UUID, ScopeBalance]
    holds: dict[str, None]

    def arguments(self, account: UUID) -> tuple[list[Word], list[Word]]:
        """The keys and the arguments of PUBLISH."""
        prefix = _prefix(account)
        keys: list[Word] = [prefix + "holds", prefix + "times"]
        args: list[Word] = []
        for scope, balance in self.newest.items():
            keys.append(f"{prefix}used:{scope.hex}")
            args += (balance.position, _clamped(balance.used_nanos))
        args += self.holds
        return keys, args


def _prefix(account: UUID) -> str:
    return f"tollgate:{{{account.hex}}}:"


def _cap(cap_nanos: int | None) -> Word:
    # A cap beyond exact counting cannot be compared in Lua; clamped, it might refuse too much.
    if cap_nanos is None or cap_nanos > LARGEST_EXACT:
        return ""
    return _clamped(cap_nanos)


def _clamped(nanos: int) -> int:
    return max(-LARGEST_EXACT, min(nanos, LARGEST_EXACT))
