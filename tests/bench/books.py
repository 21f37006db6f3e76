"""The ledger and the projections alone, on a fresh database of the benchmark's own Postgres."""

import asyncio
import os
import threading
import time
from typing import Any

import psycopg
import uvloop

from ledger.store.writer import Writer
from ledger.usage import Usage
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS
from projections.runner import Runner
from tests.bench.serving import Cores, Stage
from tests.ledger.building import Call, Payer, credit, payer, reserve, settle
from tests.running import until
from tests.servers import migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres

PRODUCERS = 256
_PAYERS = 50
_HOLD_NANOS = 100_000


def books(stage: Stage, cores: Cores, seconds: float) -> dict[str, Any]:
    """Appends a second by one writer, then that log folded live and again."""
    with migrated_database(EmbeddedPostgres(stage.program.data)) as database:
        os.sched_setaffinity(0, cores.gateway)
        appended = uvloop.run(_append(database.app_dsn, seconds))
        os.sched_setaffinity(0, cores.gateway | cores.others)
        head = _head(database.app_dsn)
        live_s = _live(database.app_dsn, head)
        rebuilt_s = {each.name: _timed(database.app_dsn, each) for each in PROJECTIONS}
    return {
        **appended,
        "projector_events": head,
        "projector_live_per_second": round(head / live_s),
        "projector_rebuild_per_second": round(head * len(PROJECTIONS) / sum(rebuilt_s.values())),
        "rebuild_per_second": {name: round(head / spent) for name, spent in rebuilt_s.items()},
    }


async def _append(dsn: str, seconds: float) -> dict[str, Any]:
    """A closed loop: each producer appends a hold, then its settlement, then the next."""
    writer = Writer(dsn)
    await writer.connect()
    paying = [payer() for _ in range(_PAYERS)]
    for one in paying:
        await writer.append([credit(one.account_id, 10**15)])
    waits_s: list[float] = []
    started_s = time.perf_counter()
    until_s = started_s + seconds
    await asyncio.gather(
        *(_produce(writer, paying[n % _PAYERS], until_s, waits_s) for n in range(PRODUCERS))
    )
    spent_s = time.perf_counter() - started_s
    batches = writer.batches - _PAYERS
    await writer.close()
    return {
        "appends_per_second": round(len(waits_s) / spent_s),
        "append_p50_ms": round(sorted(waits_s)[len(waits_s) // 2] * 1_000, 3),
        "events_per_batch": round(len(waits_s) / batches, 1),
    }


async def _produce(writer: Writer, paying: Payer, until_s: float, waits_s: list[float]) -> None:
    while time.perf_counter() < until_s:
        call = Call()
        for command in (reserve(paying.cover(), _HOLD_NANOS), settle(Usage(input=83, output=100))):
            began_s = time.perf_counter()
            await writer.append(call.next(command))
            waits_s.append(time.perf_counter() - began_s)


def _live(dsn: str, head: int) -> float:
    """Seconds until a runner has folded the whole log into every projection."""
    runner, stop = Runner(dsn, PROJECTIONS), threading.Event()
    thread = threading.Thread(target=runner.run_until, args=(stop,))
    started_s = time.perf_counter()
    thread.start()
    try:
        until(lambda: all((each.position or 0) >= head for each in runner.status()), 600.0)
        return time.perf_counter() - started_s
    finally:
        stop.set()
        thread.join()


def _timed(dsn: str, projection: Any) -> float:  # noqa: ANN401 - a projection of any row
    started_s = time.perf_counter()
    rebuild(dsn, projection)
    return time.perf_counter() - started_s


def _head(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select position from ledger.head").fetchone()
    assert row is not None
    return int(row[0])
