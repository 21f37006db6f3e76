"""Usage by quarter of an hour: requests, tokens and money per account, key, model, channel and
group.

Quarters, because every time zone's hours and days begin at one: so they add up to those of any
zone. A call counts in the quarter it was closed in, an adjustment in the one it was made in. What a
try cost that nobody is charged for counts at the channel that was tried, without its tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection, sql

from ledger.store.reader import Recorded
from ledger.streams.charge.events import (
    ChargeAdjusted,
    RefundIssued,
    UsageSettled,
    paid_tries,
)
from ledger.usage import CLASSES, Usage, summed
from projections.contract import Key, Projection, Row, Table, beginning, members
from projections.reading import where_equal

NO_CHANNEL = UUID(int=0)
"""Stands for the channel of calls that reached none, and of adjustments by early releases."""


QUARTER_MINUTES = 15


class UsageRow(Row, frozen=True):
    """One quarter of one combination; counts by class as in `ledger.usage`.

    charged_nanos: by settlements; adjusted_nanos: by corrections, positive where the customer pays
    more. requests - costed_requests is of how many the provider's
    price is not known; cost_nanos is that of the others, of usage that came late, and of tries.
    """

    quarter: datetime
    account_id: UUID
    key_id: UUID
    model: str
    channel_id: UUID
    group_name: str
    requests: int = 0
    refunds: int = 0
    adjustments: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_in: int = 0
    image_in: int = 0
    output: int = 0
    reasoning: int = 0
    audio_out: int = 0
    image_out: int = 0
    calls: int = 0
    web_search: int = 0
    file_search: int = 0
    code_execution: int = 0
    charged_nanos: int = 0
    adjusted_nanos: int = 0
    shortfall_nanos: int = 0
    costed_requests: int = 0
    cost_nanos: int = 0


_KEY = ("quarter", "account_id", "key_id", "model", "channel_id", "group_name")


def touches(event: Recorded) -> tuple[Key, ...]:
    """The combination that the event belongs to, and those of tries that cost something."""
    told = event.event
    assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
    quarter = beginning(event.recorded_at, QUARTER_MINUTES)
    own = _place(quarter, told, _channel(told))
    if not (tries := paid_tries(told.attempts)):  # nearly always
        return (own,)
    tried = [_place(quarter, told, attempt.channel_id) for attempt, _ in tries]
    return tuple(dict.fromkeys([own, *tried]))


def _place(
    quarter: datetime, told: UsageSettled | RefundIssued | ChargeAdjusted, channel_id: UUID
) -> Key:
    terms = told.terms
    return (quarter, told.account_id, told.key_id, terms.model, channel_id, terms.group)


def _channel(told: UsageSettled | RefundIssued | ChargeAdjusted) -> UUID:
    match told:
        case UsageSettled(channel_id=channel_id):
            return channel_id
        case RefundIssued(attempts=attempts):
            return attempts[-1].channel_id if attempts else NO_CHANNEL
        case ChargeAdjusted(channel_id=answered, late=late):
            return answered or (late.channel_id if late else NO_CHANNEL)


def fold(key: Key, row: UsageRow | None, events: Sequence[Recorded]) -> UsageRow:
    """Adds what the events say to the sums."""
    row = row or UsageRow(*key)  # type: ignore[arg-type]  # as `touches` made it
    requests, refunds, adjustments = row.requests, row.refunds, row.adjustments
    charged, adjusted = row.charged_nanos, row.adjusted_nanos
    shortfall = row.shortfall_nanos
    costed, cost = row.costed_requests, row.cost_nanos
    used: list[Usage] = []
    own, tries_nanos = _parted(events, row.channel_id)
    for event in own:
        match event.event:
            case UsageSettled() as settled:
                requests += 1
                charged += settled.charged_nanos
                shortfall += settled.shortfall_nanos
                used.append(settled.usage)
                if settled.cost is not None:
                    costed += 1
                    cost += settled.cost.amount_nanos
            case RefundIssued():
                refunds += 1
            case ChargeAdjusted(delta_nanos=delta, usage=usage, reason=reason, late=late):
                adjustments += 1
                adjusted += delta
                if late is not None and late.cost is not None:
                    cost += late.cost.amount_nanos
                # Late usage was counted nowhere yet; other adjustments are about money alone.
                if usage is not None and reason == "late_usage":
                    used.append(usage)
            case _:
                pass
    return replace(
        row,
        requests=requests,
        refunds=refunds,
        adjustments=adjustments,
        charged_nanos=charged,
        adjusted_nanos=adjusted,
        shortfall_nanos=shortfall,
        costed_requests=costed,
        cost_nanos=cost + tries_nanos,
        **{kind: getattr(row, kind) + count for kind, count in summed(used).items()},
    )


def _parted(events: Sequence[Recorded], channel_id: UUID) -> tuple[list[Recorded], int]:
    """The events that belong to a channel, and what tries there cost, in nanodollars."""
    own: list[Recorded] = []
    tries_nanos = 0
    for event in events:
        told = event.event
        assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
        tries = paid_tries(told.attempts)
        if not tries or _channel(told) == channel_id:
            own.append(event)
        tries_nanos += sum(paid.amount_nanos for one, paid in tries if one.channel_id == channel_id)
    return own, tries_nanos


TABLE = Table(
    name="usage_quarter_hours",
    row=UsageRow,
    key=_KEY,
    events=(UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    fold=fold,
    indexes=(("account_id", "quarter"), ("key_id", "quarter")),
)
PROJECTION = Projection(
    name="usage_quarter_hours",
    version=3,
    tables=(TABLE,),
    rows_are_of="account",
    looks_at={
        UsageSettled: members(
            "account_id key_id terms channel_id charged_nanos shortfall_nanos usage cost attempts"
        ),
        RefundIssued: members("account_id key_id terms attempts"),
    },
    uses_places=members("recorded_at"),
)


By = Literal["account_id", "key_id", "model", "channel_id", "group_name"]

SUMS: tuple[str, ...] = (
    "requests",
    "refunds",
    "adjustments",
    *CLASSES,
    "charged_nanos",
    "adjusted_nanos",
    "shortfall_nanos",
    "costed_requests",
    "cost_nanos",
)
"""The columns that add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Whose usage: all that are given must hold."""

    account_id: UUID | None = None
    key_id: UUID | None = None
    model: str | None = None
    channel_id: UUID | None = None
    group_name: str | None = None


class UsageSum(NamedTuple):
    """The sums of one combination, by their names in SUMS, in one of the stretches of time."""

    stretch: int
    names: tuple[UUID | str, ...]
    sums: dict[str, int]


async def sum_usage(
    connection: AsyncConnection[Any],
    edges: Sequence[datetime],
    by: Sequence[By],
    wanted: UsageFilter,
    limit: int,
) -> list[UsageSum]:
    """Sums between each two neighbouring edges, which begin quarters, at most `limit` of them.

    In the order of time and of the names, which are those of `by`.
    """
    condition, values = where_equal(
        {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    )
    names = [sql.Identifier(name) for name in by]
    query = sql.SQL(
        "select {columns} from projections.usage_quarter_hours "
        "where quarter >= %s and quarter < %s {condition} "
        "group by {groups} order by {groups} limit %s"
    ).format(
        columns=sql.SQL(", ").join(
            [
                sql.SQL("width_bucket(quarter, %s::timestamptz[]) - 1"),
                *names,
                *(sql.SQL("sum({})::bigint").format(sql.Identifier(name)) for name in SUMS),
            ]
        ),
        condition=condition,
        groups=sql.SQL(", ").join(sql.Literal(number) for number in range(1, len(by) + 2)),
    )
    given = (list(edges[:-1]), edges[0], edges[-1], *values, limit)
    cursor = await connection.execute(query, given, binary=True)
    first = 1 + len(by)
    return [
        UsageSum(row[0], row[1:first], dict(zip(SUMS, row[first:], strict=True)))
        for row in await cursor.fetchall()
    ]
