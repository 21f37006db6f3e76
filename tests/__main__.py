"""Everything that must hold, in one command: `python -m tests [pytest's arguments]`.

Tests whose subject is time, or a process that starts and dies, or a client of somebody else's that
gives up by its own clock, run one by one and have the machine to themselves. All others run side by
side. With arguments, pytest runs as they say, and once.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

CHECKS = (
    ("layout", [str(BIN / "ruff"), "format", "--check", "."]),
    ("lint", [str(BIN / "ruff"), "check", "."]),
    ("types", [str(BIN / "mypy")]),
    ("directions", [str(BIN / "lint-imports")]),
)

ALONE = ("tests/faults", "tests/tollgate", "tests/conformance")
"""In this order: the clients for Node arrive meanwhile."""
PROCESSES_MAX = 4


def main() -> int:
    """Every check runs, so that one run tells everything; the worst answer is the answer."""
    failed = [name for name, command in CHECKS if _run(name, command)]
    pytest = [sys.executable, "-m", "pytest"]
    if sys.argv[1:]:
        runs = [("tests", sys.argv[1:])]
    else:
        runs = [("tests, side by side", _side_by_side()), ("tests, one by one", list(ALONE))]
    failed += [name for name, arguments in runs if _run(name, [*pytest, *arguments])]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


def _side_by_side() -> list[str]:
    """pytest's arguments: a process for each processor, and every file in one of them."""
    processes = min(os.cpu_count() or 1, PROCESSES_MAX)
    others = [f"--ignore={folder}" for folder in ALONE]
    return ["--numprocesses", str(processes), "--dist", "loadfile", *others]


def _run(name: str, command: list[str]) -> int:
    print(f"== {name}", flush=True)
    started_s = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"== {name}: {'ok' if status == 0 else 'FAILED'}, {time.monotonic() - started_s:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
