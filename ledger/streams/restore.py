"""A restore: that the log went on from a backup, and from which. One stream per backup file.

Its position is the one right behind what came from the backup. Without it nobody could tell a copy
that was restored from the log that it is a copy of.
"""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from ledger.ids import derived_id
from ledger.streams.contract import Event, Stream


class BackupRestored(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Everything up to `up_to_position` came from a backup; what was recorded elsewhere behind it
    is not here.

    sha256: of the file, in hex. made_by: the release that wrote it. taken_at: when, as an RFC 3339
    date-time. has_vault: names and keys came with it.
    """

    TOPIC: ClassVar[str] = "restore.BackupRestored.v1"

    sha256: str
    made_by: str
    taken_at: str
    up_to_position: int
    has_vault: bool
    actor: str


@dataclass(frozen=True, slots=True)
class RecordRestore:
    """Remember a restore, in the fields of its event."""

    sha256: str
    made_by: str
    taken_at: str
    up_to_position: int
    has_vault: bool
    actor: str


@dataclass(frozen=True, slots=True)
class Restore:
    """The fold of one restore's stream."""

    version: int = 0
    restored: BackupRestored | None = None


def restore_stream_id(sha256: str) -> UUID:
    """The stream of the restore of one file: what was restored from it cannot have it already."""
    return derived_id("restore", sha256)


def decide(state: Restore, command: RecordRestore) -> tuple[Event, ...]:
    """One event, the first time."""
    if state.restored is not None:
        return ()
    return (
        BackupRestored(
            sha256=command.sha256,
            made_by=command.made_by,
            taken_at=command.taken_at,
            up_to_position=command.up_to_position,
            has_vault=command.has_vault,
            actor=command.actor,
        ),
    )


def evolve(state: Restore, event: BackupRestored) -> Restore:
    """The state after an event."""
    return Restore(state.version + 1, event)


STREAM = Stream(
    name="restore",
    events=(BackupRestored,),
    initial=Restore,
    decide=decide,
    evolve=evolve,
)
