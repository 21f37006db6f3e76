"""What all processes tell each other of channels' keys, and what no event says: which are left
alone until when, and when each worked last. Without Redis each process knows what it saw itself.

One small key for each channel, under a tag of its own, so that a Redis Cluster may hold them; and
one that says which channels have changed, so that nobody looks at the others:

    tollgate:{channel:ID}:cooling   hash; "key id model" (no model: all) -> "until_ms failures
                                    reason", 0 of both: forgiven
    tollgate:{channel:ID}:answered  hash; key id -> the millisecond in which it worked last
    tollgate:{channel-keys}:changed sorted set; channel id by a number that grows with each change

Ids are 32 hexadecimal digits; the clock is Redis's own.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast
from uuid import UUID

from projections.cache.guarded import GuardedRedis
from projections.cache.pipeline import Word
from projections.cache.scripts import Script

_CHANGED = "tollgate:{channel-keys}:changed"
_FAILURES_KEPT_MS = 3_600_000
"""For how long it is remembered how often a key has failed, once it is left alone no more."""
_LEFT_MAX_MS = 86_400_000
"""Whoever says more wrote it by hand."""
_CHANGES_KEPT_MS = 172_800_000
_ANSWERED_KEPT_MS = 90 * 86_400_000
_NOW = """
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, string.format('%.0f', ms)) end
end
"""

COOL = Script(
    f"""
-- KEYS: cooling of a channel.  ARGV: key id, milliseconds (0: forgive it), failures, reason, model.
-- Whatever is longer counts; who is forgiven for all is so for each. Answers 1 where it is news.
{_NOW}
local told = tonumber(ARGV[2])
local place, all = ARGV[1] .. ' ' .. ARGV[5], ARGV[1] .. ' '
local until_ms = 0
local function before(field)
  local known = redis.call('HGET', KEYS[1], field)
  return known and tonumber(string.match(known, '^%d+'))
end
if told > 0 then
  until_ms = now_ms + told
  if (before(place) or 0) >= until_ms then return 0 end
  if before(all) == 0 then redis.call('HDEL', KEYS[1], all) end
elseif place == all then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #all) == all then redis.call('HDEL', KEYS[1], field) end
  end
end
local value = string.format('%.0f', until_ms) .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
redis.call('HSET', KEYS[1], place, value)
keep(KEYS[1], told + {_FAILURES_KEPT_MS})
return 1
"""
)
CHANGE = Script(
    f"""
-- KEYS: what has changed.  ARGV: channel id.
{_NOW}
local last = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
redis.call('ZADD', KEYS[1], string.format('%.0f', math.max(now_ms, last + 1)), ARGV[1])
local old = string.format('%.0f', now_ms - {_CHANGES_KEPT_MS})
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', old)
keep(KEYS[1], {_CHANGES_KEPT_MS})
return 1
"""
)
READ = Script(
    f"""
-- KEYS: a hash of a channel.  Answers the time in milliseconds, then its fields and values.
{_NOW}
local found = redis.call('HGETALL', KEYS[1])
table.insert(found, 1, string.format('%.0f', now_ms))
return found
"""
)
ANSWERED = Script(
    f"""
-- KEYS: answered of a channel.  ARGV: key id and how many milliseconds ago, one after the other.
{_NOW}
for i = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', now_ms - tonumber(ARGV[i + 1])))
end
keep(KEYS[1], {_ANSWERED_KEPT_MS})
return 1
"""
)
CHANNEL_KEY_SCRIPTS = (COOL, CHANGE, READ, ANSWERED)


class SharedCooling(NamedTuple):
    """For how long a key is left alone from now on (0: no more), after how many failures."""

    left_s: float
    failures: int
    reason: str


class SharedChannelKeys:
    """On one Redis. Every method raises CacheUnavailable."""

    def __init__(self, redis: GuardedRedis) -> None:
        self._redis = redis

    async def cool(
        self, channel_id: UUID, key_id: UUID, model: str, cooling: SharedCooling
    ) -> None:
        """Tell all to leave a key alone for a model (empty: for all), unless they do for longer."""
        told_ms = max(1, round(cooling.left_s * 1_000))
        args: list[Word] = [key_id.hex, told_ms, cooling.failures, cooling.reason, model]
        await self._cool(channel_id, args)

    async def forgive(self, channel_id: UUID, key_id: UUID, model: str = "") -> None:
        """Tell all that nothing is held against a key any more, for a model or for all."""
        await self._cool(channel_id, [key_id.hex, 0, 0, "", model])

    async def _cool(self, channel_id: UUID, args: Sequence[Word]) -> None:
        if await self._redis.evalsha(COOL, [_cooling_of(channel_id)], args):
            await self._redis.evalsha(CHANGE, [_CHANGED], [channel_id.hex])

    async def changed_since(self, number: int) -> dict[UUID, int]:
        """The channels that have changed since then, each with the number of its last change."""
        found = await self._redis.call("ZRANGEBYSCORE", _CHANGED, number, "+inf", "WITHSCORES")
        words = cast("list[bytes]", found)
        changed = {}
        for one, last in zip(words[::2], words[1::2], strict=True):
            with contextlib.suppress(ValueError, OverflowError):  # somebody's own word among ours
                changed[UUID(hex=one.decode())] = int(float(last))
        return changed

    async def cooling(self, channel_id: UUID) -> dict[tuple[UUID, str], SharedCooling]:
        """What is said of a channel's keys and models, that included which is over."""
        now_ms, fields = await self._read(_cooling_of(channel_id))
        found = {}
        for key, value in fields.items():
            with contextlib.suppress(ValueError):
                until_ms, failures, reason = value.split(" ", 2)
                left_s = min(max(0, int(until_ms) - now_ms), _LEFT_MAX_MS) / 1_000
                found[key] = SharedCooling(left_s, int(failures), reason)
        return found

    async def note_answered(self, channel_id: UUID, ago_s: Mapping[UUID, float]) -> None:
        """Keys that have worked, each so many seconds ago."""
        args: list[Word] = []
        for key_id, seconds in ago_s.items():
            args += [key_id.hex, max(0, round(seconds * 1_000))]
        await self._redis.evalsha(ANSWERED, [_answered_of(channel_id)], args)

    async def answered_ago_s(self, channel_id: UUID) -> dict[UUID, float]:
        """How many seconds ago each key of a channel has worked last."""
        now_ms, fields = await self._read(_answered_of(channel_id))
        return {
            key: max(0, now_ms - int(value)) / 1_000
            for (key, _), value in fields.items()
            if value.isdigit()
        }

    async def _read(self, name: str) -> tuple[int, dict[tuple[UUID, str], str]]:
        words = [
            word.decode("utf-8", "replace")
            for word in cast("list[bytes]", await self._redis.evalsha(READ, [name], []))
        ]
        fields = {}
        for key, value in zip(words[1::2], words[2::2], strict=True):
            with contextlib.suppress(ValueError):
                key_id, _, model = key.partition(" ")
                fields[UUID(hex=key_id), model] = value
        return int(words[0]), fields


def _cooling_of(channel_id: UUID) -> str:
    return f"tollgate:{{channel:{channel_id.hex}}}:cooling"


def _answered_of(channel_id: UUID) -> str:
    return f"tollgate:{{channel:{channel_id.hex}}}:answered"
