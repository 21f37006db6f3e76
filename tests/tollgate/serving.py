"""A real `tollgate serve` for tests, on its own directory and port, and cleaned up after."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import psutil

from ledger import clock
from tollgate.embedded.data_directory import DataDirectory
from tollgate.processes import child_processes

START_WITHIN_S = 90.0
END_WITHIN_S = 60.0


class Serving:
    """One supervisor process; everything of its directory is gone after `clean_up`."""

    def __init__(self, directory: DataDirectory, port: int, workers: int = 1) -> None:
        self.directory = directory
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._workers = workers
        self._log = directory.root.parent / "serve.log"
        self.process = self._start()

    def await_ready(self) -> str:
        """What the supervisor said up to its ready line."""
        await_that(
            lambda: "is ready at" in self.said() or self.process.poll() is not None,
            START_WITHIN_S,
        )
        assert self.process.poll() is None, self.log()
        return self.said()

    def said(self) -> str:
        return self._log.with_suffix(".out").read_text()

    def log(self) -> str:
        return self._log.read_text()

    def children(self) -> dict[str, int]:
        """The pid of every child that is alive, by name."""
        return {each.name: each.pid for each in child_processes.leftovers(self.directory)}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask to stop, and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(END_WITHIN_S)

    def again(self) -> "Serving":
        """Another supervisor on the same directory and port."""
        return Serving(self.directory, self.port, self._workers)

    def status(self, path: str) -> int:
        """The status of a GET; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tollgate", "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", str(self._workers)]
        command += ["--data-dir", str(self.directory.root)]
        with self._log.open("ab") as log, self._log.with_suffix(".out").open("wb") as out:
            return subprocess.Popen(command, stdout=out, stderr=log, env=clean_environment())


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without what Tollgate would read, and with `settings`."""
    kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | settings


def clean_up(directory: DataDirectory) -> None:
    """Kill whatever still runs on a directory."""
    for child in child_processes.leftovers(directory):
        os.kill(child.pid, signal.SIGKILL)
    for process in psutil.process_iter(["cmdline"]):
        if any(str(directory.root) in part for part in process.info["cmdline"] or ()):
            process.kill()


def await_that(is_so: Callable[[], bool], within_s: float = 30.0) -> None:
    """Return when it is so; fail if it is not in time."""
    deadline_s = clock.monotonic_s() + within_s
    while not is_so():
        assert clock.monotonic_s() < deadline_s, "it did not happen in time"
        time.sleep(0.05)
