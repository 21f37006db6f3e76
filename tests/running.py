"""The gateway, running: in this process over the test servers, or as `tollgate serve`.

`in_process` is quick to start and shares its parts with the test, which may reach into them.
`served` is the real thing: supervisor, workers, background process, Postgres and Valkey, every one
of which may be killed.
"""

import asyncio
import contextlib
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
import redis

from gateway.http.exchange import Receive, Scope, Send
from tests.bookkeeping import Books, LoopThread
from tests.calling import Client
from tests.servers import make_data_directory
from tollgate.core import Core, open_core
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey
from tollgate.front import Front, build_front
from tollgate.installation import CRYPTO_SECRET_FILE
from tollgate.processes.assignment import Assignment
from tollgate.server.http_server import Server, server_config

ROOT = Path(__file__).parents[1]
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 90.0


def is_running(pid: int) -> bool:
    """Whether a process is there; one that only waits for its parent to notice is not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(is_true: Callable[[], Any], within_s: float = 10.0, what: str = "") -> Any:  # noqa: ANN401
    """Wait for something to become true, and answer it; fail where it does not."""
    deadline_s = time.monotonic() + within_s
    while not (found := is_true()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what or is_true}"
        time.sleep(0.02)
    return found


# ---------------------------------------------------------------------- in this process


@dataclass
class InProcess:
    """A gateway in a thread of this process. The desk is not mounted."""

    base_url: str
    app_dsn: str
    books: Books
    core: Core
    front: Front
    loop: LoopThread
    port: int

    def client(self, key: str = "") -> Client:
        """A client that presents `key`."""
        return Client(self.port, key)


@contextlib.contextmanager
def in_process(
    app_dsn: str,
    redis_url: str,
    *,
    trusted_proxies: Sequence[str] = (),
    streaming_timeout_s: int = 300,
    relay_timeout_s: int = 3_600,
    request_body_max_bytes: int = 32 * 1024 * 1024,
    media_networks: Sequence[str] = (),
    keeps_translated_responses: bool = True,
) -> Iterator[InProcess]:
    """Serve the gateway over these servers on a free port of loopback; settled and gone after."""
    given = Assignment(
        role="worker",
        number=1,
        app_dsn=app_dsn,
        redis_url=redis_url,
        crypto_secret="0123456789abcdef" * 4,
        listening_fd=None,
        trusted_proxies=tuple(trusted_proxies),
        request_body_max_bytes=request_body_max_bytes,
        streaming_timeout_s=streaming_timeout_s,
        relay_timeout_s=relay_timeout_s,
        workers=1,
        media_networks=tuple(media_networks),
        keeps_translated_responses=keeps_translated_responses,
    )
    loop = LoopThread()
    ready: Future[tuple[Core, Front, int]] = Future()
    stopping = asyncio.Event()
    serving = loop.start(_serve(given, ready, stopping))
    serving.add_done_callback(lambda done: _fail_if_not_ready(ready, done.exception()))
    try:
        core, front, port = ready.result(30)

        def await_seen(position: int) -> None:
            until(lambda: core.configuration.position >= position, 5, "the configuration")

        books = Books(loop, core, await_seen)
        yield InProcess(f"http://127.0.0.1:{port}", app_dsn, books, core, front, loop, port)
    finally:
        loop.run(_set(stopping))
        serving.result(30)
        loop.close()


async def _serve(
    given: Assignment, ready: "Future[tuple[Core, Front, int]]", stopping: asyncio.Event
) -> None:
    async with open_core(
        given.app_dsn, given.redis_url, given.crypto_secret, connections_max=4
    ) as core:
        front = build_front(given, core)
        server = Server(server_config(_WithLifespan(front), graceful_shutdown_s=20))
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
            running = asyncio.create_task(front.run())
            serving = asyncio.create_task(server.serve([listener]))
            await front.ready_to_serve.wait()
            while not server.started:
                await asyncio.sleep(0.01)
            ready.set_result((core, front, listener.getsockname()[1]))
            await stopping.wait()
            server.should_exit = True
            await serving
            await front.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _fail_if_not_ready(ready: "Future[Any]", failure: BaseException | None) -> None:
    if not ready.done():
        ready.set_exception(failure)


class _WithLifespan:
    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._front.gateway(scope, receive, send)
            return
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return


async def _set(event: asyncio.Event) -> None:
    event.set()


# ---------------------------------------------------------------------- as a program


class _Child(msgspec.Struct):
    name: str
    pid: int


class _Record(msgspec.Struct):
    supervisor: _Child
    children: list[_Child]


@dataclass
class Served:
    """`tollgate serve` on a data directory of its own."""

    data: DataDirectory
    port: int
    workers: int
    root_token: str
    environment: Mapping[str, str]
    arguments: Sequence[str] = ()
    tree: Path = ROOT
    shell_first: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _books: Books | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the program and its children said, over all its starts."""
        return self.data.root.parent / "log"

    @property
    def app_dsn(self) -> str:
        return EmbeddedPostgres(self.data).app_dsn

    @property
    def owner_dsn(self) -> str:
        return EmbeddedPostgres(self.data).owner_dsn

    @property
    def redis_url(self) -> str:
        return EmbeddedValkey(self.data).url

    @property
    def books(self) -> Books:
        """The ledger by commands, beside the running program."""
        if self._books is None:
            self._books = self._open.enter_context(_books_of(self))
        return self._books

    def client(self, key: str = "") -> Client:
        """A client that presents `key`."""
        return Client(self.port, key)

    @property
    def desk(self) -> Client:
        """The desk, as the root operator; paths as in `/accounts`."""
        return Client(self.port, self.root_token, "/api/v1")

    def redis(self) -> redis.Redis:
        """A connection to its Valkey."""
        return redis.Redis.from_url(self.redis_url)

    # ------------------------------------------------------------------ processes

    @property
    def worker_pids(self) -> list[int]:
        return [child.pid for child in self._children() if child.name.startswith("worker")]

    @property
    def background_pid(self) -> int:
        return next(child.pid for child in self._children() if child.name == "background")

    @property
    def supervisor_pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def postgres_pid(self) -> int:
        return int((self.data.postgres / "postmaster.pid").read_text().split()[0])

    @property
    def valkey_pid(self) -> int:
        return int((self.data.valkey / "valkey.pid").read_text())

    def start(self) -> None:
        """Start the program and wait until it takes calls."""
        command = [
            sys.executable, "-m", "tollgate", "serve", "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", str(self.workers),
            "--data-dir", str(self.data.root), *self.arguments,
        ]  # fmt: skip
        if self.shell_first:
            command = ["/bin/sh", "-c", f'{self.shell_first} && exec "$@"', "sh", *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.tree, env=dict(self.environment), stdout=log, stderr=log
            )
        self.await_ready()

    def await_ready(self, within_s: float = READY_WITHIN_S) -> None:
        deadline_s = time.monotonic() + within_s
        while not self._is_ready():
            assert time.monotonic() < deadline_s, f"it is not ready:\n{self.log_tail()}"
            time.sleep(0.05)

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """End it in order, and see that the end was clean."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(with_signal)
        code = process.wait(STOPPED_WITHIN_S)
        assert code == 0, f"exit code {code}:\n{self.log_tail()}"
        assert not self._survivors(), self._survivors()

    def kill_supervisor(self) -> None:
        """SIGKILL; its children live on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def tool(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `tollgate` with these arguments on the same data directory."""
        command = [sys.executable, "-m", "tollgate", *arguments, "--data-dir", str(self.data.root)]
        return subprocess.run(
            command,
            cwd=self.tree,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def check_books(self) -> None:
        """`fsck` finds nothing."""
        done = self.tool("ledger", "fsck")
        assert done.returncode == 0, done.stdout + done.stderr

    def log_tail(self) -> str:
        return self.log.read_text()[-4_000:] if self.log.exists() else "(nothing was said)"

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        self._open.close()
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            for survivor in self._survivors():
                with contextlib.suppress(psutil.NoSuchProcess):
                    survivor.kill()
            psutil.wait_procs(self._survivors(), timeout=10)
            shutil.rmtree(self.data.root.parent, ignore_errors=True)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended:\n{self.log_tail()}"
        try:
            # A killed predecessor's workers may still be there, and ready.
            is_ours = self._record().supervisor.pid == self.process.pid
            return is_ours and Client(self.port, timeout_s=5).get("/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _children(self) -> list[_Child]:
        return self._record().children

    def _record(self) -> _Record:
        written = (self.data.run / "children.json").read_bytes()
        return msgspec.json.decode(written, type=_Record)

    def _survivors(self) -> list[psutil.Process]:
        """Processes that were started for this data directory, and only those."""
        known = {self.process.pid} if self.process is not None else set()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            known |= {child.pid for child in self._children()}
        mine = str(self.data.root)
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            named = any(mine in part for part in process.info["cmdline"] or ())
            ours = process.pid in known and "tollgate" in " ".join(process.info["cmdline"] or ())
            if (named or ours) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found


@contextlib.contextmanager
def served(
    *,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    on_disk: bool = False,
    tree: Path = ROOT,
    shell_first: str = "",
) -> Iterator[Served]:
    """The program, ready, on a fresh data directory; what is left of it is removed at the end.

    `arguments` are added to its command line, `environment` to its few variables. `on_disk`: as
    in earnest, where what is stored must be waited for. `tree`: the work tree whose program it is.
    `shell_first`: what a shell does before, as `ulimit -n 256`.
    """
    root_token = f"root-{secrets.token_hex(24)}"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    running = Served(
        data=make_data_directory(on_disk=on_disk),
        port=free_port(),
        workers=workers,
        root_token=root_token,
        environment={**kept, "INITIAL_ROOT_ACCESS_TOKEN": root_token, **(environment or {})},
        arguments=arguments,
        tree=tree,
        shell_first=shell_first,
    )
    try:
        running.start()
        yield running
    finally:
        running.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def _books_of(program: Served) -> Iterator[Books]:
    secret = program.data.secret(CRYPTO_SECRET_FILE)
    loop = LoopThread()
    opened = _opened_core(program.app_dsn, program.redis_url, secret)
    core = loop.run(anext(opened))
    core.pool.timeout = 10.0  # the database may have been killed a moment ago
    try:
        # Followers of the log are notified; the promise to operators is one second.
        yield Books(loop, core, lambda _: time.sleep(1.0))
    finally:
        loop.run(_finish(opened))
        loop.close()


async def _opened_core(dsn: str, redis_url: str, secret: str) -> AsyncGenerator[Core]:
    async with open_core(dsn, redis_url, secret, connections_max=3) as core:
        yield core


async def _finish(opened: AsyncGenerator[Core]) -> None:
    async for _ in opened:
        raise AssertionError("it opens once")
