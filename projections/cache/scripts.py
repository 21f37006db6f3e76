"""The Lua scripts that are the only writers of the balance cache.

Keys of one account, which share the hash tag `{account}` and so one slot of a Redis Cluster
(ids are 32 hexadecimal digits):

    tollgate:{account}:holds         hash; hold id -> "amount scope scope ...",
                                     "sum:" + scope -> the sum of the amounts in flight there,
                                     "sweep_at" -> the millisecond before which no hold expires
    tollgate:{account}:times         sorted set; hold id by the millisecond it was taken
    tollgate:{account}:used:<scope>  string; "position used"

A sum changes only together with a hold, in one script. One call to Redis costs more than all
the arithmetic of a script, so each script makes a handful, however many holds it touches.

The strings sent by publishers are stored as they came; what Lua computes is written with %.0f,
for Lua's own conversion keeps 14 digits. Every number stays within 2^53 - 1, so doubles count
exactly.
"""

import hashlib
from dataclasses import dataclass, field

LARGEST_EXACT = 2**53 - 1
"""The largest whole number up to which Lua's doubles count without gaps."""

HOLD_LIFETIME_MS = 60_000
KEY_LIFETIME_S = 86_400


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the name the server knows it by."""

    source: str
    sha1: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha1", digest)


_DROP_HOLDS = """
-- Take holds out of flight: their amounts leave the sums of the scopes they were counted in.
local function drop_holds(holds, times, ids)
  local entries = redis.call('HMGET', holds, unpack(ids))
  local sums, leaving = {}, {}
  for _, entry in ipairs(entries) do
    local amount
    for word in string.gmatch(entry or '', '%S+') do
      if not amount then
        amount = tonumber(word) or 0
      else
        local sum = 'sum:' .. word
        if not leaving[sum] then sums[#sums + 1] = sum end
        leaving[sum] = (leaving[sum] or 0) + amount
      end
    end
  end
  redis.call('ZREM', times, unpack(ids))
  if #sums == 0 then return end
  local amounts, kept, gone = redis.call('HMGET', holds, unpack(sums)), {}, ids
  for i, sum in ipairs(sums) do
    local left = (tonumber(amounts[i] or 0) or 0) - leaving[sum]
    if left > 0 then
      kept[#kept + 1] = sum
      kept[#kept + 1] = string.format('%.0f', left)
    else
      gone[#gone + 1] = sum
    end
  end
  redis.call('HDEL', holds, unpack(gone))
  if #kept > 0 then redis.call('HSET', holds, unpack(kept)) end
end
"""

RESERVE = Script(
    f"""
-- KEYS: holds, times, used of each scope.  ARGV: hold id, amount (> 0), cap of each scope or ''.
-- Answers 1 (OK, and the hold is in flight) or 0 (a known scope is short, nothing is recorded).
local LARGEST = {LARGEST_EXACT}
local LIFETIME_MS = {HOLD_LIFETIME_MS}
local KEY_LIFETIME_S = {KEY_LIFETIME_S}
{_DROP_HOLDS}
local holds, times = KEYS[1], KEYS[2]
local id, amount = ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)

local scopes, used_keys, fields = {{}}, {{}}, {{ 'sweep_at', id }}
for i = 3, #KEYS do
  used_keys[i - 2] = KEYS[i]
  scopes[i - 2] = string.sub(KEYS[i], -32)
  fields[i] = 'sum:' .. scopes[i - 2]
end
local used = redis.call('MGET', unpack(used_keys))
local held = redis.call('HMGET', holds, unpack(fields))

local function drop_expired(at_most)
  local newest_expired = string.format('%.0f', now_ms - LIFETIME_MS)
  local ids = redis.call('ZRANGEBYSCORE', times, '-inf', newest_expired, 'LIMIT', 0, at_most)
  if #ids == 0 then return false end
  drop_holds(holds, times, ids)
  held = redis.call('HMGET', holds, unpack(fields))
  return true
end

local function is_short()
  for i = 1, #scopes do
    local cap = tonumber(ARGV[i + 2])
    local known = used[i] and tonumber(string.match(used[i], '^%d+ (-?%d+)$'))
    local in_flight = tonumber(held[i + 2] or 0) or 0
    if cap and known and known + in_flight + amount > cap then return true end
  end
  return false
end

-- A bounded number per call, yet more than a call adds: the backlog shrinks, no call pays for it.
local sweep_at = tonumber(held[1] or 0) or 0
local is_sweep_due = now_ms >= sweep_at
if is_sweep_due then
  drop_expired(16)
  local oldest = redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')
  if #oldest == 0 and held[1] then
    redis.call('DEL', holds)  -- had Redis evicted the times alone, these would never expire
    held = {{}}
  end
  sweep_at = tonumber(oldest[2] or now_ms) + LIFETIME_MS
end

if held[2] then return 1 end  -- the answer to a retry is the first answer

-- Nobody is refused on account of holds that only wait for being dropped.
if is_short() and not (drop_expired(1000) and not is_short()) then return 0 end

local record = {{ id, ARGV[2] .. ' ' .. table.concat(scopes, ' ') }}
for i = 1, #scopes do
  local sum = (tonumber(held[i + 2] or 0) or 0) + amount
  if sum > LARGEST then return 1 end  -- beyond exact counting: not held here, Postgres decides
  record[#record + 1] = fields[i + 2]
  record[#record + 1] = string.format('%.0f', sum)
end
if is_sweep_due then
  record[#record + 1] = 'sweep_at'
  record[#record + 1] = string.format('%.0f', sweep_at)
end
redis.call('HSET', holds, unpack(record))
redis.call('ZADD', times, string.format('%.0f', now_ms), id)
redis.call('EXPIRE', times, KEY_LIFETIME_S)  -- each time: it vanishes with its last hold
if is_sweep_due then redis.call('EXPIRE', holds, KEY_LIFETIME_S) end
return 1
"""
)

PUBLISH = Script(
    f"""
-- KEYS: holds, times, used of each scope.  ARGV: position and used of each scope, then hold ids.
-- Replaces what is known of a scope by what was true at a later position; drops the holds.
-- No key and no hold may be named twice.
local KEY_LIFETIME_S = {KEY_LIFETIME_S}
local HOLDS_AT_ONCE = 1000  -- Lua unpacks a few thousand values at most
{_DROP_HOLDS}
local argument = 1
local used_keys = {{}}
for i = 3, #KEYS do used_keys[i - 2] = KEYS[i] end
local all_known = #used_keys > 0 and redis.call('MGET', unpack(used_keys)) or {{}}
for i = 3, #KEYS do
  local position, used = ARGV[argument], ARGV[argument + 1]
  argument = argument + 2
  local known = all_known[i - 2]
  local known_position = known and tonumber(string.match(known, '^(%d+) '))
  if not known_position or tonumber(position) >= known_position then
    redis.call('SET', KEYS[i], position .. ' ' .. used, 'EX', KEY_LIFETIME_S)
  end
end
for first = argument, #ARGV, HOLDS_AT_ONCE do
  local ids = {{}}
  for i = first, math.min(first + HOLDS_AT_ONCE - 1, #ARGV) do ids[#ids + 1] = ARGV[i] end
  drop_holds(KEYS[1], KEYS[2], ids)
end
return 1
"""
)

BALANCE_SCRIPTS = (RESERVE, PUBLISH)
