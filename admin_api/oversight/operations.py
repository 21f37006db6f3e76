"""Large credits, approvals within one hand, and the settings that say what either is.

From the log: the audit trail tells where its events are; each is judged by what stood before it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from admin_api.desk import Desk, served_position
from admin_api.fields.log_range import LogRange, read_range
from admin_api.oversight.approvals import CloseApproval, SharedApproval, read_approvals
from admin_api.oversight.facts import FOUND, read_facts
from admin_api.settings.operations import (
    ALONE_UP_TO_SETTING,
    ONE_OPERATOR_SETTING,
    SETTINGS,
    YES,
)
from ledger.money import parse_usd
from ledger.store.reader import Recorded, read_stream
from ledger.streams.credit import CreditGranted
from ledger.streams.setting import SettingChanged, setting_stream_id
from projections.views import audit_trail

_LARGE = (
    FOUND + " and (convert_from(state, 'UTF8')::json ->> 'amount_nanos')::bigint > %s "
    "order by position desc limit %s"
)


@dataclass(frozen=True, slots=True)
class LargeCredit:
    """A credit above what one operator could grant alone then, which was `alone_up_to_nanos`.

    proposal: the adjustment by which another operator has approved it; None: nobody else has.
    """

    fact: Recorded
    credit: CreditGranted
    alone_up_to_nanos: int


@dataclass(frozen=True, slots=True)
class Oversight:
    """What there is to look at, the newest first, as of `position`."""

    position: int
    one_operator: bool
    alone_up_to_nanos: int
    credits: tuple[LargeCredit, ...]
    approvals: tuple[CloseApproval, ...]
    shared: tuple[SharedApproval, ...]
    settings: tuple[Recorded, ...]


async def read_oversight(
    desk: Desk, *, since: str | None, until: str | None, limit: int, at_least: int = 0
) -> Oversight:
    """At most `limit` credits, and what is wrong with the last `limit` approvals, of a stretch.

    Raises InvalidInput, NotCaughtUp, QueryTooSlow.
    """
    async with desk.reading() as connection:
        position = await served_position(connection, audit_trail.PROJECTION.name, at_least)
        stretch = await read_range(connection, since, until, None)
        limits = await _read_setting(connection, ALONE_UP_TO_SETTING)
        hands = await _read_setting(connection, ONE_OPERATOR_SETTING)
        large: tuple[LargeCredit, ...] = ()
        close: tuple[CloseApproval, ...] = ()
        shared: tuple[SharedApproval, ...] = ()
        if position:
            large = await _large_credits(connection, stretch, limits, limit)
            close, shared = await read_approvals(connection, stretch, limit)
    return Oversight(
        position=position,
        one_operator=hands.at(position + 1) == YES,
        alone_up_to_nanos=parse_usd(limits.at(position + 1)),
        credits=large,
        approvals=close,
        shared=shared,
        settings=tuple(sorted((*limits.changes, *hands.changes), key=lambda one: -one.position)),
    )


@dataclass(frozen=True, slots=True)
class _History:
    """What a setting ever was."""

    default: str
    changes: Sequence[Recorded]

    def at(self, position: int) -> str:
        """What it was for an event at a position."""
        before = bisect_left([one.position for one in self.changes], position)
        if not before:
            return self.default
        event = self.changes[before - 1].event
        assert isinstance(event, SettingChanged)
        return event.value

    def values(self) -> list[str]:
        """Everything it ever was."""
        return [self.default, *(self.at(one.position + 1) for one in self.changes)]


async def _read_setting(connection: AsyncConnection[Any], name: str) -> _History:
    changes = await read_stream(connection, setting_stream_id(name))
    return _History(SETTINGS[name].default, changes)


async def _large_credits(
    connection: AsyncConnection[Any], stretch: LogRange, limits: _History, limit: int
) -> tuple[LargeCredit, ...]:
    least_nanos = min(map(parse_usd, limits.values()))
    given = (CreditGranted.TOPIC, stretch.after, stretch.before, least_nanos, limit)
    found = []
    for fact in await read_facts(connection, _LARGE, given):
        assert isinstance(fact.event, CreditGranted)
        alone_up_to_nanos = parse_usd(limits.at(fact.position))
        if fact.event.amount_nanos > alone_up_to_nanos:
            found.append(LargeCredit(fact, fact.event, alone_up_to_nanos))
    return tuple(found)
