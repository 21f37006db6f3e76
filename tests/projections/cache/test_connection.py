"""The pipelined client against a real server, with callers that go away and replies that do not."""

import asyncio
import os
import random
import time
import urllib.parse
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from projections.cache.connection import RedisConnection
from projections.cache.errors import CacheUnavailable, CommandRefused
from projections.cache.scripts import Script
from tests.projections.cache.driving import PATIENT_MS, Proxy, raw
from tollgate.embedded.valkey import EmbeddedValkey

ADD = Script("return tonumber(ARGV[1]) + tonumber(ARGV[2])")


def path_of(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path)


def test_calls_of_one_tick_are_answered_each_with_its_own_reply(redis_url: str) -> None:
    async def scenario() -> list[object]:
        connection = RedisConnection(redis_url, deadline_ms=PATIENT_MS)
        await connection.connect()
        replies = await asyncio.gather(*[connection.call("ECHO", i) for i in range(1_000)])
        connection.close()
        return replies

    assert uvloop.run(scenario()) == [str(i).encode() for i in range(1_000)]


def test_calls_of_one_tick_leave_in_one_write(redis_url: str) -> None:
    async def scenario() -> tuple[int, int]:
        connection = RedisConnection(redis_url, deadline_ms=PATIENT_MS)
        await connection.connect()
        with raw(redis_url) as client:
            before = client.info("stats")["total_reads_processed"]
            await asyncio.gather(*[connection.call("PING") for _ in range(200)])
            after = client.info("stats")["total_reads_processed"]
        connection.close()
        return before, after

    before, after = asyncio.run(scenario())
    assert after - before == 2  # the 200 calls, and the question itself


def test_two_thousand_cancelled_callers_never_shift_the_replies_of_others(redis_url: str) -> None:
    generator = random.Random(7)

    async def ask(connection: RedisConnection, i: int) -> None:
        assert await connection.call("ECHO", i) == str(i).encode()

    async def scenario() -> tuple[int, int]:
        kept = cancelled = 0
        async with Proxy(path_of(redis_url)) as proxy:
            connection = RedisConnection(proxy.url, deadline_ms=PATIENT_MS)
            await connection.connect()
            proxy.delay_s = 0.002
            for wave in range(40):
                tasks = [asyncio.create_task(ask(connection, wave * 100 + i)) for i in range(100)]
                await asyncio.sleep(generator.choice([0, 0, 0.001, 0.002]))
                for task in generator.sample(tasks, 60):
                    task.cancel()
                for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                    assert outcome is None or isinstance(outcome, asyncio.CancelledError)
                    kept += outcome is None
                    cancelled += outcome is not None
            connection.close()
        return kept, cancelled

    kept, cancelled = asyncio.run(scenario())
    assert cancelled >= 2_000
    assert kept >= 1_600


def test_a_lost_connection_fails_everything_pending(redis_url: str) -> None:
    async def scenario() -> list[object]:
        connection = RedisConnection(redis_url, deadline_ms=PATIENT_MS)
        await connection.connect()
        waiting = [asyncio.create_task(connection.call("BLPOP", "nothing", 0)) for _ in range(5)]
        await connection_is_blocked(redis_url)
        with raw(redis_url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
        outcomes: list[object] = list(await asyncio.gather(*waiting, return_exceptions=True))
        assert not connection.is_connected
        with pytest.raises(CacheUnavailable):
            await connection.call("PING")
        await connection.connect()
        assert await connection.call("ECHO", "again") == b"again"
        connection.close()
        return outcomes

    outcomes = asyncio.run(scenario())
    assert [type(outcome) for outcome in outcomes] == [CacheUnavailable] * 5


async def connection_is_blocked(url: str) -> None:
    with raw(url) as client:
        while client.info("clients")["blocked_clients"] == 0:
            await asyncio.sleep(0.005)


def test_an_overdue_call_fails_with_everything_behind_it_and_drops_the_connection(
    redis_url: str,
) -> None:
    async def scenario() -> None:
        lost: list[str] = []
        connection = RedisConnection(redis_url, deadline_ms=50, on_lost=lost.append)
        await connection.connect()
        waiting = [connection.call("BLPOP", "nothing", 0), connection.call("PING")]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["Redis did not reply within 50 ms"] * 2
        assert lost == ["Redis did not reply within 50 ms"]
        assert not connection.is_connected

    asyncio.run(scenario())


def test_a_cancelled_call_that_is_not_answered_still_counts_as_overdue(redis_url: str) -> None:
    async def scenario() -> None:
        connection = RedisConnection(redis_url, deadline_ms=50)
        await connection.connect()
        gone = asyncio.create_task(connection.call("BLPOP", "nothing", 0))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(CacheUnavailable, match="did not reply"):
            await connection.call("PING")

    asyncio.run(scenario())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_event_loop_that_stood_still_is_not_taken_for_a_slow_server(
    run: Callable[[Coroutine[Any, Any, object]], object], redis_url: str
) -> None:
    async def scenario() -> object:
        connection = RedisConnection(redis_url, deadline_ms=50)
        await connection.connect()
        loop, (readable, writable) = asyncio.get_running_loop(), os.pipe()

        def stand_still() -> None:
            loop.remove_reader(readable)
            time.sleep(0.2)

        # As a large body of another connection would: while the loop reads, before its timers.
        loop.add_reader(readable, stand_still)
        os.write(writable, b"!")
        reply = await connection.call("ECHO", "in time")
        os.close(readable)
        os.close(writable)
        connection.close()
        return reply

    assert run(scenario()) == b"in time"


def test_a_script_the_server_lost_is_loaded_again_under_all_its_callers(redis_url: str) -> None:
    async def scenario() -> list[object]:
        connection = RedisConnection(redis_url, [ADD], deadline_ms=PATIENT_MS)
        await connection.connect()
        with raw(redis_url) as client:
            client.script_flush()
        single = await asyncio.gather(*[connection.evalsha(ADD, [], [i, 1]) for i in range(50)])
        with raw(redis_url) as client:
            client.script_flush()
        each = await connection.evalsha_each(ADD, [([], [i, 1]) for i in range(50, 100)])
        connection.close()
        return [*single, *each]

    assert asyncio.run(scenario()) == list(range(1, 101))


def test_a_refused_command_leaves_the_connection_and_its_neighbours_alone(redis_url: str) -> None:
    async def scenario() -> list[object]:
        connection = RedisConnection(redis_url, deadline_ms=PATIENT_MS)
        await connection.connect()
        calls = [
            connection.call("SET", "text", "x"),
            connection.call("LPUSH", "text", "y"),
            connection.call("GET", "text"),
        ]
        outcomes = list(await asyncio.gather(*calls, return_exceptions=True))
        assert connection.is_connected
        connection.close()
        return outcomes

    first, second, third = asyncio.run(scenario())
    assert (first, third) == (b"OK", b"x")
    assert isinstance(second, CommandRefused)


def test_it_signs_in_with_a_password_and_chooses_the_database(own_valkey: EmbeddedValkey) -> None:
    with raw(own_valkey.url) as client:
        client.config_set("requirepass", "p@ss word")
    path = path_of(own_valkey.url)

    async def scenario() -> bytes:
        connection = RedisConnection(
            f"unix://:p%40ss%20word@{path}?db=5", [ADD], deadline_ms=PATIENT_MS
        )
        await connection.connect()
        assert await connection.evalsha(ADD, [], [1, 1]) == 2
        session = await connection.call("CLIENT", "INFO")
        connection.close()
        assert isinstance(session, bytes)
        for url in (own_valkey.url, f"unix://:wrong@{path}"):
            with pytest.raises(CacheUnavailable):
                await RedisConnection(url, [ADD], deadline_ms=PATIENT_MS).connect()
        return session

    assert b" db=5 " in asyncio.run(scenario())


def test_a_server_that_is_not_there_is_unavailable() -> None:
    async def scenario() -> None:
        for url in ("unix:///nowhere/valkey.sock", "redis://127.0.0.1:1/0"):
            with pytest.raises(CacheUnavailable, match="cannot be reached"):
                await RedisConnection(url).connect()

    asyncio.run(scenario())


def test_a_peer_that_does_not_speak_redis_is_dropped() -> None:
    async def scenario() -> None:
        async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(CacheUnavailable):
                await RedisConnection(f"redis://127.0.0.1:{port}").connect()

    asyncio.run(scenario())
