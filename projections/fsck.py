"""Is everything that was derived from the ledger what the ledger says? And the ledger itself?

Every projection is compared with a replay, every balance Redis knows with the log at its position.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import IsolationLevel

from ledger.budget import BudgetFold, Total
from ledger.fsck import FINDINGS_PER_CHECK, Checked, Finding, check_ledger
from ledger.integrity.fsck import check_integrity
from ledger.store.append import adapt
from ledger.store.reader import RECORDED_COLUMNS, recorded
from ledger.streams.charge.events import UsageSettled
from projections.batches import LogBroken, ProjectionStopped
from projections.cache.balances import BalanceCache
from projections.cache.breaker import Breaker
from projections.cache.connection import RedisConnection
from projections.cache.errors import CacheUnavailable
from projections.cache.guarded import GuardedRedis
from projections.cache.scripts import LARGEST_EXACT
from projections.comparison import compare
from projections.contract import Projection
from projections.generations import read_served
from projections.progress import Progress, StepsInTurn, unwatched
from projections.rebuild import RebuildRefused
from projections.storage import connect
from projections.views import request_log

_READS_IN_FLIGHT = 200

# The position is that of the settlement, or of the charge's first event.
_UNMATCHED = """
    select coalesce(e.position, r.position), coalesce(e.originator_id, r.charge_id),
           e.position is not null
    from (select position, originator_id from ledger.event
          where topic = %s and position <= %s) e
    full join (select position, charge_id from projections.request_log
               where status = 'settled') r on r.charge_id = e.originator_id
    where e.position is null or r.charge_id is null
    order by 1 limit %s
"""


class CachedBalance(NamedTuple):
    """What Redis says of a scope: held - posted, at a position."""

    account_id: UUID
    scope: UUID
    used_nanos: int
    position: int


def check_everything(
    dsn: str,
    projections: Sequence[Projection],
    redis_url: str | None = None,
    progress: Progress = unwatched,
    checked: Checked | None = None,
    signer_folder: Path | None = None,
) -> Iterator[Finding]:
    """Every finding: the ledger's, then those of its seals, its projections and Redis.

    Works while the log grows. The application's role will do. `checked`, if given, is filled on
    the way. `signer_folder`: of this node's signer, whose memory is compared as well. Raises
    CacheUnavailable when the Redis to be checked does not answer.
    """
    checked = Checked() if checked is None else checked
    steps = StepsInTurn(progress, 1 + len(projections))
    yield from check_ledger(dsn, checked, steps.next())
    yield from check_integrity(dsn, signer_folder)
    for projection in projections:
        yield from check_projection(dsn, projection, steps.next())
    if any(projection.name == request_log.PROJECTION.name for projection in projections):
        yield from check_requests(dsn)
    if redis_url is not None:
        yield from check_cache(dsn, redis_url, checked)


def check_projection(
    dsn: str, projection: Projection, progress: Progress = unwatched
) -> Iterator[Finding]:
    """Rows that a replay would have otherwise."""
    try:
        differences = compare(dsn, projection, progress=progress)
    except (ProjectionStopped, LogBroken, RebuildRefused) as error:
        yield Finding("projection", None, projection.name, f"cannot be replayed: {error}")
        return
    for each in differences:
        message = f"row {each.key} is {each.served}, a replay gives {each.replayed}"
        scope = f"{projection.name}.{each.table}"
        yield Finding("projection", each.first_divergent, scope, message)


def check_requests(dsn: str) -> Iterator[Finding]:
    """Settlements without their one row in the request log, and settled rows without settlement.

    Says it without folding anything: the tables are laid side by side by Postgres.
    """
    with connect(dsn) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            served = read_served(connection, request_log.PROJECTION.name)
            if served is None or served.version != request_log.PROJECTION.version:
                return
            connection.execute("set local enable_seqscan = on; set local enable_hashjoin = on")
            rows = connection.execute(
                _UNMATCHED, (UsageSettled.TOPIC, served.position, FINDINGS_PER_CHECK)
            ).fetchall()
    for position, charge_id, is_settled in rows:
        message = (
            "is settled, and the request log does not say so"
            if is_settled
            else "is settled in the request log, and there is no such settlement"
        )
        yield Finding("request_log", position, str(charge_id), message)


def check_cache(dsn: str, redis_url: str, checked: Checked) -> Iterator[Finding]:
    """Balances in Redis that are not those of the log at the position they name."""
    totals = checked.budget.totals
    cached = asyncio.run(_read_cache(redis_url, totals))
    with psycopg.connect(dsn, autocommit=True) as connection:
        adapt(connection)
        for balance in cached:
            used = _used_at(connection, totals[balance.scope], balance)
            if used is None:
                message = f"Redis names position {balance.position}, beyond the log's head"
            elif max(-LARGEST_EXACT, min(used, LARGEST_EXACT)) != balance.used_nanos:
                message = f"Redis says {balance.used_nanos} nanos used, the log {used}"
            else:
                continue
            yield Finding("cache", balance.position, str(balance.scope), message)


def _used_at(
    connection: psycopg.Connection[Any], total: Total, balance: CachedBalance
) -> int | None:
    """What the log says was used of a scope right after a position; None beyond the head."""
    if balance.position == total.position:
        return total.held_nanos - total.posted_nanos
    head = connection.execute("select position from ledger.head").fetchone()
    if head is None or balance.position > head[0]:
        return None
    fold = BudgetFold()
    with connection.transaction(), connection.cursor("account", binary=True) as cursor:
        cursor.execute(
            f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - constants
            "where account_id = %b and position <= %b order by position",
            (balance.account_id, balance.position),
        )
        for row in cursor:
            fold.add(recorded(row))
    then = fold.totals.get(balance.scope)
    return 0 if then is None else then.held_nanos - then.posted_nanos


async def _read_cache(redis_url: str, totals: dict[UUID, Total]) -> list[CachedBalance]:
    redis = GuardedRedis(RedisConnection(redis_url, deadline_ms=2_000), Breaker())
    cache = BalanceCache(redis)
    await redis.start()
    try:
        if redis.is_open:
            raise CacheUnavailable(f"Redis does not answer at {redis_url.rpartition('@')[2]}")
        return await _read_balances(cache, totals)
    finally:
        await redis.close()


async def _read_balances(cache: BalanceCache, totals: dict[UUID, Total]) -> list[CachedBalance]:
    scopes = [(total.account_id, scope) for scope, total in totals.items()]
    cached: list[CachedBalance] = []
    for start in range(0, len(scopes), _READS_IN_FLIGHT):
        chunk = scopes[start : start + _READS_IN_FLIGHT]
        answers = await asyncio.gather(*(cache.read(*each) for each in chunk))
        cached += [
            CachedBalance(*each, *answer)
            for each, answer in zip(chunk, answers, strict=True)
            if answer is not None
        ]
    return cached
