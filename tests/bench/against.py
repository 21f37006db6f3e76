"""`python -m tests.bench.against CHECKOUT [--rounds 20]`: this tree and an older one, in one run.

CHECKOUT is a work tree of an older release; it runs with this tree's packages. Both programs and
the bare proxy are up all the time and take calls in turn, in windows so short that whatever else
the machine does hits all of them alike. Prints one JSON object: the processor time of a call, and
the median of the ratios of neighbouring windows, which is what tells whether calls cost more.
"""

import argparse
import contextlib
import json
import os
import statistics
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.calls import request_to
from tests.bench.load import drive
from tests.bench.serving import Cores, Target, bare_and_billed
from tests.running import ROOT

WINDOW_S, WARM_S = 1.5, 0.3
LOADS = (("calls", 32), ("calls", 128), ("streams", 32))

Costs = dict[str, list[float]]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.against", description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, cores.others)
    with contextlib.ExitStack() as stack:
        targets = bare_and_billed(
            stack, cores, {"before": arguments.checkout.resolve(), "now": ROOT}
        )
        report = {
            f"{connections} {kind}": _compared(targets, kind, connections, arguments.rounds)
            for kind, connections in LOADS
        }
    print(json.dumps(report, indent=1))


def _compared(
    targets: dict[str, Target], kind: str, connections: int, rounds: int
) -> dict[str, Any]:
    costs: Costs = {name: [] for name in targets}
    for number in range(rounds + 1):
        # Whoever comes first finds the caches as the last one left them: each does, in turn.
        for name in list(targets) if number % 2 else list(targets)[::-1]:
            cost_us = _cost_us(targets[name], kind, connections)
            if number:  # the first round warms everything up
                costs[name].append(cost_us)
    ratios = [now / before for now, before in zip(costs["now"], costs["before"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "cpu_us_per_call": {name: round(statistics.median(each)) for name, each in costs.items()},
        "least_cpu_us_per_call": {name: round(min(each)) for name, each in costs.items()},
        "now_to_before": round(statistics.median(ratios), 3),
        "half_of_the_ratios_within": [round(quartiles[0], 3), round(quartiles[2], 3)],
    }


def _cost_us(target: Target, kind: str, connections: int) -> float:
    request = request_to(target, is_stream=kind == "streams")
    before_s = target.cpu_s()
    measured = uvloop.run(drive(target.port, request, connections, WINDOW_S, WARM_S))
    assert not measured.failures, f"{measured.failures} calls failed"
    measured.cpu_s = target.cpu_s() - before_s
    return measured.cpu_us_per_call


if __name__ == "__main__":
    main()
