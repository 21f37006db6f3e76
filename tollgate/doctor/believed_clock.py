"""Whether the database's clock is believed: for the doctor, and for a start."""

from datetime import timedelta
from typing import Any

import psycopg
import structlog

from ledger.store.believed_clock import believe_clock
from tollgate.doctor.postgres_checks import Finding
from tollgate.installation import Installation

log = structlog.get_logger()

# Where no node is up nobody says how much time passes, and the next start will believe the clock.
_JUMPED = """
    select clock_timestamp(), believed_at from ledger.head
    where not ledger.is_near(clock_timestamp(), believed_at)
      and exists (select from operations.node_lease where expires_at > clock_timestamp())
"""
_BEHIND_MAX = timedelta(hours=1)
_REMEDY = "set the clock of the database's machine right; where it is right, restart every node"


def clock_faults(connection: psycopg.Connection[Any]) -> list[Finding]:
    """A clock that jumped while a node was up."""
    return [
        Finding(
            f"the database's clock says {now:%Y-%m-%d %H:%M}, and it was {believed:%Y-%m-%d %H:%M} "
            "a moment ago: it jumped, so no call is taken",
            _REMEDY,
        )
        for now, believed in connection.execute(_JUMPED).fetchall()
    ]


def start_clock(installation: Installation) -> None:
    """For a start, which somebody asked for: believe the clock."""
    with psycopg.connect(installation.owner_dsn) as connection:
        start = believe_clock(connection)
    if start.recorded_at - start.now > _BEHIND_MAX:
        log.error(
            "clock.behind_log",
            database_clock=start.now.isoformat(),
            log=start.recorded_at.isoformat(),
            consequence="events are recorded at the log's time until the clock has reached it",
        )
