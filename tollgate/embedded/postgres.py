"""The embedded Postgres: started as our child on the data directory, and ended in good order.

There is no network port, and Postgres asks the kernel who connects to its socket: our user may, and
root, as any role; the user that Postgres itself runs as may not, for it is often that of others.
"""

import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from ledger import clock
from tollgate.embedded import postgres_access, postgres_binaries, postgres_cluster, processes
from tollgate.embedded.account import Account, unprivileged_account
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.processes import Step

OWNER = postgres_cluster.OWNER
APPLICATION = "tollgate_app"
DATABASE = "tollgate"

_PORT = 5432  # a part of the socket's name, never a port
_SOCKET = f".s.PGSQL.{_PORT}"
_FOLDER_LINE = 4  # of postmaster.pid, as PostgreSQL's miscadmin.h numbers them, less one
_READY_WITHIN_S = 600.0  # replaying 2 GB of WAL on a slow disk
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "max_connections": "200",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",  # the wheel is built without lz4 and zstd
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
}
# Fast shutdown; immediate shutdown, which the next start recovers from; the last resort.
_STOP = (Step(signal.SIGINT, 60.0), Step(signal.SIGQUIT, 10.0), Step(signal.SIGKILL, 10.0))
_REPLACE = (Step(signal.SIGINT, 10.0), Step(signal.SIGQUIT, 10.0), Step(signal.SIGKILL, 10.0))
_ABANDON = (Step(signal.SIGQUIT, 5.0), Step(signal.SIGKILL, 5.0))


class EmbeddedPostgres:
    """One Postgres on one data directory. Its owner holds the directory's lock.

    `process` is the postmaster while it is our child, for a supervisor that waits for its end.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._directory = directory
        self._log = directory.root / "postgres.log"

    @property
    def owner_dsn(self) -> str:
        """The connection string for migrations."""
        return self.dsn(OWNER, DATABASE)

    @property
    def app_dsn(self) -> str:
        """The connection string for everything but migrations."""
        return self.dsn(APPLICATION, DATABASE)

    def dsn(self, role: str, database: str) -> str:
        """A libpq connection string for any role and database of this server."""
        folder = self._running_folder() or self._directory.sql
        return make_conninfo(host=str(folder), port=_PORT, user=role, dbname=database)

    def start(self) -> None:
        """Run Postgres as our child and return when it answers and has its roles and database.

        A server that a killed supervisor left on this directory is stopped first.
        Raises StartRefused with the remedy, or with the end of Postgres' log.
        """
        self._directory.socket(self._directory.sql / _SOCKET)
        account = unprivileged_account(self._directory.postgres)
        if account is not None:
            self._directory.require_entry_for(account)
        self._clear_the_way()
        programs = postgres_binaries.programs_for(account, self._directory)
        postgres_cluster.ensure(self._directory, programs, account)
        _admit(self._directory, account)
        access = postgres_access.write(self._directory)
        written_bytes = processes.turn_over(self._log)
        self.process = processes.launch(self._command(programs, access), self._log, account)
        try:
            self._await_answer(written_bytes)
            self._ensure_roles()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End our child: connections are cut, work in flight is rolled back, data is on disk."""
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

    def _command(self, programs: Path, access: Mapping[str, str]) -> list[str]:
        settings = {**_SETTINGS, **access, "unix_socket_directories": str(self._directory.sql)}
        command = [str(programs / "postgres"), "-D", str(self._directory.postgres)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _running_pid(self) -> int | None:
        pid = processes.first_number(self._directory.postgres / "postmaster.pid")
        return pid if pid is not None and self._is_ours(pid) else None

    def _running_folder(self) -> Path | None:
        """Where a server listens that somebody else started: an earlier release had another."""
        if self.process is not None or self._running_pid() is None:
            return None
        lines = (self._directory.postgres / "postmaster.pid").read_text().splitlines()
        return Path(lines[_FOLDER_LINE]) if len(lines) > _FOLDER_LINE else None

    def _is_ours(self, pid: int) -> bool:
        return processes.runs(pid, "postgres", str(self._directory.postgres))

    def _clear_the_way(self) -> None:
        self.stop()
        leftover = self._running_pid()
        if leftover is not None:
            processes.end_stranger(leftover, lambda: self._is_ours(leftover), _REPLACE)
        self._end_orphans()
        self._forget_reused_pid()

    def _end_orphans(self) -> None:
        # Backends outlive a killed postmaster until they next wait for something, and Postgres
        # does not start while one of them is attached to the old shared memory.
        folder = self._directory.postgres
        for pid in processes.pids_inside(folder):
            processes.end_stranger(pid, functools.partial(_is_backend, pid), _ABANDON)

    def _forget_reused_pid(self) -> None:
        # After a restart of a container the old pid is often alive again, as something else;
        # Postgres would take it for its predecessor and refuse.
        for path in (
            self._directory.postgres / "postmaster.pid",
            self._directory.sql / f"{_SOCKET}.lock",
        ):
            pid = processes.first_number(path)
            if pid is not None and processes.is_alive(pid):
                path.unlink()

    def _await_answer(self, written_bytes: int) -> None:
        deadline_s = clock.monotonic_s() + _READY_WITHIN_S
        pause_s = 0.01
        while True:
            try:
                psycopg.connect(self.dsn(OWNER, "postgres"), connect_timeout=10).close()
            except psycopg.OperationalError as refusal:
                if not self.is_running() or clock.monotonic_s() > deadline_s:
                    raise StartRefused(
                        f"Postgres does not start: {processes.tail(self._log, written_bytes)}",
                        f"see {self._log}",
                    ) from refusal
            else:
                return
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.25)

    def _ensure_roles(self) -> None:
        with psycopg.connect(self.dsn(OWNER, "postgres"), autocommit=True) as connection:
            role = "SELECT 1 FROM pg_roles WHERE rolname = %s"
            if connection.execute(role, (APPLICATION,)).fetchone() is None:
                connection.execute(
                    f"CREATE ROLE {APPLICATION} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"
                )
            database = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(database, (DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")


@contextlib.contextmanager
def borrow(directory: DataDirectory) -> Iterator[EmbeddedPostgres]:
    """The directory's Postgres for a command-line tool.

    A running server is used and left running; otherwise one is started under the directory's lock
    and stopped at the end, which also cuts off tools that borrowed it in the meantime.
    Raises StartRefused.
    """
    server = EmbeddedPostgres(directory)
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


def _is_backend(pid: int) -> bool:
    return processes.titled(pid, "postgres:")


def _admit(directory: DataDirectory, account: Account | None) -> None:
    if account is None:
        return
    try:
        os.chown(directory.run, os.geteuid(), os.getegid())  # it was the account's once
        directory.run.chmod(0o700)
        os.chown(directory.sql, account.uid, os.getegid())
        directory.sql.chmod(0o770)
    except OSError as refusal:
        raise StartRefused(
            f"{directory.sql} cannot be given to the user `{account.name}` ({refusal.strerror})",
            "start Tollgate as an ordinary user, or on a file system that knows owners",
        ) from refusal
