"""One worker: builds its parts, serves on the inherited socket, and drains when asked to stop."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys

import structlog
import uvloop

from admin_api.desk import Desk
from admin_api.http.application import build_desk
from tollgate import log as log_lines
from tollgate.core import open_core
from tollgate.front import Front, build_front
from tollgate.processes import assignment
from tollgate.processes.assignment import DRAIN_S, Assignment
from tollgate.server.http_server import Server, server_config
from tollgate.server.root_app import RootApp

log = structlog.get_logger()

_POOL_CONNECTIONS_MAX = 4
_COLLECT_AFTER_OBJECTS = 20_000
_PRE_DRAIN_S = 0.5
"""How long calls are still accepted after readiness says no: whoever routes to us may lag."""
_CUT_AFTER_S = DRAIN_S - 15.0
"""When calls that are still going on are ended in their own format, and settled."""
_FORCE_AFTER_S = 5.0
_ALONE_AFTER_S = 3.0
"""When a worker that cannot read the configuration answers calls all the same: with a clear 503."""


def main() -> int:
    """Serve as told through the inherited pipe; 0 after an orderly drain."""
    given = assignment.receive(sys.argv)
    log_lines.configure(process=given.name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(given))
    return 0


async def _serve(given: Assignment) -> None:
    assert given.listening_fd is not None
    async with open_core(
        given.app_dsn,
        given.redis_url,
        given.crypto_secret,
        connections_max=_POOL_CONNECTIONS_MAX,
    ) as core:
        front = build_front(given, core)
        desk = core.desk()
        app = RootApp(
            front.gateway,
            front.gateway.busy,
            build_desk(desk, front.client_address),
            front.ready_to_serve,
        )
        server = Server(server_config(app, graceful_shutdown_s=DRAIN_S))
        app.files_used = server.files_used
        _collect_rarely()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(desk.commands.close)
            stack.push_async_callback(front.close)
            beside = asyncio.create_task(front.run())
            # Without its lease and its configuration a worker must not go on: it is replaced.
            beside.add_done_callback(lambda _: setattr(server, "should_exit", True))
            stack.push_async_callback(_cancel, beside)
            _drain_on_signals(server, front, desk)
            with contextlib.suppress(TimeoutError):  # until then the others take the calls
                await asyncio.wait_for(front.ready_to_serve.wait(), _ALONE_AFTER_S)
            await server.serve([socket.socket(fileno=given.listening_fd)])


def _collect_rarely() -> None:
    """What is here now stays for good: a full collection of it would stop all calls for 0.3 s.

    Calls leave few cycles behind; looking for them after every 700 objects, as Python does, cost
    them a fifth of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 20)


def _drain_on_signals(server: Server, front: Front, desk: Desk) -> None:
    """The first signal lets calls end by themselves; the second ends them."""
    draining: list[asyncio.Task[None]] = []

    def asked_to_stop() -> None:
        desk.closing.set()
        work = _hurry(server, front) if draining else _drain(server, front)
        draining.append(asyncio.create_task(work))

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop)


async def _drain(server: Server, front: Front) -> None:
    log.info("worker.draining", calls=len(front.deadlines))
    front.health.is_draining = True
    await asyncio.sleep(_PRE_DRAIN_S)
    server.should_exit = True
    await asyncio.sleep(_CUT_AFTER_S)
    front.deadlines.end_all("node_draining", for_good=True)


async def _hurry(server: Server, front: Front) -> None:
    log.warning("worker.cut", calls=len(front.deadlines))
    server.should_exit = True
    front.deadlines.end_all("node_draining", for_good=True)
    await asyncio.sleep(_FORCE_AFTER_S)
    server.force_exit = True


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    sys.exit(main())
