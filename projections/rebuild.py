"""Rebuilding a projection from the log while the runner goes on writing and events go on arriving.

The log is folded into a shadow, which is then put in place at exactly the position of the served
generation.
"""

from typing import NamedTuple

from projections.contract import Projection
from projections.election import try_to_rebuild
from projections.generations import (
    Checkpoint,
    drop_generation,
    read_checkpoints,
    read_served,
    schema_name,
    serve,
    start_generation,
)
from projections.progress import Progress, unwatched
from projections.replay import Replay
from projections.side_by_side import fold_side_by_side, is_worth_splitting
from projections.storage import Connection, connect

_NEAR_EVENTS = 2_000
"""What is left to fold when the checkpoint is held, or the snapshot is taken."""


class RebuildRefused(Exception):
    """Somebody else rebuilds this projection, or another release serves it."""


class Rebuilt(NamedTuple):
    """What a rebuild put in place."""

    generation: int
    position: int


def rebuild(dsn: str, projection: Projection, progress: Progress = unwatched) -> Rebuilt:
    """Fold the log anew and serve the outcome. Run it as the role that the runner has.

    What `progress` raises ends it, and nothing is left behind.
    Raises RebuildRefused, ProjectionStopped (an event cannot be read), LogBroken.
    """
    with connect(dsn) as connection:
        served = _prepared(connection, projection)
        shadow = start_generation(connection, projection)
        schema = schema_name(projection, shadow.generation)
        replay = Replay(connection, projection, schema)
        try:
            position = _switched(dsn, replay, shadow.generation, progress)
        except BaseException:
            if not connection.closed:
                drop_generation(connection, projection, shadow.generation)
            raise
        drop_generation(connection, projection, served)
    progress(position, position)
    return Rebuilt(shadow.generation, position)


def fold_near(dsn: str, replay: Replay, progress: Progress) -> None:
    """Fold until little is left before the served position, wherever that has got to."""
    while True:
        served = read_served(replay.connection, replay.projection.name)
        assert served is not None
        if served.position - replay.position <= _NEAR_EVENTS:
            return
        if replay.position == 0 and is_worth_splitting(replay.projection, served.position):
            fold_side_by_side(dsn, replay, served.position, progress)
        replay.fold_far(dsn, served.position, progress)


def require_version(served: Checkpoint, projection: Projection) -> None:
    """Only the release that serves a projection can replay it. Raises RebuildRefused."""
    if served.version != projection.version:
        raise RebuildRefused(
            f"projection {projection.name} is served in version {served.version}, this release "
            f"makes version {projection.version}: the newer release's runner sees to it"
        )


def _prepared(connection: Connection, projection: Projection) -> int:
    """Make sure that this is the only rebuild; sweep what a killed one left. The served number."""
    if not try_to_rebuild(connection, projection):
        raise RebuildRefused(f"projection {projection.name} is being rebuilt already")
    checkpoints = read_checkpoints(connection, projection.name)
    served = next((each for each in checkpoints if each.is_served), None)
    if served is None:
        return start_generation(connection, projection).generation
    require_version(served, projection)
    for each in checkpoints:
        if not each.is_served and each.version == projection.version:
            drop_generation(connection, projection, each.generation)
    return served.generation


def _switched(dsn: str, replay: Replay, shadow: int, progress: Progress) -> int:
    """Bring the shadow up, then serve it at exactly the position the served one has."""
    connection, projection = replay.connection, replay.projection
    fold_near(dsn, replay, progress)
    replay.write()
    replay.create_indexes()
    fold_near(dsn, replay, progress)
    with connection.transaction():
        # Holds up the runner, which moves this row in every one of its transactions.
        row = connection.execute(
            "select position from operations.projection where name = %s and is_served for update",
            (projection.name,),
        ).fetchone()
        assert row is not None
        replay.fold_to(row[0], progress)
        replay.write()
        connection.execute(
            "update operations.projection set position = %s where name = %s and generation = %s",
            (replay.position, projection.name, shadow),
        )
        serve(connection, projection, shadow)
    return replay.position
