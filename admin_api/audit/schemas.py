"""What is said of acts."""

from typing import Self
from uuid import UUID

from admin_api.audit.operations import Act
from admin_api.fields.bodies import Moment, Output
from admin_api.fields.inputs import format_moment


class ActOutput(Output):
    """An act: the event at `position`. What it says is told by /ledger/events.

    `actor_name` and `actor_role` are those of now; null where it was no operator, or one that was
    erased. `reason` is a code; `words` what was written down about a credit, an adjustment or a
    price, and of a restore, what was restored; null where there is nothing, or it was erased.
    """

    position: int
    recorded_at: Moment
    actor: str
    actor_name: str | None
    actor_role: str | None
    type: str
    stream: UUID
    version: int
    account_id: UUID | None
    reason: str | None
    words: str | None

    @classmethod
    def of(cls, act: Act) -> Self:
        """As it is told."""
        row = act.row
        return cls(
            position=row.position,
            recorded_at=format_moment(row.recorded_at),
            actor=row.actor,
            actor_name=act.actor_name,
            actor_role=act.actor_role,
            type=row.topic,
            stream=row.stream_id,
            version=row.version,
            account_id=row.account_id,
            reason=row.reason or None,
            words=act.words,
        )


class ActPage(Output):
    """Some acts; `next` is the `before` of the next page, null at the end.

    All that was done up to `position` is known here.
    """

    acts: list[ActOutput]
    next: int | None
    position: int
