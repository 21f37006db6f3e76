"""`python -m tests.bench [--seconds S] [--quick]`: one JSON object; 1 if the books are wrong."""

import argparse
import json
import os
import platform
import sys
from typing import Any

import psutil
import psycopg

from tests.bench.books import PRODUCERS, books
from tests.bench.calls import Calls
from tests.bench.serving import Cores, Stage, peak_rss_mib, stage

CONNECTIONS = (1, 32, 128)
STREAM_CONNECTIONS = 32


def main() -> int:
    """Measure, then check the books that the measuring left."""
    arguments = _arguments()
    cores = Cores.of_this_machine()
    seconds, warm_s = (1.0, 0.5) if arguments.quick else (arguments.seconds, 2.0)
    with stage(cores) as on:
        calls = Calls(on, seconds, warm_s)
        whole = {str(many): calls.whole(many) for many in CONNECTIONS}
        streams = {str(many): calls.streams(many) for many in (1, STREAM_CONNECTIONS)}
        memory = {
            "worker": peak_rss_mib(on.billed.process),
            "background": peak_rss_mib(psutil.Process(on.program.background_pid)),
        }
        kept = _kept(on, calls)
        ledger = books(on, cores, seconds)
    report: dict[str, Any] = {
        "machine": _machine(cores),
        "load_average": [round(load, 2) for load in calls.loads],
        "seconds": seconds,
        "calls_by_connections": whole,
        "streams_by_connections": streams,
        "ledger": {"producers": PRODUCERS, **ledger},
        "peak_rss_mib": memory,
        "goals": _goals(whole, streams, ledger),
        "books": kept,
    }
    print(json.dumps(report, indent=1))
    return 0 if kept["are_right"] else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="each window (default: 5)")
    parser.add_argument("--quick", action="store_true", help="windows of one second")
    return parser.parse_args()


def _machine(cores: Cores) -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gateway_on": sorted(cores.gateway),
        "everything_else_on": sorted(cores.others),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as cpuinfo:
        names = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
    return names[0] if names else platform.machine()


def _kept(on: Stage, calls: Calls) -> dict[str, Any]:
    """Two events for every call that was answered, and books that `fsck` finds clean."""
    with psycopg.connect(on.program.app_dsn) as connection:
        row = connection.execute(
            "select count(*) from ledger.event where topic like 'charge.%'"
        ).fetchone()
    assert row is not None
    events = int(row[0])
    fsck = on.program.tool("ledger", "fsck")
    return {
        "calls": calls.billed,
        "failures": calls.failures,
        "events": events,
        "fsck": fsck.stdout.strip().splitlines()[-5:] or fsck.stderr.strip().splitlines()[-5:],
        "are_right": events == 2 * calls.billed and not calls.failures and fsck.returncode == 0,
    }


def _goals(
    whole: dict[str, Any], streams: dict[str, Any], ledger: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """The figures that the design sets, beside what was measured."""
    best = max(whole.values(), key=lambda one: one["billed"]["per_second"])
    many = streams[str(STREAM_CONNECTIONS)]
    return {
        "billed_per_second": {"goal": 4_000, "is": best["billed"]["per_second"]},
        "billed_per_gateway_cpu_second": {"goal": 4_000, "is": best["billed"]["per_cpu_second"]},
        "share_of_bare_by_cpu": {"goal": 0.4, "is": best["share_of_bare_by_cpu"]},
        "added_p50_ms_at_1": {"goal": 2.0, "is": whole["1"]["added_p50_ms"]},
        "added_p99_ms_at_1": {"goal": 5.0, "is": whole["1"]["added_p99_ms"]},
        "added_first_byte_p50_ms": {"goal": 2.0, "is": streams["1"]["added_first_byte_p50_ms"]},
        "sse_events_per_second": {"goal": 40_000, "is": many["billed"]["events_per_second"]},
        "projector_live": {"goal": 30_000, "is": ledger["projector_live_per_second"]},
        "projector_rebuild": {"goal": 100_000, "is": ledger["projector_rebuild_per_second"]},
    }


if __name__ == "__main__":
    sys.exit(main())
