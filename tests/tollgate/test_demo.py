"""`tollgate demo`: the first minute of a newcomer, as printed."""

import json
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from tests.tollgate.serving import END_WITHIN_S, START_WITHIN_S, await_that, clean_environment


def test_what_the_demo_prints_works_as_printed_and_is_gone_afterwards(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        demo = subprocess.Popen(
            [sys.executable, "-m", "tollgate", "demo", "--port", "0", "--workers", "1"],
            stdout=file,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
    try:
        await_that(lambda: out.read_text().count("  curl ") == 2, START_WITHIN_S)
        call, balance = re.findall(r"^  (curl .*)$", out.read_text(), re.MULTILINE)
        answer = ask(call)
        assert answer["choices"][0]["message"]["content"] == "Hello, ledger!"
        left = ask(balance)
        assert left["held"] == "0"
        assert 4 < float(left["available"]) < 5
        folders = {part for part in " ".join(command_lines(demo.pid)).split() if "demo-" in part}
        demo.send_signal(signal.SIGINT)
        assert demo.wait(END_WITHIN_S) == 0
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(END_WITHIN_S)
    directory = re.search(r"/tmp/tollgate-demo-[^/\s]+", " ".join(folders))
    assert directory is not None
    assert not Path(directory.group()).exists()


def ask(line: str) -> Any:  # noqa: ANN401 - JSON
    """Send what a printed curl line would send."""
    words = shlex.split(line)
    request = urllib.request.Request(words[1])
    for option, value in zip(words[2::2], words[3::2], strict=True):
        if option == "-H":
            name, _, content = value.partition(": ")
            request.add_header(name, content)
        else:
            assert option == "-d"
            request.data = value.encode()
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def command_lines(pid: int) -> list[str]:
    """Those of a process's children."""
    return [" ".join(child.cmdline()) for child in psutil.Process(pid).children()]
