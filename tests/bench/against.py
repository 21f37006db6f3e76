"""`python -m tests.bench.against REVISION | --aa [--rounds 20]`: do calls cost more than they did?

REVISION is an older tree of this repository; it runs with this tree's packages. It is up twice, as
`before` and as `same`, beside this tree, `now`; they take calls in turn, in windows so short that
whatever else the machine does hits all of them alike. Prints one JSON object: the processor time of
a call; the ratios `same_to_before` (A/A) and `now_to_before`, each with its 95% interval by
bootstrap over the rounds; the gate that follows from the first, and on which side of it the second
lies. Exits with 1 if any is `dearer`. `--aa` runs this tree twice and prints what a gate would be.
"""

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from tests.bench.calls import request_to
from tests.bench.load import drive
from tests.bench.serving import Cores, Target, programs
from tests.running import ROOT

WINDOW_S, WARM_S = 1.5, 0.3
LOADS = (("calls", 32), ("calls", 128), ("streams", 32))
DRAWS = 2_000

Costs = dict[str, list[float]]


class Interval(NamedTuple):
    """From and to, both within."""

    low: float
    high: float


def main() -> int:
    """Measure, and print; 1 where this tree is dearer."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.against", description=__doc__)
    against = parser.add_mutually_exclusive_group(required=True)
    against.add_argument("revision", nargs="?")
    against.add_argument("--aa", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, cores.others)
    with contextlib.ExitStack() as stack:
        if arguments.aa:
            trees = {"same": ROOT, "before": ROOT}
        else:
            before = stack.enter_context(checked_out(arguments.revision))
            trees = {"same": before, "before": before, "now": ROOT}
        targets = programs(stack, cores, trees)
        report = {
            f"{connections} {kind}": compared(_costs(targets, kind, connections, arguments.rounds))
            for kind, connections in LOADS
        }
    print(json.dumps(report, indent=1))
    return int(any(load.get("verdict") == "dearer" for load in report.values()))


@contextlib.contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """The tree of a revision, in a folder that is gone afterwards."""
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision], stdout=subprocess.PIPE, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def compared(costs: Costs) -> dict[str, Any]:
    """The report on one load, from the costs of a call in each round, in microseconds."""
    same = _ratios(costs["same"], costs["before"])
    gate = _gate(interval_95(same))
    report = {
        "cpu_us_per_call": {name: round(statistics.median(each)) for name, each in costs.items()},
        "least_cpu_us_per_call": {name: round(min(each)) for name, each in costs.items()},
        "same_to_before": _told(same),
        "gate": [round(bound, 3) for bound in gate],
    }
    if "now" in costs:
        now = _ratios(costs["now"], costs["before"])
        report |= {"now_to_before": _told(now), "verdict": _verdict(statistics.median(now), gate)}
    return report


def interval_95(ratios: Sequence[float]) -> Interval:
    """Where the median of the ratios lies in 95% of draws of as many rounds from these."""
    drawing = random.Random(0)
    medians = sorted(
        statistics.median(drawing.choices(ratios, k=len(ratios))) for _ in range(DRAWS)
    )
    return Interval(medians[DRAWS * 25 // 1_000], medians[DRAWS * 975 // 1_000 - 1])


def _gate(same: Interval) -> Interval:
    # Which of two equal trees is called `before` is chance: what one may be dearer by, the other
    # may, and what sets two processes of one tree apart for a whole run is in it.
    farthest = max(same.high, 1 / same.low)
    return Interval(1 / farthest, farthest)


def _verdict(ratio: float, gate: Interval) -> str:
    if ratio > gate.high:
        return "dearer"
    return "cheaper" if ratio < gate.low else "within"


def _told(ratios: Sequence[float]) -> dict[str, Any]:
    return {
        "ratio": round(statistics.median(ratios), 3),
        "interval_95": [round(bound, 3) for bound in interval_95(ratios)],
    }


def _ratios(costs: Sequence[float], others: Sequence[float]) -> list[float]:
    return [cost / other for cost, other in zip(costs, others, strict=True)]


def _costs(targets: dict[str, Target], kind: str, connections: int, rounds: int) -> Costs:
    costs: Costs = {name: [] for name in targets}
    for number in range(rounds + 1):
        # Whoever comes first finds the caches as the last one left them: each does, in turn.
        for name in list(targets) if number % 2 else list(targets)[::-1]:
            cost_us = _cost_us(targets[name], kind, connections)
            if number:  # the first round warms everything up
                costs[name].append(cost_us)
    return costs


def _cost_us(target: Target, kind: str, connections: int) -> float:
    request = request_to(target, is_stream=kind == "streams")
    before_s = target.cpu_s()
    measured = uvloop.run(drive(target.port, request, connections, WINDOW_S, WARM_S))
    assert not measured.failures, f"{measured.failures} calls failed"
    measured.cpu_s = target.cpu_s() - before_s
    return measured.cpu_us_per_call


if __name__ == "__main__":
    sys.exit(main())
