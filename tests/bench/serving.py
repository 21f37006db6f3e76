"""`tollgate serve` with one worker, seeded over its API and pinned; the bare proxy beside it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.running import ROOT, Served, served, until

MODEL = "gpt-4o-mini"


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
class Target:
    """Something that takes calls: where, with which key, in which process."""

    port: int
    key: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """The processor time the process has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Stage:
    """What is measured against what."""

    program: Served
    billed: Target
    bare: Target


@contextlib.contextmanager
def stage(cores: Cores) -> Iterator[Stage]:
    """The provider, the bare proxy and `tollgate serve` with a key, a price and a channel."""
    with contextlib.ExitStack() as stack:
        os.sched_setaffinity(0, cores.others)  # what is started below inherits it
        base_url = _provider(stack)
        bare, port = _start(stack, "tests.bench.bare_proxy", f"{base_url}/chat/completions")
        pin(bare, cores.gateway)
        program, billed = _billed(stack, cores, base_url, ROOT)
        yield Stage(program, billed, Target(port, "sk-none", bare))


def programs(
    stack: contextlib.ExitStack, cores: Cores, trees: Mapping[str, Path]
) -> dict[str, Target]:
    """The program of each of these work trees, before one provider."""
    base_url = _provider(stack)
    return {name: _billed(stack, cores, base_url, tree)[1] for name, tree in trees.items()}


def _provider(stack: contextlib.ExitStack) -> str:
    """The provider, started; its address."""
    _, port = _start(stack, "tests.bench.provider")
    return f"http://127.0.0.1:{port}/v1"


def _billed(
    stack: contextlib.ExitStack, cores: Cores, base_url: str, tree: Path
) -> tuple[Served, Target]:
    program = stack.enter_context(served(workers=1, on_disk=True, tree=tree))
    key = _seed(program, base_url)
    (worker,) = map(psutil.Process, program.worker_pids)
    pin(worker, cores.gateway)
    return program, Target(program.port, key, worker)


def pin(process: psutil.Process, cores: set[int]) -> None:
    """Every thread of a process, onto these cores."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, cores)


def peak_rss_mib(process: psutil.Process) -> float:
    """The most memory the process ever had resident (Linux)."""
    with open(f"/proc/{process.pid}/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return round(kib / 1024, 1)


def _start(stack: contextlib.ExitStack, module: str, *arguments: str) -> tuple[psutil.Process, int]:
    """A program of ours that prints its port."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    return psutil.Process(process.pid), int(process.stdout.readline())


def _seed(program: Served, base_url: str) -> str:
    """An account with money, its key, a price and a channel; the key."""
    _tell(program, "PUT", f"/prices/{MODEL}", {"input": "0.15", "output": "0.60"})
    channel = {"name": "local", "type": "openai", "base_url": base_url}
    _tell(program, "POST", "/channels", {**channel, "keys": ["sk-provider"], "models": [MODEL]})
    account = _tell(program, "POST", "/accounts", {"name": "bench"})["id"]
    # What is credited is too much for one operator; an older tree has no such setting.
    alone = {"value": "yes", "reason": "bench"}
    program.desk.call("PUT", "/settings/approvals.one_operator", alone)
    credit = {"amount": "1000000", "reason": "bench"}
    _tell(program, "POST", f"/accounts/{account}/credits", credit)
    key: str = _tell(program, "POST", f"/accounts/{account}/keys", {"name": "bench"})["key"]
    return key


def _tell(program: Served, method: str, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401
    """What the desk answers; on a busy machine its read models may lag at first."""

    def told() -> Any:  # noqa: ANN401
        answer = program.desk.call(method, path, body)
        assert answer.status in (200, 201, 503), answer.body
        return answer.status != 503 and (answer.json(),)

    return until(told, 30.0)[0]
