"""Folding parts of the log side by side, a process each: a rebuild of a long log on several cores.

The log is split by stream or by account, so that no row belongs to two parts; every process folds
its part into the same tables, up to the same position, where the caller goes on alone. If any of
them cannot, what they did is thrown away, and the caller does it alone and meets the reason.
"""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from typing import NamedTuple

from projections.batches import LogBroken, Part
from projections.contract import Projection
from projections.progress import Progress
from projections.registry import PROJECTIONS
from projections.replay import Replay
from projections.storage import connect

WORTH_SPLITTING_EVENTS = 200_000
"""A process takes about a second to start."""

PROCESSES_MAX = 2


class _Task(NamedTuple):
    """What one process does; the projection by its name, for functions do not travel."""

    dsn: str
    projection: str
    schema: str
    part: Part
    target: int


class _PartFailed(Exception):
    """A process could not fold its part."""


def is_worth_splitting(projection: Projection, events: int) -> bool:
    """Whether several processes would be done sooner."""
    return (
        projection.rows_are_of is not None
        and projection in PROJECTIONS
        and events >= WORTH_SPLITTING_EVENTS
        and (os.cpu_count() or 1) > 1
    )


def fold_side_by_side(dsn: str, replay: Replay, target: int, progress: Progress) -> None:
    """Bring empty tables to `target`, or leave them empty.

    What `progress` raises ends all processes. Raises LogBroken.
    """
    by = replay.projection.rows_are_of
    assert by is not None
    parts = min(PROCESSES_MAX, os.cpu_count() or 1)
    tasks = [
        _Task(dsn, replay.projection.name, replay.schema, Part(by, number, parts), target)
        for number in range(parts)
    ]
    try:
        with _started(tasks) as pipes:
            _follow(pipes, target, progress)
    except _PartFailed:
        replay.empty_tables()
        return
    _require_whole(replay, target)
    replay.go_on_from(target)


@contextlib.contextmanager
def _started(tasks: Sequence[_Task]) -> Iterator[list[Pipe]]:
    """A process for each task, ended in any case; through its pipe it says how far it is."""
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    try:
        for task in tasks:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_fold_part, args=(task, theirs), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
        yield pipes
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for pipe in pipes:
            pipe.close()


def _follow(pipes: Sequence[Pipe], target: int, progress: Progress) -> None:
    """Until all are done: tell how far they are together. Raises _PartFailed."""
    reached = dict.fromkeys(pipes, 0)
    at_work = set(pipes)
    while at_work:
        for pipe in wait(list(at_work)):
            assert isinstance(pipe, Pipe)
            try:
                position = pipe.recv()
            except EOFError as error:
                raise _PartFailed from error
            if position is None:
                at_work.discard(pipe)
                continue
            reached[pipe] = position
            progress(sum(reached.values()) // len(pipes), target)


def _fold_part(task: _Task, pipe: Pipe) -> None:
    """The work of one process; None through the pipe when everything is stored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us is asked, and ends us
    projection = next(each for each in PROJECTIONS if each.name == task.projection)
    with connect(task.dsn) as connection:
        replay = Replay(connection, projection, task.schema, task.part)
        replay.fold_far(task.dsn, task.target, lambda done, _: pipe.send(done))
        replay.write()
    pipe.send(None)


def _require_whole(replay: Replay, target: int) -> None:
    """No part sees a gap of the log; positions are unique, so it is enough to count them."""
    row = replay.connection.execute(
        "select count(*) from ledger.event where position between 1 and %s", (target,)
    ).fetchone()
    assert row is not None
    if row[0] != target:
        raise LogBroken(f"the log has {row[0]} events at positions 1..{target}")
