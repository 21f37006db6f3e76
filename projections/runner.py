"""The runner: keeps all projections up with the log, one active runner per projection.

Rows and checkpoint of a batch commit together, and the checkpoint moves only from where this
runner left it; so a kill at any instant loses and doubles nothing. Projections that stand at the
same position share one reading of the log and one commit.
"""

import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import psycopg
import structlog

from ledger import clock
from ledger.collection import without_collection
from ledger.errors import LedgerError
from ledger.store.reader import Recorded
from projections.batches import (
    Batch,
    LogBroken,
    ProjectionStopped,
    interest_of,
    read_batch,
    read_head_position,
)
from projections.contract import Projection
from projections.election import stand_down, try_to_lead
from projections.folding import FoldedTable
from projections.generations import (
    Checkpoint,
    Generation,
    drop_generation,
    read_checkpoints,
    schema_name,
    serve,
    start_generation,
)
from projections.storage import Connection, connect

log = structlog.get_logger()

FOLD_FAILURES = (LedgerError, ArithmeticError, AssertionError, AttributeError, LookupError,
                 TypeError, ValueError, struct.error)  # fmt: skip
"""What a fold can raise on a log it was not made for."""


@dataclass(frozen=True, slots=True)
class RunnerTiming:
    """How much is folded at once, and how long the runner waits. Seconds."""

    batch_events_max: int = 4_000
    poll_s: float = 0.25
    pause_s: float = 0.05
    """Between two batches when nothing is waiting: fewer and larger batches cost less."""
    election_s: float = 1.0
    reconnect_pause_s: float = 0.1
    reconnect_pause_max_s: float = 5.0


class ProjectionStatus(NamedTuple):
    """What this runner does about a projection; `stopped` says why it cannot go on."""

    name: str
    is_active: bool
    position: int | None
    stopped: str | None


class Runner:
    """Folds events until told to stop; reconnects for ever. Runs in a thread of its own."""

    def __init__(
        self,
        dsn: str,
        projections: Sequence[Projection],
        timing: RunnerTiming = RunnerTiming(),
    ) -> None:
        self._dsn = dsn
        self._projections = tuple(projections)
        self._timing = timing
        self._lanes: dict[str, _Lane] = {}
        self._stopped: dict[str, _Stop] = {}

    def run_until(self, stop: threading.Event) -> None:
        """Keep the projections up to date until the event is set."""
        pause_s = self._timing.reconnect_pause_s
        while not stop.is_set():
            started_s = clock.monotonic_s()
            try:
                with connect(self._dsn) as connection:
                    self._serve(connection, stop)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if clock.monotonic_s() - started_s > self._timing.reconnect_pause_max_s:
                    pause_s = self._timing.reconnect_pause_s
                log.warning("projections.disconnected", error=str(error), retry_in_s=pause_s)
                stop.wait(pause_s)
                pause_s = min(2 * pause_s, self._timing.reconnect_pause_max_s)
            finally:
                self._lanes = {}

    def status(self) -> list[ProjectionStatus]:
        """What this runner is doing; may be called from any thread."""
        lanes, stopped = dict(self._lanes), dict(self._stopped)
        return [
            ProjectionStatus(
                each.name,
                each.name in lanes,
                lanes[each.name].position if each.name in lanes else None,
                stopped[each.name].reason if each.name in stopped else None,
            )
            for each in self._projections
        ]

    def _serve(self, connection: Connection, stop: threading.Event) -> None:
        connection.execute("listen ledger_event")
        next_election_s = 0.0
        while not stop.is_set():
            if clock.monotonic_s() >= next_election_s:
                self._elect(connection)
                next_election_s = clock.monotonic_s() + self._timing.election_s
            progress = self._advance_all(connection)
            if progress is None:
                for _ in connection.notifies(timeout=self._timing.poll_s, stop_after=1):
                    pass
            elif progress < self._timing.batch_events_max:
                stop.wait(self._timing.pause_s)

    def _elect(self, connection: Connection) -> None:
        """Take every projection that nobody else runs and that can go on."""
        for projection in self._projections:
            if projection.name in self._lanes:
                continue
            stop = self._stopped.get(projection.name)
            if stop is not None and stop.still_holds(connection, projection):
                continue
            if try_to_lead(connection, projection):
                self._stopped.pop(projection.name, None)
                self._take(connection, projection)

    def _take(self, connection: Connection, projection: Projection) -> None:
        """Begin where the projection's checkpoint stands now."""
        checkpoint = _own_checkpoint(connection, projection)
        if checkpoint is None:
            self._lanes.pop(projection.name, None)
            stand_down(connection, projection)
            return
        lane = self._lanes[projection.name] = _Lane(projection, checkpoint)
        if not checkpoint.is_served:
            self._serve_if_caught_up(connection, lane)

    def _advance_all(self, connection: Connection) -> int | None:
        """Fold one batch wherever something is waiting; the most events read, None for nothing."""
        head = read_head_position(connection)
        behind = [lane for lane in self._lanes.values() if lane.position < head]
        behind.sort(key=lambda lane: (lane.position, lane.projection.name))
        read: int | None = None
        for position, lanes in groupby(behind, key=lambda lane: lane.position):
            with without_collection():
                count = self._advance(connection, position, head, list(lanes))
            read = max(read or 0, count)
        return read

    def _advance(
        self, connection: Connection, position: int, head: int, lanes: list["_Lane"]
    ) -> int:
        interest = interest_of(tuple(lane.projection for lane in lanes))
        limit = self._timing.batch_events_max
        try:
            batch = read_batch(connection, position, head, limit, interest)
        except LogBroken as error:
            for lane in lanes:
                self._stop(connection, lane, str(error))
            return 0
        steps = [
            step for lane in lanes if (step := self._folded(connection, lane, batch)) is not None
        ]
        self._commit(connection, steps)
        return batch.last - position

    def _folded(self, connection: Connection, lane: "_Lane", batch: Batch) -> "_Step | None":
        try:
            part = batch.part_for(lane.projection)
            return _Step(lane, part.last, lane.fold(connection, part.events))
        except ProjectionStopped as stopped:
            self._stop(connection, lane, str(stopped))
        except FOLD_FAILURES as error:
            reason = f"cannot fold {batch.after + 1}..{batch.last}: {error!r}"
            self._stop(connection, lane, reason)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            self._stop_unless_replaced(connection, lane, error)
        return None

    def _commit(self, connection: Connection, steps: Sequence["_Step"]) -> None:
        """Store all steps in one transaction; if one does not fit, each in its own."""
        if not steps:
            return
        try:
            _store(connection, steps)
        except psycopg.OperationalError:
            raise
        except (psycopg.Error, _Replaced, *FOLD_FAILURES) as error:
            if len(steps) == 1:
                self._stop_unless_replaced(connection, steps[0].lane, error)
                return
            for step in steps:
                self._commit(connection, [step])
            return
        for step in steps:
            step.lane.advance(step)
            if not step.lane.checkpoint.is_served:
                self._serve_if_caught_up(connection, step.lane)

    def _serve_if_caught_up(self, connection: Connection, lane: "_Lane") -> None:
        """A generation of a newer version takes over once it is as far as the served one."""
        projection = lane.projection
        checkpoints = read_checkpoints(connection, projection.name)
        served = next(each for each in checkpoints if each.is_served)
        if lane.position < served.position:
            return
        lane.generation.create_indexes(connection)
        with connection.transaction():
            still = connection.execute(
                "select position from operations.projection where name = %s and is_served "
                "for update",
                (projection.name,),
            ).fetchone()
            if still is None or still[0] > lane.position:
                return
            serve(connection, projection, lane.checkpoint.generation)
        for old in checkpoints:
            if old.generation != lane.checkpoint.generation:
                drop_generation(connection, projection, old.generation)
        self._take(connection, projection)

    def _stop_unless_replaced(
        self, connection: Connection, lane: "_Lane", error: Exception
    ) -> None:
        """A rebuild may have put another generation in place: then go on with that one."""
        checkpoint = _own_checkpoint(connection, lane.projection)
        if checkpoint is not None and lane.stands_at(checkpoint):
            self._stop(connection, lane, f"cannot store rows: {error}")
        else:
            self._take(connection, lane.projection)

    def _stop(self, connection: Connection, lane: "_Lane", reason: str) -> None:
        """Leave the projection where it stands; a node of another release may take it on."""
        name = lane.projection.name
        log.error("projection.stopped", projection=name, position=lane.position, reason=reason)
        self._stopped[name] = _Stop(reason, lane.checkpoint.generation, lane.position)
        self._lanes.pop(name, None)
        stand_down(connection, lane.projection)


class _Replaced(Exception):
    """The checkpoint is not where this runner left it."""


class _Stop(NamedTuple):
    reason: str
    generation: int
    position: int

    def still_holds(self, connection: Connection, projection: Projection) -> bool:
        """Whether nobody got the projection past this since."""
        found = [
            each
            for each in read_checkpoints(connection, projection.name)
            if each.generation == self.generation
        ]
        return bool(found) and found[0].position == self.position


class _Lane:
    """A projection this runner folds, and where it stands."""

    def __init__(self, projection: Projection, checkpoint: Checkpoint) -> None:
        self.projection = projection
        self.checkpoint = checkpoint
        self.position = checkpoint.position
        self.generation = Generation(projection, schema_name(projection, checkpoint.generation))

    def fold(self, connection: Connection, events: Sequence[Recorded]) -> list[FoldedTable]:
        return self.generation.fold(connection, events)

    def stands_at(self, checkpoint: Checkpoint) -> bool:
        is_same = checkpoint.generation == self.checkpoint.generation
        return is_same and checkpoint.position == self.position

    def advance(self, step: "_Step") -> None:
        self.generation.remember(step.folded)
        self.position = step.last


class _Step(NamedTuple):
    lane: _Lane
    last: int
    folded: list[FoldedTable]


def _own_checkpoint(connection: Connection, projection: Projection) -> Checkpoint | None:
    """The generation a runner of this release works on; None while a newer one is served."""
    checkpoints = read_checkpoints(connection, projection.name)
    served = next((each for each in checkpoints if each.is_served), None)
    if served is None:
        return start_generation(connection, projection)
    if served.version >= projection.version:
        return served if served.version == projection.version else None
    building = [each for each in checkpoints if each.version == projection.version]
    return building[-1] if building else start_generation(connection, projection)


def _store(connection: Connection, steps: Iterable[_Step]) -> None:
    moves = [
        (step.lane.projection.name, step.lane.checkpoint.generation, step.lane.position, step.last)
        for step in steps
    ]
    with connection.transaction():
        cursor = connection.execute(
            "update operations.projection p set position = k.last "
            "from unnest(%b::text[], %b::int8[], %b::int8[], %b::int8[]) "
            "  k (name, generation, position, last) "
            "where p.name = k.name and p.generation = k.generation and p.position = k.position",
            [list(values) for values in zip(*moves, strict=True)],
            prepare=True,
        )
        if cursor.rowcount != len(moves):
            raise _Replaced("another process moved the checkpoint")
        for step in steps:
            step.lane.generation.write(connection, step.folded)
