"""C5: two processes over one Valkey, which may go away."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from gateway.channels import shared_keys
from gateway.channels.cooling import ALL_MODELS
from gateway.channels.shared_keys import SharedKeys
from gateway.owned_tasks import OwnedTasks
from ledger import clock
from projections.cache.channel_keys import SharedChannelKeys
from projections.cache.errors import CacheUnavailable
from tests.projections.cache.driving import guarded_redis, raw

CHANNEL, A, M = UUID(int=1), UUID(int=3), "gpt-5"
Check = Callable[[SharedKeys, SharedKeys, OwnedTasks], Awaitable[None]]


def two_processes(url: str, check: Check) -> None:
    async def run() -> None:
        with raw(url) as client:
            client.flushall()
        async with guarded_redis(url) as one, guarded_redis(url) as other:
            tasks = OwnedTasks()
            pair = [SharedKeys(SharedChannelKeys(redis), tasks) for redis in (one, other)]
            await check(pair[0], pair[1], tasks)

    asyncio.run(run())


def fail(keys: SharedKeys, wait_s: float, model: str = M) -> None:
    now_s = clock.monotonic_s()
    told = (wait_s, "rate_limit")
    keys.cool(CHANNEL, A, model, keys.cooling.failed(A, model, told, now_s, now_s))


def rests(keys: SharedKeys, model: str = M) -> float:
    """For how many seconds more the key is left alone."""
    until_s = [one.until_s for one in keys.cooling.against(A, model)]
    return max(until_s) - clock.monotonic_s() if until_s else 0.0


def test_c5_what_one_finds_out_the_other_knows_with_its_next_look(redis_url: str) -> None:
    async def check(one: SharedKeys, other: SharedKeys, tasks: OwnedTasks) -> None:
        await other.look()
        fail(one, 60)
        await tasks.drain(5)
        await other.look()
        assert rests(other) == pytest.approx(60, abs=2)
        await one.look()  # what it told itself changes nothing
        assert rests(one) == pytest.approx(60, abs=2)
        one.cooling.forget(A, M)
        one.forgive(CHANNEL, A, M)
        await tasks.drain(5)
        await other.look()
        assert rests(other) == 0

    two_processes(redis_url, check)


def test_c5_a_process_that_starts_knows_what_the_others_know(redis_url: str) -> None:
    async def check(one: SharedKeys, late: SharedKeys, tasks: OwnedTasks) -> None:
        fail(one, 60)
        await tasks.drain(5)
        await late.look()
        assert rests(late) == pytest.approx(60, abs=2)

    two_processes(redis_url, check)


def test_c5_what_is_known_here_for_longer_stays_and_so_do_facts(redis_url: str) -> None:
    async def check(one: SharedKeys, other: SharedKeys, tasks: OwnedTasks) -> None:
        other.cooling.withdraw(A, "provider_status_401", 30.0, clock.monotonic_s())
        fail(one, 60)
        await tasks.drain(5)
        await other.look()
        assert rests(other) == pytest.approx(60, abs=2)
        assert rests(other, "another") == pytest.approx(30, abs=2)
        one.forgive(CHANNEL, A, ALL_MODELS)
        await tasks.drain(5)
        await other.look()
        assert rests(other) == pytest.approx(30, abs=2)

    two_processes(redis_url, check)


def test_c5_what_is_forgiven_by_hand_is_so_for_every_model(redis_url: str) -> None:
    async def check(one: SharedKeys, other: SharedKeys, tasks: OwnedTasks) -> None:
        for model in ("x", "y"):
            fail(one, 60, model)
        await tasks.drain(5)
        await other.look()
        assert rests(other, "x") > 0
        assert rests(other, "z") == 0
        one.forgive(CHANNEL, A, ALL_MODELS)
        await tasks.drain(5)
        for each in (one, other):
            await each.look()
            assert rests(each, "x") == rests(each, "y") == 0

    two_processes(redis_url, check)


def test_c5_a_redis_that_forgets_makes_nobody_forget(redis_url: str) -> None:
    async def check(one: SharedKeys, other: SharedKeys, tasks: OwnedTasks) -> None:
        fail(one, 60)
        await tasks.drain(5)
        await other.look()
        with raw(redis_url) as client:
            client.flushall()
        await one.look()
        await other.look()
        assert rests(one) == pytest.approx(60, abs=2)
        assert rests(other) == pytest.approx(60, abs=2)

    two_processes(redis_url, check)


def test_c5_without_redis_a_process_knows_what_it_saw_itself(redis_url: str) -> None:
    async def run() -> None:
        tasks = OwnedTasks()
        async with guarded_redis(redis_url) as redis:
            keys = SharedKeys(SharedChannelKeys(redis), tasks)
        fail(keys, 60)  # it is closed by now
        keys.answered[UUID(int=9)] = (CHANNEL, clock.monotonic_s())
        assert await tasks.drain(5)
        with pytest.raises(CacheUnavailable):
            await keys.look()
        assert rests(keys) == pytest.approx(60, abs=2)

    asyncio.run(run())


def test_c5_when_a_key_worked_last_is_told_every_five_seconds(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_keys, "ANSWERED_EVERY_S", 0.2)

    async def check(one: SharedKeys, other: SharedKeys, tasks: OwnedTasks) -> None:
        del tasks
        async with guarded_redis(redis_url) as redis:
            told = SharedChannelKeys(redis)
            one.answered[A] = (CHANNEL, clock.monotonic_s() - 7)
            await one.look()
            assert (await told.answered_ago_s(CHANNEL))[A] == pytest.approx(7, abs=2)
            one.answered[A] = (CHANNEL, clock.monotonic_s())
            await one.look()
            assert (await told.answered_ago_s(CHANNEL))[A] == pytest.approx(7, abs=2)
            await asyncio.sleep(0.25)
            await one.look()
            await other.look()
            assert (await told.answered_ago_s(CHANNEL))[A] == pytest.approx(0.25, abs=2)

    two_processes(redis_url, check)
