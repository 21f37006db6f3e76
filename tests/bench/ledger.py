"""`python -m tests.bench.ledger [--events N]`: the books of a long log, measured.

Generates a lawful ledger through the real append function, folds it live, and then does what
finance and auditors do with it, each in a process of its own. One JSON object on standard output;
1 if the books are wrong.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import psycopg

from ledger.fsck import check_ledger
from ledger.store.migrate import migrate
from projections.books.as_of import resolve_as_of
from projections.books.balances import balance_at
from projections.books.statements import Period, statement_lines
from projections.books.trial_balance import trial_balance
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS, chosen
from projections.runner import Runner
from tests.bench.generated import generate
from tests.conftest import make_data_directory
from tests.running import until
from tollgate.embedded.postgres import APPLICATION, OWNER, EmbeddedPostgres

AS_OF_QUESTIONS = 300

Figures = dict[str, Any]


def main() -> int:
    """Measure one thing as a child, or make the ledger and have everything measured."""
    arguments = _arguments()
    if arguments.measure is not None:
        name, _, argument = arguments.measure.partition(":")
        print(json.dumps(_measured(lambda: MEASURES[name](arguments.dsn, argument))))
        return 0
    report = _report(arguments.events, arguments.accounts)
    print(json.dumps(report, indent=1))
    return 0 if report["fsck"]["faults"] == 0 else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--dsn", help=argparse.SUPPRESS)
    return parser.parse_args()


def _report(events: int, accounts: int) -> Figures:
    directory = make_data_directory(on_disk=True)
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        return _report_of(server, events, accounts)
    finally:
        server.stop()
        shutil.rmtree(directory.root.parent)


def _report_of(server: EmbeddedPostgres, events: int, accounts: int) -> Figures:
    owner_dsn, dsn = server.dsn(OWNER, "bench"), server.dsn(APPLICATION, "bench")
    with psycopg.connect(server.dsn(OWNER, "postgres"), autocommit=True) as connection:
        connection.execute(f"create database bench owner {OWNER}")
    migrate(owner_dsn, APPLICATION)
    _say(f"generating {events} events")
    started_s = time.perf_counter()
    stored = generate(owner_dsn, events, accounts).stored
    generated_s = time.perf_counter() - started_s
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze ledger.event")
    _say("folding live")
    live_s = _live_s(dsn, stored)
    report: Figures = {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "events": stored,
        "accounts": accounts,
        "appended_per_second": round(stored / generated_s),
        "live_per_second": round(stored / live_s),
        "live_projections": len(PROJECTIONS),
    }
    for name in ("fsck", "statement", "trial_balance", "trial_balance_in_the_middle", "as_of"):
        report[name] = _in_a_child(dsn, name)
    report["rebuild"] = {
        each.name: _in_a_child(dsn, f"rebuild:{each.name}") for each in PROJECTIONS
    }
    report["load_average"] = [round(load, 2) for load in os.getloadavg()]
    report["goals"] = {
        "rebuild_per_second": {
            "goal": 100_000,
            "is": {name: one["per_second"] for name, one in report["rebuild"].items()},
        },
        "as_of_balance_ms": {"goal": 50, "is": report["as_of"]["p99_ms"]},
    }
    return report


def _live_s(dsn: str, head: int) -> float:
    """Seconds until a runner has folded the whole log into every projection."""
    runner, stop = Runner(dsn, PROJECTIONS), threading.Event()
    thread = threading.Thread(target=runner.run_until, args=(stop,))
    started_s = time.perf_counter()
    thread.start()
    try:
        until(lambda: all((each.position or 0) >= head for each in runner.status()), 7_200.0)
        return time.perf_counter() - started_s
    finally:
        stop.set()
        thread.join()


def _in_a_child(dsn: str, measure: str) -> Figures:
    _say(measure)
    command = [sys.executable, "-m", "tests.bench.ledger", "--measure", measure, "--dsn", dsn]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


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
            lines = [line async for line in statement_lines(connection, account_id, Period(as_of))]
            return {"lines": len(lines)}

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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
