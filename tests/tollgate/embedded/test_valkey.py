"""The embedded Valkey comes up on whatever the last run left, and keeps nothing."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator

import psutil
import pytest
import redis

from tollgate.embedded import postgres, processes
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.valkey import EmbeddedValkey, borrow


def test_a_started_server_answers_and_a_stopped_one_is_gone(
    data_directory: DataDirectory,
) -> None:
    with running(data_directory) as server:
        assert server.is_running()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("port") == {"port": "0"}
        assert os.stat(data_directory.run / "valkey.sock").st_mode & 0o077 == 0
    assert not server.is_running()
    with redis.Redis.from_url(server.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_nothing_is_kept_over_a_restart(data_directory: DataDirectory) -> None:
    with running(data_directory) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "b")
    with running(data_directory) as server, redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0
    assert not list(data_directory.root.rglob("*.rdb"))


def test_a_killed_server_is_noticed_and_started_again(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert not server.is_running()
        server.start()
        assert server.is_running()


def test_the_server_of_a_killed_supervisor_is_replaced_by_our_child(
    data_directory: DataDirectory, leave_behind: Callable[[str, str], int]
) -> None:
    leftover = leave_behind("valkey", "EmbeddedValkey")
    assert EmbeddedValkey(data_directory).is_running()
    with running(data_directory) as server:
        assert server.process is not None
        assert psutil.Process(server.process.pid).ppid() == os.getpid()
        socket = str(data_directory.run / "valkey.sock")
        assert not processes.runs(leftover, "valkey-server", socket)


def test_a_pid_file_that_names_somebody_else_harms_nobody(data_directory: DataDirectory) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        (data_directory.valkey / "valkey.pid").write_text(f"{bystander.pid}\n")
        assert not EmbeddedValkey(data_directory).is_running()
        with running(data_directory):
            pass
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_ends_at_once_is_refused_with_its_own_words(
    data_directory: DataDirectory,
) -> None:
    (data_directory.run / "valkey.sock").mkdir()
    with pytest.raises(StartRefused, match="Failed opening Unix socket"):
        EmbeddedValkey(data_directory).start()


def test_a_long_socket_path_is_refused(data_directory: DataDirectory) -> None:
    long = DataDirectory(data_directory.root / ("d" * 90))
    long.prepare()
    with pytest.raises(StartRefused, match="choose a shorter --data-dir"):
        EmbeddedValkey(long).start()


def test_borrowing_leaves_a_running_server_running(data_directory: DataDirectory) -> None:
    with running(data_directory) as server:
        with borrow(data_directory) as borrowed:
            assert borrowed.process is None
            assert borrowed.url == server.url
        assert server.is_running()


def test_a_tool_may_borrow_both_servers(data_directory: DataDirectory) -> None:
    with postgres.borrow(data_directory), borrow(data_directory) as borrowed:
        assert borrowed.is_running()
    assert not EmbeddedValkey(data_directory).is_running()


@contextlib.contextmanager
def running(directory: DataDirectory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
