"""`python -m tests.bench.ledger [--events N]`: the books of a long log, measured.

Generates a lawful ledger through the real append function, folds it live, and then does what
finance and auditors do with it, each in a process of its own. One JSON object on standard output;
1 if the books are wrong.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time

import psycopg

from ledger.store.migrate import migrate
from projections.registry import PROJECTIONS
from projections.runner import Runner
from tests.bench.generated import generate
from tests.bench.ledger_measures import Figures
from tests.running import until
from tests.servers import make_data_directory
from tollgate.embedded.postgres import APPLICATION, OWNER, EmbeddedPostgres


def main() -> int:
    """Make the ledger and have everything measured."""
    arguments = _arguments()
    report = _report(arguments.events, arguments.accounts)
    print(json.dumps(report, indent=1))
    return 0 if report["fsck"]["faults"] == 0 else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=1_000)
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
    command = [sys.executable, "-m", "tests.bench.ledger_measures", measure, dsn]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
