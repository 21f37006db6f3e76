"""Times and positions as callers write them."""

import re
from datetime import UTC, date, datetime, timedelta

from admin_api.errors import InvalidInput
from admin_api.fields import inputs
from ledger.book_days import FIRST_DAY, LAST_DAY

POSITION_MAX = 2**63 - 1

_POSITION = re.compile(r"[0-9]{1,19}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_as_of(field: str, text: str | None) -> date | datetime | int | None:
    """A position, a day of the books, or a moment. Raises InvalidInput."""
    if text is None:
        return None
    if _POSITION.fullmatch(text):
        position = int(text)
        if position > POSITION_MAX:
            raise InvalidInput(field, "is a position beyond any log")
        return position
    return parse_day_or_moment(field, text)


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
