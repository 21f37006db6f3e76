"""The balance cache on a Redis that is killed, slow, full or read-only: nobody waits, it heals."""

import asyncio
import signal
import urllib.parse
from collections.abc import Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.store.append import ScopeBalance
from projections.cache.balances import BalanceCache, Verdict
from projections.cache.errors import CacheUnavailable
from projections.cache.guarded import GuardedRedis
from tests.projections.cache.driving import (
    PATIENT_MS,
    Proxy,
    answer_without_waiting,
    guarded_redis,
    raw,
    until,
)
from tollgate.embedded.valkey import EmbeddedValkey

ACCOUNT = UUID(int=1)
NEVER_S = 3_600.0


def hold(cache: BalanceCache) -> Coroutine[Any, Any, Verdict]:
    return cache.reserve(ACCOUNT, uuid4(), 1, [(ACCOUNT, 0)])


def assert_nobody_waits(guarded: GuardedRedis) -> None:
    cache = BalanceCache(guarded)
    balance = ScopeBalance(ACCOUNT, ACCOUNT, 0, 1)
    assert guarded.is_open
    assert answer_without_waiting(hold(cache)) is Verdict.UNAVAILABLE
    assert answer_without_waiting(cache.publish([balance], [(ACCOUNT, uuid4())])) is False
    with pytest.raises(CacheUnavailable):
        answer_without_waiting(cache.read(ACCOUNT, ACCOUNT))


async def assert_heals(guarded: GuardedRedis) -> None:
    cache, account = BalanceCache(guarded), uuid4()
    await until(lambda: not guarded.is_open)
    assert await cache.publish([ScopeBalance(account, account, -1, 1)], [])
    assert await cache.reserve(account, uuid4(), 1, [(account, 0)]) is Verdict.OK
    assert await cache.reserve(account, uuid4(), 1, [(account, 0)]) is Verdict.SHORT


def test_a_killed_connection_is_noticed_before_the_next_call_and_replaced(redis_url: str) -> None:
    async def scenario() -> None:
        async with guarded_redis(redis_url, probe_interval_s=0.1) as guarded:
            with raw(redis_url) as client:
                client.client_kill_filter(_type="normal", skipme=True)
            await until(lambda: guarded.is_open)
            assert_nobody_waits(guarded)
            await assert_heals(guarded)

    asyncio.run(scenario())


def test_a_killed_server_answers_nobody_and_is_found_again_after_its_restart(
    own_valkey: EmbeddedValkey,
) -> None:
    async def scenario() -> None:
        async with guarded_redis(own_valkey.url) as guarded:
            cache = BalanceCache(guarded)
            assert await hold(cache) is Verdict.OK
            process = own_valkey.process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            waiting = [asyncio.create_task(hold(cache)) for _ in range(100)]
            await asyncio.sleep(0)
            process.kill()
            assert set(await asyncio.gather(*waiting)) == {Verdict.UNAVAILABLE}
            assert_nobody_waits(guarded)
            await asyncio.to_thread(own_valkey.start)
            await assert_heals(guarded)

    asyncio.run(scenario())


def test_a_server_that_is_not_there_at_the_start_is_found_later(own_valkey: EmbeddedValkey) -> None:
    async def scenario() -> None:
        own_valkey.stop()
        async with guarded_redis(own_valkey.url) as guarded:
            assert_nobody_waits(guarded)
            await asyncio.to_thread(own_valkey.start)
            await assert_heals(guarded)

    asyncio.run(scenario())


def test_a_slow_server_is_left_out_after_one_deadline_and_taken_back_when_it_is_fast(
    redis_url: str,
) -> None:
    async def scenario() -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(redis_url).path)
        async with (
            Proxy(path) as proxy,
            guarded_redis(proxy.url, deadline_ms=250) as guarded,
        ):
            cache = BalanceCache(guarded)
            assert await hold(cache) is Verdict.OK
            proxy.delay_s = 30.0
            waiting = [asyncio.create_task(hold(cache)) for _ in range(100)]
            assert set(await asyncio.gather(*waiting)) == {Verdict.UNAVAILABLE}
            assert_nobody_waits(guarded)
            await asyncio.sleep(0.4)  # a probe was tried meanwhile, and was too slow as well
            assert_nobody_waits(guarded)
            proxy.delay_s = 0.0
            await assert_heals(guarded)

    asyncio.run(scenario())


def test_while_it_is_left_out_nothing_is_sent(redis_url: str) -> None:
    async def scenario() -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(redis_url).path)
        async with (
            Proxy(path) as proxy,
            guarded_redis(proxy.url, deadline_ms=100, probe_interval_s=NEVER_S) as guarded,
        ):
            proxy.delay_s = 30.0
            assert await hold(BalanceCache(guarded)) is Verdict.UNAVAILABLE
            sent_bytes = proxy.bytes_to_server
            for _ in range(100):
                assert await hold(BalanceCache(guarded)) is Verdict.UNAVAILABLE
            await asyncio.sleep(0.05)
            assert proxy.bytes_to_server == sent_bytes

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["OOM", "READONLY"],
)
def test_a_server_that_cannot_write_stays_left_out_until_it_can(
    own_valkey: EmbeddedValkey, trouble: tuple[str, ...], remedy: tuple[str, ...]
) -> None:
    async def scenario() -> None:
        async with guarded_redis(own_valkey.url) as guarded:
            with raw(own_valkey.url) as client:
                client.execute_command(*trouble)
                assert await hold(BalanceCache(guarded)) is Verdict.UNAVAILABLE
                for _ in range(20):
                    await asyncio.sleep(0.01)
                    assert_nobody_waits(guarded)
                client.execute_command(*remedy)
            await assert_heals(guarded)

    asyncio.run(scenario())


def test_after_closing_it_calls_fail_at_once_and_nothing_is_left_running(redis_url: str) -> None:
    async def scenario() -> None:
        async with guarded_redis(redis_url, deadline_ms=PATIENT_MS) as guarded:
            assert await hold(BalanceCache(guarded)) is Verdict.OK
        assert_nobody_waits(guarded)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
