"""How requests ask for a time or a position, and how an answer says what it is as of."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from admin_api.fields import inputs
from admin_api.fields.bodies import Moment, Output
from projections.books.as_of import AsOf

AsOfQuery = Annotated[
    str | None,
    Query(
        alias="as_of",
        max_length=64,
        description="A date-time with an offset, a day of the books, which means its end, or a "
        "position of the log; now where it is absent.",
        examples=["2030-01-31T12:00:00Z", "2030-01-31", "4182934"],
    ),
]
_DAY_OF_BOOKS = "A day of the books, included."
_DAYS = ["2030-01-31"]
FromDay = Annotated[
    str | None, Query(alias="from", max_length=10, description=_DAY_OF_BOOKS, examples=_DAYS)
]
ToDay = Annotated[
    str | None, Query(alias="to", max_length=10, description=_DAY_OF_BOOKS, examples=_DAYS)
]
_SINCE = "A day of the books, or a date-time with an offset; included."
_UNTIL = "A day of the books, included, or a date-time with an offset, which is not."
_TIMES = ["2030-01-31", "2030-01-31T12:00:00Z"]
Since = Annotated[
    str | None, Query(alias="from", max_length=64, description=_SINCE, examples=_TIMES)
]
Until = Annotated[str | None, Query(alias="to", max_length=64, description=_UNTIL, examples=_TIMES)]
AtLeast = Annotated[
    int,
    Query(ge=0, lt=2**63, description="Wait, for a second at most, until the log has this."),
]

_EDGE = (
    "A position of the log, a day of the books or a date-time with an offset. A position and a day "
    "are included, and so is a date-time as `from`; as `to` it is not."
)
_EDGES = ["1200", "2030-01-31", "2030-01-31T12:00:00Z"]
Edge = Annotated[str | None, Field(max_length=64, description=_EDGE, examples=_EDGES)]
"""Where a period of the log begins or ends, in a body."""


class EndOfDayOutput(Output):
    """The last moment of a day, in the time zone that the books had on it."""

    day: str
    time_zone: str
    moment: Moment


class AsOfOutput(Output):
    """What an answer is as of: all events up to `position`, the last recorded at `recorded_at`.

    `head`: where the log ended. `beyond_head`: the log had not passed what was asked for, so that
    the same question may have another answer later; as of `position` it never will. `end_of_day`:
    the end of the day that was asked for, null where none was.
    """

    position: int
    recorded_at: Moment | None
    head: int
    beyond_head: bool
    end_of_day: EndOfDayOutput | None = None


def as_of_output(as_of: AsOf) -> AsOfOutput:
    """How an answer says it."""
    return AsOfOutput(
        position=as_of.position,
        recorded_at=None if as_of.recorded_at is None else inputs.format_moment(as_of.recorded_at),
        head=as_of.head,
        beyond_head=as_of.beyond_head,
        end_of_day=_end_of_day(as_of),
    )


def _end_of_day(as_of: AsOf) -> EndOfDayOutput | None:
    if as_of.day is None or as_of.time_zone is None:
        return None
    moment = inputs.format_moment(as_of.moment)
    return EndOfDayOutput(day=as_of.day.isoformat(), time_zone=as_of.time_zone, moment=moment)
