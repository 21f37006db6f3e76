"""Our own child processes: started, recognised after a supervisor's death, and ended.

`run/children.json` names every worker and background process with the moment it started. A pid
alone proves nothing, so a process is signalled only if it started at that moment of this boot and
runs the module we started.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

import tollgate
from ledger import clock
from tollgate.embedded import processes
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.processes import Step
from tollgate.processes import assignment
from tollgate.processes.assignment import Assignment

MODULES: Mapping[str, str] = {
    "worker": "tollgate.processes.worker",
    "background": "tollgate.processes.background",
    "signer": "tollgate.processes.signer",
}

# A leftover gets less time than an ordinary stop: its successor waits, and service with it.
_REPLACE = (Step(signal.SIGTERM, 15.0), Step(signal.SIGTERM, 5.0), Step(signal.SIGKILL, 5.0))
_POLL_S = 0.02
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Child(msgspec.Struct, frozen=True):
    """A process as it is remembered: `started` tells it from a later one with the same pid."""

    name: str
    program: str
    module: str
    pid: int
    started: str


class _Record(msgspec.Struct, frozen=True):
    supervisor: Child
    children: list[Child]


@dataclass(slots=True)
class Running:
    """A child of ours."""

    child: Child
    process: "subprocess.Popen[bytes]"


def start(given: Assignment, environment: Mapping[str, str]) -> Running:
    """Start the process of an assignment in a session of its own, and hand the assignment over.

    It inherits the listening socket and its assignment, no other descriptor.
    """
    module = MODULES[given.role]
    reading = assignment.send(given)
    inherited = [reading] if given.listening_fd is None else [reading, given.listening_fd]
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, given.name, str(reading)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env={**environment, **_way_to_us()},
            pass_fds=inherited,
            start_new_session=True,
        )
    finally:
        os.close(reading)
    program = Path(sys.executable).name
    child = Child(given.name, program, module, process.pid, _start_of(process.pid) or "")
    return Running(child, process)


def remember(data: DataDirectory, children: Iterable[Child]) -> None:
    """Write down who must be replaced if we are killed."""
    path = _path(data)
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    ourselves = Child("supervisor", "", "", os.getpid(), _start_of(os.getpid()) or "")
    draft.write_bytes(msgspec.json.encode(_Record(ourselves, list(children))))
    draft.replace(path)


def leftovers(data: DataDirectory) -> list[Child]:
    """The children of an earlier supervisor that still run."""
    record = _recorded(data)
    return [] if record is None else [child for child in record.children if is_still(child)]


def serving_supervisor(data: DataDirectory) -> int | None:
    """The pid of the supervisor that serves this directory; None where there is none."""
    record = _recorded(data)
    if record is None or not record.supervisor.started:
        return None
    pid = record.supervisor.pid
    return pid if _start_of(pid) == record.supervisor.started else None


def end_leftovers(data: DataDirectory) -> list[Child]:
    """Let the children of a killed supervisor finish what they do, then end them.

    The caller holds the data directory's lock. Returns who was found.
    """
    found = still = leftovers(data)
    for step in _REPLACE:  # all of them at once: they drain side by side
        for child in still:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, step.signal)
        deadline_s = clock.monotonic_s() + step.patience_s
        while still and clock.monotonic_s() < deadline_s:
            time.sleep(_POLL_S)
            still = [child for child in still if is_still(child)]
    _path(data).unlink(missing_ok=True)
    return found


def is_still(child: Child) -> bool:
    """Whether this very process is alive."""
    return (
        bool(child.started)
        and _start_of(child.pid) == child.started
        and processes.runs(child.pid, child.program, child.module)
    )


def _recorded(data: DataDirectory) -> _Record | None:
    try:
        return msgspec.json.decode(_path(data).read_bytes(), type=_Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _path(data: DataDirectory) -> Path:
    return data.run / "children.json"


def _start_of(pid: int) -> str | None:
    """When a process started: ticks since this boot, or, without /proc, the second of the day."""
    if _BOOT_ID.exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        is_zombie = fields[0] == "Z"
        return None if is_zombie else f"{_BOOT_ID.read_text().strip()}/{fields[19]}"
    listing = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout.strip() or None


def _way_to_us() -> dict[str, str]:
    """PYTHONPATH for a source tree that is not installed."""
    assert tollgate.__file__ is not None
    folder = Path(tollgate.__file__).resolve().parent.parent
    if folder.name in ("site-packages", "dist-packages"):
        return {}
    return {"PYTHONPATH": str(folder)}
