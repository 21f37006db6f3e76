"""What an export is of: which table, whose events, of which type, from where to where."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from ledger.codec import UPCASTERS
from ledger.errors import InvalidSelection
from ledger.streams.registry import EVENT_OF_TOPIC

What = Literal["events", "postings", "charges"]

Bound = int | datetime
"""A position of the log, or a moment (with an offset)."""

_POSITION_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All that is given must hold.

    Positions are both included. Of moments `since` is included and `until` is not, so that months
    laid end to end hold every event once.
    """

    what: What
    account_id: UUID | None = None
    topic: str | None = None
    since: Bound | None = None
    until: Bound | None = None

    def __post_init__(self) -> None:
        """Raises InvalidSelection for what can be of no log."""
        if self.topic is not None and self.topic not in {*EVENT_OF_TOPIC, *UPCASTERS}:
            raise InvalidSelection(f"{self.topic[:60]!r} is not a type of event")
        for bound in (self.since, self.until):
            if isinstance(bound, int) and not 1 <= bound <= _POSITION_MAX:
                raise InvalidSelection("positions begin at 1 and end before 2^63")
            if isinstance(bound, datetime) and bound < _EPOCH:
                raise InvalidSelection("there was no ledger before 1970")
        since, until = self.since, self.until
        if isinstance(since, int) and isinstance(until, int) and since > until:
            raise InvalidSelection(f"from position {since} to {until}: the range is reversed")
        if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
            raise InvalidSelection(f"from {since.isoformat()} to {until.isoformat()}: reversed")
