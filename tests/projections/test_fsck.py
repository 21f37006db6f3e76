"""fsck over everything derived: clean on a lawful log, and naming whatever was tampered with."""

import asyncio

import psycopg
import pytest
import redis

from ledger.store.append import ScopeBalance
from projections.cache.balances import BalanceCache
from projections.cache.breaker import Breaker
from projections.cache.connection import RedisConnection
from projections.cache.errors import CacheUnavailable
from projections.cache.guarded import GuardedRedis
from projections.cache.scripts import PUBLISH
from projections.fsck import check_everything, check_projection
from projections.registry import PROJECTIONS
from projections.views import accounts
from tests.builders import LawfulLog
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head


def published(redis_url: str, balances: list[ScopeBalance]) -> None:
    """Balances in Redis, as the writer publishes them."""

    async def publish() -> None:
        guarded = GuardedRedis(RedisConnection(redis_url, [PUBLISH]), Breaker())
        await guarded.start()
        assert await BalanceCache(guarded).publish(balances, [])
        await guarded.close()

    asyncio.run(publish())


def balances(books: Books) -> list[ScopeBalance]:
    """What the budgets of all accounts say."""
    rows = books.connection.execute(
        "select scope, held_nanos - posted_nanos, position from ledger.budget "
        "where scope in (select account_id from ledger.event)"
    )
    return [ScopeBalance(scope, scope, used, at) for scope, used, at in rows.fetchall()]


def test_books_kept_by_the_runner_and_the_writer_are_clean(books: Books, redis_url: str) -> None:
    log = LawfulLog(books.connection, seed=1)
    log.grow(1_000)
    earlier = balances(books)
    log.grow(500)
    run_to_head(books.dsn, books.connection)
    published(redis_url, earlier[:4] + balances(books)[4:])
    assert list(check_everything(books.dsn, PROJECTIONS, redis_url)) == []


def test_a_corrupted_row_is_named_with_its_table_and_key(books: Books) -> None:
    log = LawfulLog(books.connection, seed=2)
    log.grow(300)
    run_to_head(books.dsn, books.connection)
    books.connection.execute(
        "update view_accounts_1.accounts set group_name = 'gold' where account_id = %s",
        (log.accounts[3],),
    )
    (finding,) = check_everything(books.dsn, PROJECTIONS)
    assert (finding.check, finding.scope) == ("projection", "accounts.accounts")
    assert str(log.accounts[3]) in finding.message
    assert "gold" in finding.message


def test_a_balance_in_redis_that_the_log_does_not_have_is_named(
    books: Books, redis_url: str
) -> None:
    log = LawfulLog(books.connection, seed=3)
    log.grow(300)
    true = balances(books)
    wrong = [
        true[0]._replace(used_nanos=-(10**12)),
        true[1]._replace(position=10**9),
    ]
    published(redis_url, [*wrong, *true[2:]])
    findings = list(check_everything(books.dsn, (), redis_url))
    assert {(each.check, each.scope) for each in findings} == {
        ("cache", str(true[0].scope)),
        ("cache", str(true[1].scope)),
    }


def test_a_redis_that_does_not_answer_is_not_taken_for_a_clean_one(books: Books) -> None:
    with pytest.raises(CacheUnavailable):
        list(check_everything(books.dsn, (), "redis://127.0.0.1:1/0"))


def test_a_cache_that_knows_nothing_is_clean(books: Books, redis_url: str) -> None:
    LawfulLog(books.connection, seed=4).grow(100)
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    assert list(check_everything(books.dsn, (), redis_url)) == []


def test_a_log_that_cannot_be_folded_is_a_finding_not_a_crash(books: Books) -> None:
    LawfulLog(books.connection, seed=5).grow(100)
    run_to_head(books.dsn, books.connection)
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("alter table ledger.event disable trigger append_only")
        row = owner.execute(
            "update ledger.event set state = '{' where position = "
            "(select max(position) from ledger.event where topic = 'credit.CreditGranted.v1') "
            "returning position"
        ).fetchone()
    assert row is not None
    (finding,) = check_projection(books.dsn, accounts.PROJECTION)
    assert (finding.check, finding.scope) == ("projection", "accounts")
    assert f"before position {row[0]}" in finding.message
