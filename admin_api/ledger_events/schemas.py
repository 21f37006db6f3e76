"""What is said of events."""

from typing import Any
from uuid import UUID

from admin_api.fields.bodies import Moment, Output


class EventOutput(Output):
    """An event. `data` is its stored JSON, byte for byte."""

    position: int
    stream: UUID
    version: int
    type: str
    recorded_at: Moment
    data: dict[str, Any]


class EventPageOutput(Output):
    """Some events, the last position of the log, and the `after` of the next page.

    A page may have no events and yet a `next`; at the end of the log it is null.
    """

    events: list[EventOutput]
    head: int
    next: int | None
