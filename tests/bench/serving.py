"""Starts `tollgate serve` with one worker for the benchmark, seeds it over its API, pins it."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
MODEL = "gpt-4o-mini"

_TOKEN = "benchmark-root-token-0123456789abcdef"
_START_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Cores:
    """`gateway` has one core to itself where there are two; everything else shares the others."""

    gateway: set[int]
    others: set[int]

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The last core for the gateway."""
        usable = sorted(os.sched_getaffinity(0))
        return cls({usable[-1]}, set(usable[:-1]) or {usable[-1]})


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that takes calls, and the bare proxy beside it."""

    port: int
    bare_port: int
    key: str
    worker: psutil.Process
    supervisor: psutil.Process
    directory: Path


@contextmanager
def serving(cores: Cores) -> Iterator[Served]:
    """The provider, the bare proxy and `tollgate serve`, seeded with a key, a price, a channel."""
    with ExitStack() as stack:
        os.sched_setaffinity(0, cores.others)  # what is started below inherits it
        provider, provider_port = _start(stack, "tests.bench.provider")
        base_url = f"http://127.0.0.1:{provider_port}/v1"
        bare, bare_port = _start(stack, "tests.bench.bare_proxy", f"{base_url}/chat/completions")
        pin(bare, cores.gateway)
        # Short, for the sockets in it, and open to the account Postgres runs as.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tgb-")))
        directory.chmod(0o711)
        supervisor, port = _serve(stack, directory / "data")
        worker = _child(supervisor, "tollgate.worker")
        pin(worker, cores.gateway)
        key = _seed(port, base_url)
        yield Served(port, bare_port, key, worker, supervisor, directory / "data")


def pin(process: psutil.Process, cores: set[int]) -> None:
    """Every thread of a process, onto these cores."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, cores)


def tollgate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run one command of the command line."""
    command = [sys.executable, "-m", "tollgate", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _start(stack: ExitStack, module: str, *arguments: str) -> tuple[psutil.Process, int]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    return psutil.Process(process.pid), int(process.stdout.readline())


def _serve(stack: ExitStack, data: Path) -> tuple[psutil.Process, int]:
    environment = {**os.environ, "INITIAL_ROOT_ACCESS_TOKEN": _TOKEN}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tollgate", "serve", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", "0", "--data-dir", str(data)),
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Tollgate is ready at "):
            return psutil.Process(process.pid), int(line.rpartition(":")[2])
    raise RuntimeError(f"tollgate serve ended with {process.wait()}")


def _child(supervisor: psutil.Process, module: str) -> psutil.Process:
    (found,) = (child for child in supervisor.children() if module in child.cmdline())
    return found


def _seed(port: int, base_url: str) -> str:
    """An account with money, its key, a price and a channel; the key."""
    _api(port, "PUT", f"/prices/{MODEL}", {"input": "0.15", "output": "0.60"})
    channel = {"name": "local", "type": "openai", "base_url": base_url}
    _api(port, "POST", "/channels", {**channel, "keys": ["sk-provider"], "models": [MODEL]})
    account = _api(port, "POST", "/accounts", {"name": "bench"})["id"]
    _api(port, "POST", f"/accounts/{account}/credits", {"amount": "1000000", "reason": "bench"})
    key: str = _api(port, "POST", f"/accounts/{account}/keys", {"name": "bench"})["key"]
    return key


def _api(port: int, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}",
        method=method,
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {_TOKEN}", "content-type": "application/json"},
    )
    deadline_s = time.monotonic() + _START_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as refusal:
            # The read models of a new installation may still be under way.
            if refusal.code != 503 or time.monotonic() > deadline_s:
                raise RuntimeError(f"{method} {path}: {refusal.read().decode()}") from refusal
            time.sleep(0.2)
