"""Data directories for servers that the tests start, kill and leave behind themselves."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.servers import make_data_directory
from tollgate.embedded.data_directory import DataDirectory

_SUPERVISOR = """
import pathlib, sys, time
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.{module} import {server}
directory = DataDirectory(pathlib.Path(sys.argv[1]))
with directory.lock():
    server = {server}(directory)
    server.start()
    print(server.process.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def data_directory() -> Iterator[DataDirectory]:
    """An empty one; whatever still runs on it at the end of the test is killed."""
    directory = make_data_directory()
    yield directory
    _kill_all_on(directory)
    shutil.rmtree(directory.root.parent)


@pytest.fixture
def leave_behind(data_directory: DataDirectory) -> Callable[[str, str], int]:
    """Start a server in a supervisor that is then killed; the pid of the server it leaves."""

    def leave(module: str, server: str) -> int:
        script = _SUPERVISOR.format(module=module, server=server)
        with subprocess.Popen(
            [sys.executable, "-c", script, str(data_directory.root)],
            stdout=subprocess.PIPE,
            text=True,
        ) as supervisor:
            assert supervisor.stdout is not None
            pid = int(supervisor.stdout.readline())
            supervisor.kill()
        return pid

    return leave


def _kill_all_on(directory: DataDirectory) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if any(str(directory.root) in part for part in process.info["cmdline"] or ()):
            process.kill()
