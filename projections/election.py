"""Who folds a projection: whoever holds its advisory lock, for as long as the connection lives."""

import zlib

from projections.contract import Projection
from projections.storage import Connection

_LEADING = 0x70726F6A  # "proj"
_REBUILDING = 0x73686164  # "shad"


def try_to_lead(connection: Connection, projection: Projection) -> bool:
    """Become the one runner of this version of a projection; False while another one is.

    Versions are led separately: a newer release prepares its rows while the older one still
    serves.
    """
    return _try(connection, _LEADING, f"{projection.name}:{projection.version}")


def stand_down(connection: Connection, projection: Projection) -> None:
    """Let another runner lead."""
    lock = (_LEADING, _number(f"{projection.name}:{projection.version}"))
    connection.execute("select pg_advisory_unlock(%s::int, %s::int)", lock)


def try_to_rebuild(connection: Connection, projection: Projection) -> bool:
    """Become the only one who rebuilds a projection; held until the connection closes."""
    return _try(connection, _REBUILDING, projection.name)


def _try(connection: Connection, kind: int, name: str) -> bool:
    lock = (kind, _number(name))
    row = connection.execute("select pg_try_advisory_lock(%s::int, %s::int)", lock).fetchone()
    assert row is not None
    return bool(row[0])


def _number(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF
