"""The supervisor: starts the servers and the workers, replaces what dies, and ends all in order.

    supervisor -> postgres, valkey (where embedded), signer, worker 1..N, background

The listening socket is opened once, here, and inherited: while one worker is being replaced its
connections wait or go to the others. Children live on if the supervisor is killed and keep
serving; the next one on the same data directory ends and replaces them.
"""

import contextlib
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ledger import clock
from tollgate.doctor.believed_clock import start_clock
from tollgate.doctor.schema import require_own_schema
from tollgate.embedded.errors import StartRefused
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey
from tollgate.installation import Installation, bring_up_to_date, describe, seed
from tollgate.processes import child_processes, listening
from tollgate.processes.assignment import DRAIN_S, assignment, signer_assignment
from tollgate.processes.child_processes import Running
from tollgate.processes.stop_signals import StopRequested, StopSignals
from tollgate.server import open_files
from tollgate.settings import Settings

log = structlog.get_logger()

_LOOK_S = 0.1
_STEADY_AFTER_S = 5.0
_PAUSE_MAX_S = 5.0
_PAUSE_MIN_S = 0.1
_BACKGROUND_PATIENCE_S = 15.0
_SIGNER_PATIENCE_S = 5.0
_BEYOND_DRAIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Started:
    """What the outside is told once the first worker answers."""

    installation: Installation
    address: str


def serve(
    settings: Settings,
    announce: Callable[[Started], None],
    furnish: Callable[[Installation, str | None], None],
) -> int:
    """Serve until asked to stop; 0 after an orderly end.

    `furnish` is given the root operator's token if one was minted, and may write to the ledger
    before the first worker starts; `announce` is called when service begins.
    Raises StartRefused, CannotReach; no port is open then.
    """
    open_files.raise_limit()
    settings.data.prepare()
    with settings.data.lock(), StopSignals() as signals, contextlib.ExitStack() as stack:
        _say_what_has_no_effect(settings)
        for leftover in child_processes.end_leftovers(settings.data):
            log.warning("leftover.replaced", child=leftover.name, pid=leftover.pid)
        reserved = stack.enter_context(listening.reserve(settings.host, settings.port))
        try:
            with signals.interrupting():
                servers = _start_servers(settings, stack)
                installation = describe(settings, servers.postgres, servers.valkey)
                bring_up_to_date(installation)
                require_own_schema(installation)
                start_clock(installation)
                furnish(installation, seed(installation))
        except StopRequested:
            return 0
        if installation.is_single_role:
            log.warning("ledger.single_role", consequence="the append-only triggers stand alone")
        listening.listen(reserved)
        address = listening.address_of(reserved)
        tree = _Tree(installation, servers, reserved, signals)
        tree.run(lambda: announce(Started(installation, address)))
    return 0


@dataclass(slots=True)
class _Servers:
    postgres: EmbeddedPostgres | None
    valkey: EmbeddedValkey | None


@dataclass(slots=True)
class _Slot:
    """A place in the tree; `start` fills it. `pause_s` grows while it dies soon after starting."""

    name: str
    start: Callable[[], None]
    started_s: float = 0.0
    due_s: float = 0.0
    pause_s: float = 0.0

    def has_died(self) -> None:
        """Plan the next start: at once, or after a pause that doubles up to 5 s."""
        now_s = clock.monotonic_s()
        is_steady = now_s - self.started_s >= _STEADY_AFTER_S
        self.pause_s = 0.0 if is_steady else min(_PAUSE_MAX_S, 2 * self.pause_s or _PAUSE_MIN_S)
        self.due_s = now_s + self.pause_s


class _Tree:
    def __init__(
        self,
        installation: Installation,
        servers: _Servers,
        listening_socket: socket.socket,
        signals: StopSignals,
    ) -> None:
        self._installation = installation
        self._socket = listening_socket
        self._signals = signals
        self._running: dict[str, Running] = {}
        self._servers = [
            (server, _Slot(name, server.start))
            for name, server in (("postgres", servers.postgres), ("valkey", servers.valkey))
            if server is not None
        ]
        self._slots = [self._slot("signer", 0), self._slot("background", 0)]
        self._slots += [
            self._slot("worker", number) for number in range(1, installation.settings.workers + 1)
        ]

    def run(self, announce: Callable[[], None]) -> None:
        """Keep everything running until a stop is asked for, then end workers and background."""
        is_announced = False
        try:
            while not self._signals.stops:
                with self._signals.interrupting():
                    self._keep_servers()
                self._keep_children()
                if not is_announced and listening.is_ready(self._socket, timeout_s=1.0):
                    announce()
                    is_announced = True
                self._signals.wait(_LOOK_S)
        except StopRequested:
            pass
        finally:
            self._end_children()

    def _slot(self, role: str, number: int) -> _Slot:
        def start() -> None:
            descriptor = self._socket.fileno() if role == "worker" else None
            given = (
                signer_assignment(self._installation)
                if role == "signer"
                else assignment(self._installation, role, number, descriptor)
            )
            environment = self._installation.settings.child_environment
            self._running[given.name] = child_processes.start(given, environment)
            log.info("child.started", child=given.name, pid=self._running[given.name].child.pid)

        return _Slot(f"{role}-{number}" if number else role, start)

    def _keep_servers(self) -> None:
        for server, slot in self._servers:
            if server.is_running() or clock.monotonic_s() < slot.due_s:
                continue
            log.error("server.died", server=slot.name)
            slot.started_s = clock.monotonic_s()
            try:
                slot.start()
            except StartRefused as refusal:
                log.error("server.not_restarted", server=slot.name, reason=str(refusal))
                slot.has_died()
            else:
                log.warning("server.restarted", server=slot.name)

    def _keep_children(self) -> None:
        has_changed = False
        for slot in self._slots:
            running = self._running.get(slot.name)
            if running is not None and (code := running.process.poll()) is not None:
                del self._running[slot.name]
                slot.has_died()
                log.error("child.died", child=slot.name, code=code, restart_in_s=slot.pause_s)
                running = None
                has_changed = True
            if running is None and clock.monotonic_s() >= slot.due_s:
                slot.started_s = clock.monotonic_s()
                slot.start()
                has_changed = True
        if has_changed:
            self._remember()

    def _remember(self) -> None:
        children = [running.child for running in self._running.values()]
        child_processes.remember(self._installation.settings.data, children)

    def _end_children(self) -> None:
        """Workers first: what they settle while draining, the background process still folds.

        The signer last: the background process seals the end of the log before it goes.
        """
        self._socket.close()  # with the workers' copies gone too, new connections are refused
        workers = [slot.name for slot in self._slots if slot.name.startswith("worker")]
        self._end(workers, DRAIN_S + _BEYOND_DRAIN_S)
        self._end(["background"], _BACKGROUND_PATIENCE_S)
        self._end(["signer"], _SIGNER_PATIENCE_S)
        self._remember()

    def _end(self, names: list[str], patience_s: float) -> None:
        alive = [self._running[name] for name in names if name in self._running]
        seen = self._signals.stops  # before anybody is told, or a second one now would be missed
        for running in alive:
            running.process.terminate()
        deadline_s = clock.monotonic_s() + patience_s
        while alive := [running for running in alive if running.process.poll() is None]:
            if self._signals.stops > seen:
                seen = self._signals.stops
                for running in alive:
                    running.process.send_signal(signal.SIGTERM)
            if clock.monotonic_s() > deadline_s:
                for running in alive:
                    log.error("child.killed", child=running.child.name, pid=running.child.pid)
                    running.process.kill()
            self._keep_servers()
            self._signals.wait(_LOOK_S)
        for name in names:
            self._running.pop(name, None)


def _start_servers(settings: Settings, stack: contextlib.ExitStack) -> _Servers:
    servers = _Servers(None, None)
    if settings.sql_dsn is None:
        servers.postgres = EmbeddedPostgres(settings.data)
        stack.callback(servers.postgres.stop)
        servers.postgres.start()
    if settings.redis_url is None:
        servers.valkey = EmbeddedValkey(settings.data)
        stack.callback(servers.valkey.stop)
        servers.valkey.start()
    return servers


def _say_what_has_no_effect(settings: Settings) -> None:
    if settings.notice is not None:
        log.warning("settings.without_effect", names=settings.notice)
