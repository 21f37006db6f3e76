"""Starting, recognising and ending the servers of a data directory, for Postgres and Valkey alike.

A pid in a file may long belong to somebody else: nothing is signalled before its command line
says that it is the program we mean, on the data directory we mean.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger import clock
from tollgate.embedded.account import Account
from tollgate.embedded.errors import StartRefused

# PATH for initdb's shell; LC_ALL because macOS makes a process without it multithreaded.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_HAS_PROC = Path("/proc/self/cmdline").exists()
_POLL_S = 0.02
_LOG_BYTES_MAX = 16 * 1024 * 1024
_TAIL_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt at ending a process: a signal, and how long it has to work."""

    signal: signal.Signals
    patience_s: float


def launch(command: Sequence[str], log: Path, account: Account | None) -> subprocess.Popen[bytes]:
    """Start a server whose output is appended to `log`, as `account` or as ourselves.

    It gets a session of its own, so that Ctrl-C in the terminal reaches us alone and the order of
    the shutdown is ours, and nothing of our environment.
    Raises StartRefused if the system does not allow it.
    """
    try:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
                umask=0o077,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
    except OSError as refusal:
        raise StartRefused(
            f"{command[0]} cannot be started ({refusal.strerror})",
            "check that the file can be executed, or start as an ordinary user",
        ) from refusal


def end_child(process: subprocess.Popen[bytes], steps: Sequence[Step]) -> None:
    """End and reap a child, one step after the other until it is gone."""
    _end(process.send_signal, lambda: process.poll() is None, steps)
    process.wait()


def end_stranger(pid: int, is_still_it: Callable[[], bool], steps: Sequence[Step]) -> None:
    """End a process that is not our child; `is_still_it` is asked before each signal."""

    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    _end(send, is_still_it, steps)


def runs(pid: int, program: str, argument: str) -> bool:
    """Whether this pid is alive and was started as `program` with exactly this argument."""
    arguments = _arguments(pid)
    return bool(arguments) and Path(arguments[0]).name == program and argument in arguments


def titled(pid: int, start: str) -> bool:
    """Whether this pid is alive under a title that begins so, as Postgres' own children set it."""
    arguments = _arguments(pid)
    return bool(arguments) and arguments[0].startswith(start)


def is_alive(pid: int) -> bool:
    """Whether any process, ours or not, has this pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def pids_inside(folder: Path) -> list[int]:
    """The processes whose working directory is `folder`; none where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink() == folder:
                found.append(int(entry.parent.name))
    return found


def first_number(path: Path) -> int | None:
    """The pid on the first line of a pid file; None if there is none that we may read."""
    try:
        line = path.read_text().partition("\n")[0].strip()
    except (FileNotFoundError, PermissionError):
        return None
    return int(line) if line.isdigit() and int(line) > 1 else None


def turn_over(log: Path) -> int:
    """Keep a log that has grown large under `.1`; the size in bytes of what `log` now holds."""
    if not log.exists():
        return 0
    if log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_name(log.name + ".1"))
        return 0
    return log.stat().st_size


def tail(log: Path, start_bytes: int) -> str:
    """The end of what was written to a log after `start_bytes`."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(start_bytes, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").strip()


def _end(send: Callable[[int], None], is_there: Callable[[], bool], steps: Sequence[Step]) -> None:
    for step in steps:
        if not is_there():
            return
        send(step.signal)
        deadline_s = clock.monotonic_s() + step.patience_s
        while is_there() and clock.monotonic_s() < deadline_s:
            time.sleep(_POLL_S)


def _arguments(pid: int) -> list[str]:
    # A zombie has an empty command line: to us it is gone.
    if _HAS_PROC:
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(part) for part in raw.split(b"\0")]
    listing = subprocess.run(
        ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listing.stdout.split()
