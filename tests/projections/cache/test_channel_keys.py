"""C5: what processes tell each other of channels' keys, over a real Valkey."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from projections.cache import channel_keys
from projections.cache.channel_keys import SharedChannelKeys, SharedCooling
from projections.cache.errors import CacheUnavailable
from tests.projections.cache.driving import guarded_redis, raw

CHANNEL, OTHER, A, B = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
M = "gpt 5"
NAME = f"tollgate:{{channel:{CHANNEL.hex}}}:cooling"


def over(url: str, check: Callable[[SharedChannelKeys], Awaitable[None]]) -> None:
    async def run() -> None:
        with raw(url) as client:
            client.flushall()
        async with guarded_redis(url) as redis:
            await check(SharedChannelKeys(redis))

    asyncio.run(run())


def cooling(left_s: float, failures: int = 1) -> SharedCooling:
    return SharedCooling(left_s, failures, "rate_limit")


def test_c5_the_longest_counts_and_whoever_looks_is_told_what_is_left(redis_url: str) -> None:
    async def check(keys: SharedChannelKeys) -> None:
        assert await keys.cooling(CHANNEL) == {}
        await keys.cool(CHANNEL, A, M, cooling(60))
        await keys.cool(CHANNEL, A, M, cooling(30, failures=2))
        await keys.cool(CHANNEL, B, M, cooling(0.001))
        await asyncio.sleep(0.005)
        found = await keys.cooling(CHANNEL)
        assert found[A, M].left_s == pytest.approx(60, abs=2)
        assert (found[A, M].failures, found[A, M].reason) == (1, "rate_limit")
        assert found[B, M] == SharedCooling(0, 1, "rate_limit")
        await keys.cool(CHANNEL, A, M, cooling(90, failures=3))
        assert (await keys.cooling(CHANNEL))[A, M].failures == 3
        await keys.forgive(CHANNEL, A, M)
        assert (await keys.cooling(CHANNEL))[A, M] == SharedCooling(0, 0, "")
        await keys.cool(CHANNEL, A, M, cooling(5))
        assert (await keys.cooling(CHANNEL))[A, M].left_s == pytest.approx(5, abs=1)

    over(redis_url, check)


def test_c5_models_are_apart_and_who_is_forgiven_for_all_is_so_for_each(redis_url: str) -> None:
    async def check(keys: SharedChannelKeys) -> None:
        await keys.cool(CHANNEL, A, "x", cooling(60))
        await keys.cool(CHANNEL, A, "y", cooling(30))
        await keys.cool(CHANNEL, B, "x", cooling(60))
        await keys.forgive(CHANNEL, A, "x")
        found = await keys.cooling(CHANNEL)
        assert found[A, "x"].failures == 0
        assert found[A, "y"].failures == found[B, "x"].failures == 1
        await keys.forgive(CHANNEL, A)
        found = await keys.cooling(CHANNEL)
        assert set(found) == {(A, ""), (B, "x")}
        assert found[A, ""].failures == 0
        await keys.cool(CHANNEL, A, "y", cooling(30))
        assert set(await keys.cooling(CHANNEL)) == {(A, "y"), (B, "x")}

    over(redis_url, check)


def test_c5_only_what_has_changed_is_looked_at(redis_url: str) -> None:
    async def check(keys: SharedChannelKeys) -> None:
        assert await keys.changed_since(0) == {}
        await keys.cool(CHANNEL, A, M, cooling(60))
        first = await keys.changed_since(0)
        assert set(first) == {CHANNEL}
        await keys.cool(CHANNEL, A, M, cooling(10))  # it is left alone for longer already
        assert await keys.changed_since(0) == first
        for _ in range(3):  # several within one millisecond are changes all the same
            numbers = await keys.changed_since(0)
            await keys.forgive(CHANNEL, A)
            assert (await keys.changed_since(0))[CHANNEL] > numbers[CHANNEL]
        await keys.cool(OTHER, B, M, cooling(60))
        newest = max((await keys.changed_since(0)).values())
        assert await keys.changed_since(newest + 1) == {}

    over(redis_url, check)


def test_c5_when_a_key_worked_last(redis_url: str) -> None:
    async def check(keys: SharedChannelKeys) -> None:
        assert await keys.answered_ago_s(CHANNEL) == {}
        await keys.note_answered(CHANNEL, {A: 40.0, B: 0.0})
        await keys.note_answered(CHANNEL, {A: 10.0})
        found = await keys.answered_ago_s(CHANNEL)
        assert found[A] == pytest.approx(10, abs=2)
        assert found[B] == pytest.approx(0, abs=2)

    over(redis_url, check)


def test_c5_nothing_stays_for_ever(redis_url: str) -> None:
    async def check(keys: SharedChannelKeys) -> None:
        await keys.cool(CHANNEL, A, M, cooling(86_400))
        await keys.forgive(OTHER, A)
        await keys.note_answered(CHANNEL, {A: 0.0})
        with raw(redis_url) as client:
            left = {name: client.ttl(name) for name in client.scan_iter()}
        assert all(seconds > 0 for seconds in left.values()), left
        assert left[NAME] == pytest.approx(86_400 + 3_600, abs=5)

    over(redis_url, check)


def test_c5_each_channel_has_a_slot_of_its_own_and_each_script_one_key(redis_url: str) -> None:
    """So that a Redis Cluster may hold them."""

    async def check(keys: SharedChannelKeys) -> None:
        for channel_id in (CHANNEL, OTHER):
            await keys.cool(channel_id, A, M, cooling(60))
            await keys.note_answered(channel_id, {A: 0.0})
        with raw(redis_url) as client:
            tags = [re.findall(r"\{(.*?)\}", name)[0] for name in client.scan_iter("tollgate:*")]
        both = [f"channel:{CHANNEL.hex}", f"channel:{OTHER.hex}"]
        assert sorted(tags) == sorted([*both, *both, "channel-keys"])
        for script in channel_keys.CHANNEL_KEY_SCRIPTS:
            assert "KEYS[2]" not in script.source

    over(redis_url, check)


def test_c5_what_somebody_wrote_by_hand_hurts_nobody(redis_url: str) -> None:
    async def check(keys: SharedChannelKeys) -> None:
        await keys.cool(CHANNEL, A, M, cooling(60))
        with raw(redis_url) as client:
            client.hset(NAME, "nobody", "x")
            client.hset(NAME, B.hex, "soon")
            client.hset(NAME, f"{A.hex} forever", f"{10**18} 1 rate_limit")
            client.hset(f"tollgate:{{channel:{CHANNEL.hex}}}:answered", A.hex, "yesterday")
            client.zadd("tollgate:{channel-keys}:changed", {"what": 1, OTHER.hex: "+inf"})
            client.set(f"tollgate:{{channel:{OTHER.hex}}}:cooling", "a string")
        found = await keys.cooling(CHANNEL)
        assert set(found) == {(A, M), (A, "forever")}
        assert found[A, "forever"].left_s == 86_400
        assert await keys.answered_ago_s(CHANNEL) == {}
        assert set(await keys.changed_since(0)) == {CHANNEL}
        with pytest.raises(CacheUnavailable):
            await keys.cooling(OTHER)
        await keys.cool(CHANNEL, B, M, cooling(60))
        assert (B, M) in await keys.cooling(CHANNEL)

    over(redis_url, check)
