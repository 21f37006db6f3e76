"""`python -m tests.bench.ledger_measures MEASURE DSN`: one thing done with the books, measured.

A program of its own that loads what it measures and nothing else: a rebuild starts processes, and
each of them loads the program that started it. One JSON object on standard output.
"""

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import psycopg

from ledger.fsck import check_ledger
from projections.books.as_of import resolve_as_of
from projections.books.balances import balance_at
from projections.books.statements import Period, statement
from projections.books.trial_balance import trial_balance
from projections.rebuild import rebuild
from projections.registry import chosen

AS_OF_QUESTIONS = 300

Figures = dict[str, Any]


def main() -> int:
    """Measure it; what follows a colon is for the measure, as in `rebuild:accounts`."""
    measure, dsn = sys.argv[1:]
    name, _, argument = measure.partition(":")
    print(json.dumps(_measured(lambda: MEASURES[name](dsn, argument))))
    return 0


def _measured(work: Callable[[], Figures]) -> Figures:
    """Seconds, processor time of this process and its children, the largest one's peak memory."""
    imported_s = time.process_time()
    started_s = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - started_s
    ours, theirs = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu_s = sum(used.ru_utime + used.ru_stime for used in (ours, theirs)) - imported_s
    if "events" in found:
        found["per_second"] = round(found["events"] / seconds)
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_s, 2),
        "peak_rss_mib": max(_peak_rss_kib(), theirs.ru_maxrss) // 1024,
        **found,
    }


def _peak_rss_kib() -> int:
    """Of this program alone: what getrusage tells includes who started it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def _fsck(dsn: str, _argument: str) -> Figures:
    events = 0

    def note(done: int, _total: int) -> None:
        nonlocal events
        events = done

    faults = sum(1 for _ in check_ledger(dsn, progress=note))
    return {"events": events, "faults": faults}


def _rebuild(dsn: str, name: str) -> Figures:
    (projection,) = chosen([name])
    return {"events": rebuild(dsn, projection).position}


def _statement(dsn: str, _argument: str) -> Figures:
    async def read() -> Figures:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            account_id = _busiest(dsn)
            as_of = await resolve_as_of(connection, None)
            lines = 0
            after: int | None = 0
            while after is not None:
                page = await statement(connection, account_id, Period(as_of), after=after)
                lines, after = lines + len(page.lines), page.next_after
            return {"lines": lines}

    return asyncio.run(read())


def _trial_balance(dsn: str, _argument: str) -> Figures:
    return asyncio.run(_trial_balance_at(dsn, None))


def _trial_balance_in_the_middle(dsn: str, _argument: str) -> Figures:
    return asyncio.run(_trial_balance_at(dsn, _head(dsn) // 2))


async def _trial_balance_at(dsn: str, position: int | None) -> Figures:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        found = await trial_balance(connection, await resolve_as_of(connection, position))
    return {"position": found.as_of.position, "ledger_accounts": len(found.totals)}


def _as_of(dsn: str, _argument: str) -> Figures:
    """Balances of random accounts and of the busiest one, as of random positions."""
    chance, head = random.Random(1), _head(dsn)
    accounts = [*_accounts(dsn), *([_busiest(dsn)] * 100)]
    asked = [
        (chance.choice(accounts), chance.randrange(1, head + 1)) for _ in range(AS_OF_QUESTIONS)
    ]

    async def ask() -> list[float]:
        took_ms = []
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await balance_at(connection, accounts[0], head)
            for account_id, position in asked:
                started_s = time.perf_counter()
                as_of = await resolve_as_of(connection, position)
                await balance_at(connection, account_id, as_of.position)
                took_ms.append((time.perf_counter() - started_s) * 1_000)
        return sorted(took_ms)

    took_ms = asyncio.run(ask())
    return {
        "questions": len(took_ms),
        "p50_ms": round(took_ms[len(took_ms) // 2], 2),
        "p99_ms": round(took_ms[len(took_ms) * 99 // 100], 2),
        "max_ms": round(took_ms[-1], 2),
    }


MEASURES: Mapping[str, Callable[[str, str], Figures]] = {
    "fsck": _fsck,
    "rebuild": _rebuild,
    "statement": _statement,
    "trial_balance": _trial_balance,
    "trial_balance_in_the_middle": _trial_balance_in_the_middle,
    "as_of": _as_of,
}


def _head(dsn: str) -> int:
    return int(_one(dsn, "select position from ledger.head"))


def _busiest(dsn: str) -> UUID:
    found = _one(dsn, "select account_id from projections.accounts order by events desc limit 1")
    assert isinstance(found, UUID)
    return found


def _accounts(dsn: str) -> list[UUID]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select account_id from projections.accounts").fetchall()
    return [row[0] for row in rows]


def _one(dsn: str, query: str) -> Any:  # noqa: ANN401 - any column
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


if __name__ == "__main__":
    sys.exit(main())
