"""Everything that must hold, in one command: `python -m tests [pytest's arguments]`."""

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


def main() -> int:
    """Every check runs, so that one run tells everything; the worst answer is the answer."""
    failed = [name for name, command in CHECKS if _run(name, command)]
    tests = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    status = _run("tests", tests)
    if failed:
        print(f"failed before the tests: {', '.join(failed)}")
    return status or bool(failed)


def _run(name: str, command: list[str]) -> int:
    print(f"== {name}", flush=True)
    started_s = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"== {name}: {'ok' if status == 0 else 'FAILED'}, {time.monotonic() - started_s:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
