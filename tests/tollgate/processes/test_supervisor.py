"""The process tree with real processes: what dies is replaced, and the end is orderly."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import is_running
from tests.servers import make_data_directory
from tests.tollgate.serving import Serving, await_that, clean_environment, clean_up
from tollgate.cli import main
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.processes import first_number


@pytest.fixture
def serving() -> Iterator[Serving]:
    directory = make_data_directory()
    one = Serving(directory, free_port(), workers=2)
    yield one
    if one.process.poll() is None:
        one.process.kill()
        one.process.wait()
    clean_up(directory)
    shutil.rmtree(directory.root.parent)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def test_a_killed_child_is_replaced_and_so_are_the_servers(serving: Serving) -> None:
    said = serving.await_ready()
    assert re.search(r"^  tg-\S{40,}$", said, re.MULTILINE)
    before = serving.children()
    assert sorted(before) == ["background", "signer", "worker-1", "worker-2"]

    os.kill(before["worker-1"], signal.SIGKILL)
    os.kill(before["background"], signal.SIGKILL)
    await_that(
        lambda: (
            {"background", "worker-1"}
            <= set(serving.children())
            - {name for name, pid in serving.children().items() if pid in before.values()}
        )
    )
    assert serving.children()["worker-2"] == before["worker-2"]
    assert serving.status("/readyz") == 200

    valkey = first_number(serving.directory.valkey / "valkey.pid")
    postgres = first_number(serving.directory.postgres / "postmaster.pid")
    assert valkey is not None
    assert postgres is not None
    os.kill(valkey, signal.SIGKILL)
    os.kill(postgres, signal.SIGKILL)
    await_that(lambda: '"server": "postgres", "event": "server.restarted"' in serving.log())
    await_that(lambda: '"server": "valkey", "event": "server.restarted"' in serving.log())
    await_that(lambda: serving.status("/readyz") == 200)
    assert serving.end() == 0
    assert serving.children() == {}


def test_children_of_a_killed_supervisor_serve_on_until_the_next_one_replaces_them(
    serving: Serving,
) -> None:
    serving.await_ready()
    orphans = serving.children()
    serving.process.kill()
    serving.process.wait()
    assert serving.status("/readyz") == 200
    assert serving.children() == orphans

    successor = serving.again()
    try:
        said = successor.await_ready()
        assert "root operator's token" not in said
        assert successor.status("/readyz") == 200
        assert not any(is_running(pid) for pid in orphans.values())
        assert sorted(successor.children()) == sorted(orphans)
        assert successor.end(signal.SIGINT) == 0
    finally:
        if successor.process.poll() is None:
            successor.process.kill()
            successor.process.wait()
    assert successor.status("/livez") == 0
    assert not EmbeddedPostgres(serving.directory).is_running()


def test_a_stream_in_flight_ends_whole_before_the_exit(
    serving: Serving, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.await_ready()
    key, account = furnish(serving, capsys, monkeypatch)
    first = threading.Event()
    received: list[bytes] = []
    reader = threading.Thread(target=stream, args=(serving.port, key, first, received))
    reader.start()
    assert first.wait(30)
    assert serving.end() == 0
    reader.join(30)
    assert received[-1].rstrip().endswith(b"data: [DONE]")

    assert main(["account", "balance", account, "--data-dir", str(serving.directory.root)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^held +0 USD$", said, re.MULTILINE)
    assert not re.search(r"^posted +5 USD$", said, re.MULTILINE)


def test_a_second_signal_ends_streams_in_their_format_and_settles_them(
    serving: Serving, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.await_ready()
    key, account = furnish(serving, capsys, monkeypatch)
    first = threading.Event()
    received: list[bytes] = []
    reader = threading.Thread(target=stream, args=(serving.port, key, first, received, 5_000))
    reader.start()
    assert first.wait(30)
    serving.process.send_signal(signal.SIGTERM)
    await_that(lambda: "worker.draining" in serving.log())
    assert serving.end() == 0
    reader.join(30)
    assert b"[DONE]" not in b"".join(received)
    assert b'"error"' in b"".join(received)
    assert main(["account", "balance", account, "--data-dir", str(serving.directory.root)]) == 0
    assert re.search(r"^held +0 USD$", capsys.readouterr().out, re.MULTILINE)


def test_a_second_serve_on_the_directory_is_refused(serving: Serving) -> None:
    serving.await_ready()
    second = serve_once("--data-dir", str(serving.directory.root), PORT=str(free_port()))
    assert second.returncode == 2
    assert f"process {serving.process.pid}" in second.stderr
    assert serving.status("/readyz") == 200


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"CRYPTO_SECRET": "hunter2-hunter2"}, "CRYPTO_SECRET"),
        ({"SQL_DSN": "root:hunter2@tcp(db:3306)/oneapi"}, "SQL_DSN"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,everybody"}, "TRUSTED_PROXIES"),
    ],
)
def test_a_bad_setting_is_one_line_exit_code_2_and_no_open_port(
    settings: dict[str, str], named: str, tmp_path: Path
) -> None:
    port = free_port()
    outcome = serve_once("--data-dir", str(tmp_path / "data"), PORT=str(port), **settings)
    assert outcome.returncode == 2
    line, *more = outcome.stderr.splitlines()
    assert more == []
    assert line.startswith(f"tollgate: {named} ")
    assert "hunter2" not in outcome.stderr
    assert not (tmp_path / "data").exists()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_a_taken_port_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = serve_once(
            "--host", "127.0.0.1", "--data-dir", str(tmp_path / "data"), PORT=str(port)
        )
    assert outcome.returncode == 2
    assert f"127.0.0.1 port {port}" in outcome.stderr
    assert not (tmp_path / "data" / "postgres").exists()


def serve_once(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """A serve that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "tollgate", "serve", *arguments],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def furnish(
    serving: Serving, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """An echo channel, a price, an account with 5 USD; its key and its id, by the command line."""
    monkeypatch.delenv("SQL_DSN", raising=False)
    capsys.readouterr()
    last = ["--data-dir", str(serving.directory.root)]
    assert main(["channel", "add", "Echo", "--type", "echo", "--model", "echo", *last]) == 0
    assert main(["price", "set", "echo", "input=1", "output=2", *last]) == 0
    capsys.readouterr()
    assert main(["account", "add", "Somebody", *last]) == 0
    account = capsys.readouterr().out.strip()
    assert main(["credit", "add", account, "5", "--source", "manual", *last]) == 0
    capsys.readouterr()
    assert main(["key", "add", account, "First", *last]) == 0
    return capsys.readouterr().out.split()[-1], account


def stream(
    port: int, key: str, first: threading.Event, received: list[bytes], stall_ms: int = 300
) -> None:
    """Make a slow streaming call and note what comes; `first` is set when something did."""
    body = {
        "model": "echo",
        "stream": True,
        "messages": [{"role": "user", "content": "one two three four five six"}],
        "metadata": {"echo": f"stall_ms={stall_ms}"},
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(
        "POST",
        "/v1/chat/completions",
        json.dumps(body),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    answer = connection.getresponse()
    while piece := answer.read1(65_536):
        received.append(piece)
        first.set()
    connection.close()
