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
from projections.fsck import check_everything, check_projection, check_requests
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


def test_t4_a_view_that_lies_is_named(books: Books) -> None:
    """Its rows are all there, and nobody who reads it is told of one."""
    log = LawfulLog(books.connection, seed=2)
    log.grow(300)
    run_to_head(books.dsn, books.connection)
    columns = books.connection.execute("select * from projections.accounts limit 1").description
    assert columns is not None
    told = ", ".join(
        "2 * posted_nanos as posted_nanos" if name == "posted_nanos" else name
        for name, *_ in columns
    )
    books.connection.execute(
        f"create or replace view projections.accounts as select {told} "
        "from view_accounts_1.accounts".encode()
    )
    (finding,) = check_everything(books.dsn, PROJECTIONS)
    assert (finding.check, finding.scope) == ("projection", "accounts.accounts")
    assert "2 * " in finding.message


def test_settlements_and_the_request_log_must_match_one_to_one(books: Books) -> None:
    LawfulLog(books.connection, seed=6).grow(400)
    run_to_head(books.dsn, books.connection)
    assert list(check_requests(books.dsn)) == []
    settled = books.connection.execute(
        "select originator_id, position from ledger.event "
        "where topic = 'charge.UsageSettled.v1' order by position"
    ).fetchall()
    (lost, lost_at), (refunded, refunded_at) = settled[3], settled[5]
    returned = books.connection.execute(
        "select charge_id, position from projections.request_log where status = 'refunded'"
    ).fetchone()
    assert returned is not None
    table = "view_request_log_1.request_log"
    for statement, charge_id in (
        (f"delete from {table} where charge_id = %s", lost),
        (f"update {table} set status = 'refunded' where charge_id = %s", refunded),
        (f"update {table} set status = 'settled' where charge_id = %s", returned[0]),
    ):
        books.connection.execute(statement.encode(), (charge_id,))
    found = list(check_requests(books.dsn))
    assert {(each.check, each.position, each.scope) for each in found} == {
        ("request_log", lost_at, str(lost)),
        ("request_log", refunded_at, str(refunded)),
        ("request_log", returned[1], str(returned[0])),
    }


def test_progress_covers_the_log_and_every_projection(books: Books) -> None:
    LawfulLog(books.connection, seed=7).grow(200)
    run_to_head(books.dsn, books.connection)
    told: list[tuple[int, int]] = []
    list(
        check_everything(
            books.dsn, PROJECTIONS, progress=lambda done, total: told.append((done, total))
        )
    )
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    head = books.connection.execute("select position from ledger.head").fetchone()
    assert head is not None
    everything = head[0] * (1 + len(PROJECTIONS))
    assert told[-1] == (everything, everything)


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
