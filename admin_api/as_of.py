"""Times and positions as callers write them, and how an answer says what it is as of."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query

from admin_api import inputs
from admin_api.errors import InvalidInput
from admin_api.schemas import Moment, Output
from ledger.book_days import FIRST_DAY, LAST_DAY
from projections.books.as_of import AsOf

POSITION_MAX = 2**63 - 1

_POSITION = re.compile(r"[0-9]{1,19}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

AsOfQuery = Annotated[
    str | None,
    Query(
        alias="as_of",
        max_length=64,
        description="A date-time with an offset, or a position of the log; now where it is absent.",
        examples=["2030-01-31T12:00:00Z", "4182934"],
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
AtLeast = Annotated[
    int,
    Query(ge=0, lt=2**63, description="Wait, for a second at most, until the log has this."),
]


class AsOfOutput(Output):
    """What an answer is as of: all events up to `position`, the last recorded at `recorded_at`.

    `head`: where the log ended. `beyond_head`: the log had not passed what was asked for, so that
    the same question may have another answer later; as of `position` it never will.
    """

    position: int
    recorded_at: Moment | None
    head: int
    beyond_head: bool


def as_of_output(as_of: AsOf) -> AsOfOutput:
    """How an answer says it."""
    return AsOfOutput(
        position=as_of.position,
        recorded_at=None if as_of.recorded_at is None else inputs.format_moment(as_of.recorded_at),
        head=as_of.head,
        beyond_head=as_of.beyond_head,
    )


def parse_as_of(field: str, text: str | None) -> datetime | int | None:
    """A position or a moment. Raises InvalidInput."""
    if text is None:
        return None
    if _POSITION.fullmatch(text):
        position = int(text)
        if position > POSITION_MAX:
            raise InvalidInput(field, "is a position beyond any log")
        return position
    return parse_moment(field, text)


def parse_moment(field: str, text: str) -> datetime:
    """A date-time with an offset, in UTC. Raises InvalidInput."""
    return _EPOCH + timedelta(microseconds=inputs.moment_us(field, text))


def parse_day(field: str, text: str) -> date:
    """A day such as 2030-01-31. Raises InvalidInput."""
    try:
        if _DAY.fullmatch(text) is None:
            raise ValueError(text)
        day = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(field, "must be a day such as 2030-01-31") from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidInput(field, f"must lie between {FIRST_DAY} and {LAST_DAY}")
    return day


def parse_day_or_moment(field: str, text: str | None) -> date | datetime | None:
    """A day of the books, or a moment. Raises InvalidInput."""
    if text is None:
        return None
    return parse_day(field, text) if _DAY.fullmatch(text) else parse_moment(field, text)
