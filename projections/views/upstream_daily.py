"""What each channel's provider served us, by day: what its own export is compared with.

The day is that of the closing event, in UTC, because providers bill by days in UTC. Rows are
apart by everything that decides what a token costs (the service, the version of the cost book,
how long the prompt was), so that an amount can be split by class exactly, afterwards.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.pricing import prompt_tokens
from ledger.store.reader import Recorded
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    Cost,
    RefundIssued,
    UsageSettled,
)
from ledger.usage import Usage, summed
from projections.contract import Key, Projection, Row, Table, beginning, members
from projections.reading import list_rows

NO_CHANNEL = UUID(int=0)
"""Stands for the channel of usage that came too late for its charge."""

DAY_MINUTES = 24 * 60

PROMPT_BANDS = (0, 32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)
"""Lengths at which providers begin to charge more: a row's prompts are longer than
`above_tokens` and at most as long as the next of these."""


class UpstreamRow(Row, frozen=True):
    """One day of one upstream model at one channel, under one cost price; tokens by class.

    cost_book and cost_version are empty and 0 for calls without a cost, and for tries that
    failed (`failed_attempts`): whose model is told only where the same channel answered in the
    end. A try of which we know what it used is a request: its provider bills it. cost_nanos is
    the sum of what the events say, each rounded for itself.
    """

    day: datetime
    channel_id: UUID
    upstream_model: str
    service: str
    cost_book: str
    cost_version: int
    above_tokens: int
    requests: int = 0
    estimated_requests: int = 0
    failed_attempts: int = 0
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
    cost_nanos: int = 0


_KEY = (
    "day",
    "channel_id",
    "upstream_model",
    "service",
    "cost_book",
    "cost_version",
    "above_tokens",
)


def touches(event: Recorded) -> tuple[Key, ...]:
    """The row of what was delivered, and those of tries that failed."""
    told = event.event
    assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
    day = beginning(event.recorded_at, DAY_MINUTES)
    own = _own(day, told)
    if isinstance(told, UsageSettled) and len(told.attempts) <= 1:  # nearly always
        assert own is not None
        return (own,)
    keys = dict.fromkeys([own] if own is not None else [])
    keys |= dict.fromkeys(_tried(day, told, each) for each in _tries(told))
    return tuple(keys)


def fold(key: Key, row: UpstreamRow | None, events: Sequence[Recorded]) -> UpstreamRow:
    """Adds what the events say to the sums."""
    row = row or UpstreamRow(*key)  # type: ignore[arg-type]  # as `touches` made it
    failed = estimated = cost_nanos = 0
    used: list[Usage] = []
    for event in events:
        told = event.event
        assert isinstance(told, UsageSettled | RefundIssued | ChargeAdjusted)
        is_alone = isinstance(told, UsageSettled) and len(told.attempts) <= 1
        if is_alone or _own(row.day, told) == key:
            assert not isinstance(told, RefundIssued)
            assert told.usage is not None
            used.append(told.usage)
            if isinstance(told, UsageSettled):
                estimated += told.basis == "estimated"
                cost_nanos += told.cost.amount_nanos if told.cost else 0
        if is_alone:
            continue
        for attempt in _tries(told):
            if _tried(row.day, told, attempt) != key:
                continue
            if attempt.usage is None:
                failed += 1
                continue
            used.append(attempt.usage)
            estimated += attempt.basis == "estimated"
            cost_nanos += attempt.cost.amount_nanos if attempt.cost else 0
    return replace(
        row,
        requests=row.requests + len(used),
        estimated_requests=row.estimated_requests + estimated,
        failed_attempts=row.failed_attempts + failed,
        cost_nanos=row.cost_nanos + cost_nanos,
        **{kind: getattr(row, kind) + count for kind, count in summed(used).items()},
    )


def _own(day: datetime, told: UsageSettled | RefundIssued | ChargeAdjusted) -> Key | None:
    """The row of what was delivered, or came late; None where that is nothing."""
    match told:
        case UsageSettled():
            return _delivered(day, told)
        case ChargeAdjusted(reason="late_usage", usage=Usage() as usage, terms=terms):
            return (day, NO_CHANNEL, terms.model, terms.service, "", 0, _band(usage))
        case _:
            return None


def _tries(told: UsageSettled | RefundIssued | ChargeAdjusted) -> Iterator[Attempt]:
    """The tries that did not answer, or whose answer is charged to nobody."""
    for attempt in told.attempts:
        if attempt.outcome != "answered" or attempt.usage is not None:
            yield attempt


def _tried(
    day: datetime, told: UsageSettled | RefundIssued | ChargeAdjusted, attempt: Attempt
) -> Key:
    """The row of a try: beside what was delivered where we know what it used, else apart."""
    if attempt.usage is None:
        settled = told if isinstance(told, UsageSettled) else None
        return _failed(day, attempt.channel_id, settled)
    service = told.terms.service if attempt.service is None else attempt.service
    place = (day, attempt.channel_id, attempt.upstream_model, service)
    return (*place, *_priced(attempt.cost), _band(attempt.usage))


def _delivered(day: datetime, settled: UsageSettled) -> Key:
    service = settled.terms.service if settled.service is None else settled.service
    place = (day, settled.channel_id, settled.upstream_model, service)
    return (*place, *_priced(settled.cost), _band(settled.usage))


def _priced(cost: Cost | None) -> tuple[str, int]:
    return ("", 0) if cost is None else (cost.book, cost.price_version)


def _failed(day: datetime, channel_id: UUID, settled: UsageSettled | None) -> Key:
    is_same = settled is not None and settled.channel_id == channel_id
    model = settled.upstream_model if settled is not None and is_same else ""
    return (day, channel_id, model, "", "", 0, 0)


def _band(usage: Usage) -> int:
    return PROMPT_BANDS[max(0, bisect_left(PROMPT_BANDS, prompt_tokens(usage)) - 1)]


TABLE = Table(
    name="upstream_daily",
    row=UpstreamRow,
    key=_KEY,
    events=(UsageSettled, RefundIssued, ChargeAdjusted),
    touches=touches,
    fold=fold,
)
PROJECTION = Projection(
    name="upstream_daily",
    version=3,
    tables=(TABLE,),
    looks_at={
        UsageSettled: members("terms usage service cost basis channel_id upstream_model attempts"),
        RefundIssued: members("terms attempts"),
    },
    uses_places=members("recorded_at"),
)


async def list_upstream_days(
    connection: AsyncConnection[Any], *, first: date, last: date
) -> list[UpstreamRow]:
    """All rows of the days first..last, both included, in the order of their keys."""
    return await list_rows(
        connection,
        TABLE,
        UpstreamRow,
        "where day >= (%s::date)::timestamp at time zone 'UTC' "
        "and day < (%s::date + 1)::timestamp at time zone 'UTC' "
        "order by day, channel_id, upstream_model, service, cost_book, cost_version, above_tokens",
        (first, last),
    )
