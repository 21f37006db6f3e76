"""What the balance cache says to holds, against a real server."""

import asyncio
import uuid
from uuid import UUID, uuid4

import pytest
import redis.crc

from ledger.store.append import ScopeBalance
from projections.cache.balances import BalanceCache, Verdict
from projections.cache.scripts import LARGEST_EXACT
from tests.projections.cache.driving import balance_cache, raw

ACCOUNT = UUID(int=1)
KEY = UUID(int=2)
MONTH = UUID(int=3)


def published(used_nanos: int, position: int, scope: UUID = ACCOUNT) -> ScopeBalance:
    return ScopeBalance(ACCOUNT, scope, used_nanos, position)


async def take(cache: BalanceCache, amount_nanos: int, cap_nanos: int | None = 0) -> Verdict:
    return await cache.reserve(ACCOUNT, uuid4(), amount_nanos, [(ACCOUNT, cap_nanos)])


def test_holds_fit_up_to_the_cap_and_not_a_nanodollar_beyond(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            assert await cache.publish([published(-1_000, 1)], [])
            assert await take(cache, 400) is Verdict.OK
            assert await take(cache, 601) is Verdict.SHORT
            assert await take(cache, 600) is Verdict.OK
            assert await take(cache, 1) is Verdict.SHORT

    asyncio.run(scenario())


def test_an_unknown_or_uncapped_scope_is_never_short(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            assert await take(cache, 10**15) is Verdict.OK
            await cache.publish([published(0, 1)], [])
            assert await take(cache, 1) is Verdict.SHORT
            assert await take(cache, 10**15, cap_nanos=None) is Verdict.OK

    asyncio.run(scenario())


def test_each_capped_scope_must_cover_the_hold(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-1_000, 1), published(90, 1, KEY)], [])
            limits = [(ACCOUNT, 0), (KEY, 100), (MONTH, 50)]
            assert await cache.reserve(ACCOUNT, uuid4(), 11, limits) is Verdict.SHORT
            assert await cache.reserve(ACCOUNT, uuid4(), 10, limits) is Verdict.OK
            await cache.publish([published(0, 2, KEY), published(41, 2, MONTH)], [])
            assert await cache.reserve(ACCOUNT, uuid4(), 1, limits) is Verdict.SHORT

    asyncio.run(scenario())


def test_a_hold_of_nothing_is_never_short_and_a_negative_one_is_a_mistake(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(5_000, 1)], [])
            assert await take(cache, 0) is Verdict.OK
            with pytest.raises(ValueError, match="negative"):
                await take(cache, -1)

    asyncio.run(scenario())


def test_the_same_hold_twice_counts_once(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-100, 1)], [])
            hold = uuid4()
            for _ in range(3):
                verdict = await cache.reserve(ACCOUNT, hold, 60, [(ACCOUNT, 0)])
                assert verdict is Verdict.OK
            assert await take(cache, 41) is Verdict.SHORT
            assert await take(cache, 40) is Verdict.OK

    asyncio.run(scenario())


def test_a_published_hold_is_no_longer_in_flight(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-100, 1)], [])
            hold = uuid4()
            await cache.reserve(ACCOUNT, hold, 60, [(ACCOUNT, 0)])
            assert await cache.publish([published(-40, 2)], [(ACCOUNT, hold), (ACCOUNT, hold)])
            assert await take(cache, 41) is Verdict.SHORT
            assert await take(cache, 40) is Verdict.OK

    asyncio.run(scenario())


def test_a_refused_hold_gives_back_what_it_took_in_every_scope(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-100, 1), published(0, 1, KEY)], [])
            hold = uuid4()
            await cache.reserve(ACCOUNT, hold, 100, [(ACCOUNT, 0), (KEY, 100)])
            assert await cache.publish([], [(ACCOUNT, hold)])
            limits = [(ACCOUNT, 0), (KEY, 100)]
            assert await cache.reserve(ACCOUNT, uuid4(), 100, limits) is Verdict.OK

    asyncio.run(scenario())


def test_an_older_position_never_replaces_what_is_known(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            assert await cache.read(ACCOUNT, ACCOUNT) is None
            assert await cache.publish([published(70, 7), published(60, 6)], [])
            assert await cache.read(ACCOUNT, ACCOUNT) == (70, 7)
            assert await cache.publish([published(1, 6)], [])
            assert await cache.read(ACCOUNT, ACCOUNT) == (70, 7)
            assert await cache.publish([published(-80, 10)], [])
            assert await cache.read(ACCOUNT, ACCOUNT) == (-80, 10)

    asyncio.run(scenario())


def test_what_is_published_again_heals_a_value_edited_by_hand(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            assert await cache.publish([published(70, 7)], [])
            with redis.Redis.from_url(redis_url) as by_hand:
                by_hand.set(f"tollgate:{{{ACCOUNT.hex}}}:used:{ACCOUNT.hex}", f"7 {-(10**12)}")
            assert await cache.read(ACCOUNT, ACCOUNT) == (-(10**12), 7)
            assert await cache.publish([published(70, 7)], [])
            assert await cache.read(ACCOUNT, ACCOUNT) == (70, 7)

    asyncio.run(scenario())


def test_one_publication_may_concern_many_accounts_and_many_holds(redis_url: str) -> None:
    async def scenario() -> None:
        accounts = [uuid4() for _ in range(200)]
        holds = [uuid4() for _ in range(2_500)]
        async with balance_cache(redis_url) as cache:
            taken = [cache.reserve(ACCOUNT, hold, 1, [(ACCOUNT, 0)]) for hold in holds]
            assert set(await asyncio.gather(*taken)) == {Verdict.OK}
            balances = [ScopeBalance(account, account, -5, 9) for account in accounts]
            settled = [(ACCOUNT, hold) for hold in holds]
            assert await cache.publish([*balances, published(-10, 9)], settled)
            known = [await cache.read(account, account) for account in accounts]
            assert known == [(-5, 9)] * 200
            assert await take(cache, 10) is Verdict.OK

    asyncio.run(scenario())


def test_amounts_beyond_exact_doubles_are_clamped(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(2**62, 1), published(-(2**62), 1, KEY)], [])
            assert await cache.read(ACCOUNT, ACCOUNT) == (LARGEST_EXACT, 1)
            assert await cache.read(ACCOUNT, KEY) == (-LARGEST_EXACT, 1)
            assert await take(cache, 2**62) is Verdict.SHORT
            assert await take(cache, 2**62, cap_nanos=2**63 - 1) is Verdict.OK

    asyncio.run(scenario())


def test_sums_are_exact_to_the_last_nanodollar_below_the_clamp(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-LARGEST_EXACT, 1)], [])
            assert await take(cache, LARGEST_EXACT - 3) is Verdict.OK
            assert await take(cache, 4) is Verdict.SHORT
            assert await take(cache, 3) is Verdict.OK
            with raw(redis_url) as client:
                held = client.hget(f"tollgate:{{{ACCOUNT.hex}}}:holds", f"sum:{ACCOUNT.hex}")
            assert held == str(LARGEST_EXACT)

    asyncio.run(scenario())


def test_more_in_flight_than_can_be_counted_is_left_to_postgres(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            assert await take(cache, LARGEST_EXACT) is Verdict.OK
            assert await take(cache, LARGEST_EXACT) is Verdict.OK
            await cache.publish([published(-LARGEST_EXACT, 1)], [])
            assert await take(cache, 1) is Verdict.SHORT

    asyncio.run(scenario())


def add_aged_hold(url: str, amount_nanos: int, age_ms: int) -> None:
    """What RESERVE would have left behind `age_ms` ago."""
    hold, prefix = uuid.uuid4().hex, f"tollgate:{{{ACCOUNT.hex}}}:"
    with raw(url) as client:
        seconds, microseconds = client.time()
        taken_ms = seconds * 1_000 + microseconds // 1_000 - age_ms
        client.hset(prefix + "holds", hold, f"{amount_nanos} {ACCOUNT.hex}")
        client.hincrby(prefix + "holds", f"sum:{ACCOUNT.hex}", amount_nanos)
        client.hset(prefix + "holds", "sweep_at", taken_ms + 60_000)
        client.zadd(prefix + "times", {hold: taken_ms})


def test_holds_older_than_a_minute_do_not_count(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-100, 1)], [])
            add_aged_hold(redis_url, 30, 30_000)
            add_aged_hold(redis_url, 70, 60_001)
            assert await take(cache, 71) is Verdict.SHORT
            assert await take(cache, 70) is Verdict.OK
            with raw(redis_url) as client:
                assert client.zcard(f"tollgate:{{{ACCOUNT.hex}}}:times") == 2

    asyncio.run(scenario())


def test_a_backlog_of_expired_holds_refuses_nobody_and_is_worked_off(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-100, 1)], [])
            for _ in range(60):
                add_aged_hold(redis_url, 50, 61_000)
            assert await take(cache, 1, cap_nanos=None) is Verdict.OK
            with raw(redis_url) as client:
                times = f"tollgate:{{{ACCOUNT.hex}}}:times"
                assert client.zcard(times) == 60 - 16 + 1
                assert await take(cache, 99) is Verdict.OK
                assert client.zcard(times) == 2
            assert await take(cache, 1) is Verdict.SHORT

    asyncio.run(scenario())


def test_the_work_of_a_hold_does_not_grow_with_the_holds_in_flight(redis_url: str) -> None:
    async def commands_of_one_hold(cache: BalanceCache) -> int:
        with raw(redis_url) as client:
            client.config_resetstat()
            assert await take(cache, 1) is Verdict.OK
            counted = client.info("commandstats")
        ours = {name: row["calls"] for name, row in counted.items() if "config" not in name}
        return sum(ours.values())

    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await take(cache, 1)
            with_one = await commands_of_one_hold(cache)
            await asyncio.gather(*[take(cache, 1) for _ in range(3_000)])
            assert await commands_of_one_hold(cache) == with_one

    asyncio.run(scenario())


def test_every_key_of_an_account_vanishes_in_time_and_shares_one_slot(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            hold = uuid4()
            await cache.reserve(ACCOUNT, hold, 1, [(ACCOUNT, 0), (KEY, None)])
            await cache.publish([published(0, 1), published(0, 1, KEY)], [(ACCOUNT, hold)])
            await take(cache, 1, cap_nanos=None)  # the sorted set had gone with its last hold

    asyncio.run(scenario())
    with raw(redis_url) as client:
        keys = list(client.scan_iter("*"))
        lifetimes_s = [client.ttl(key) for key in keys]
    assert len(keys) == 4
    assert all(86_000 < lifetime_s <= 86_400 for lifetime_s in lifetimes_s)
    assert len({redis.crc.key_slot(key.encode()) for key in keys}) == 1


def test_a_flush_forgets_everything_and_nothing_goes_wrong(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            hold = uuid4()
            await cache.publish([published(-100, 5)], [])
            await cache.reserve(ACCOUNT, hold, 100, [(ACCOUNT, 0)])
            assert await take(cache, 1) is Verdict.SHORT
            with raw(redis_url) as client:
                client.flushall()
            assert await cache.read(ACCOUNT, ACCOUNT) is None
            assert await take(cache, 1) is Verdict.OK
            assert await cache.publish([published(0, 6)], [(ACCOUNT, hold)])
            assert await take(cache, 1) is Verdict.SHORT

    asyncio.run(scenario())


def test_forgotten_scripts_are_not_noticed(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            with raw(redis_url) as client:
                client.script_flush()
                assert await cache.publish([published(-100, 1)], [])
                client.script_flush()
            assert await take(cache, 101) is Verdict.SHORT
            assert await take(cache, 100) is Verdict.OK

    asyncio.run(scenario())


@pytest.mark.parametrize("evicted", ["holds", "times"])
def test_half_of_the_holds_evicted_does_not_lock_an_account(redis_url: str, evicted: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            await cache.publish([published(-100, 1)], [])
            await take(cache, 100)
            prefix = f"tollgate:{{{ACCOUNT.hex}}}:"
            with raw(redis_url) as client:
                client.delete(prefix + evicted)
                if evicted == "times":
                    client.hset(prefix + "holds", "sweep_at", 0)  # a minute later
            assert await take(cache, 100) is Verdict.OK
            assert await take(cache, 1) is Verdict.SHORT

    asyncio.run(scenario())


@pytest.mark.parametrize("written", ["", "rubbish", "1", "5 1e400", "9" * 30])
def test_a_value_edited_by_hand_counts_as_unknown(redis_url: str, written: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            with raw(redis_url) as client:
                client.set(f"tollgate:{{{ACCOUNT.hex}}}:used:{ACCOUNT.hex}", written)
            assert await cache.read(ACCOUNT, ACCOUNT) is None
            assert await take(cache, 1) is Verdict.OK

    asyncio.run(scenario())


def test_a_key_of_another_type_disturbs_its_account_alone(redis_url: str) -> None:
    async def scenario() -> None:
        async with balance_cache(redis_url) as cache:
            with raw(redis_url) as client:
                client.set(f"tollgate:{{{ACCOUNT.hex}}}:holds", "rubbish")
            assert await take(cache, 1) is Verdict.UNAVAILABLE
            assert not await cache.publish([published(0, 1)], [(ACCOUNT, uuid4())])
            other = uuid4()
            assert await cache.publish([ScopeBalance(other, other, 0, 1)], [])
            assert await cache.reserve(other, uuid4(), 1, [(other, 0)]) is Verdict.SHORT

    asyncio.run(scenario())
