"""Credits that one gave alone: each above what was allowed, and several that come to more."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from admin_api.fields.log_range import LogRange
from admin_api.oversight.facts import FOUND, read_facts
from admin_api.oversight.past_settings import PastSetting
from ledger.book_days import BookDays, read_days
from ledger.money import parse_usd
from ledger.store.reader import Recorded
from ledger.streams.credit import CreditGranted

_LARGE = (
    FOUND + " and (convert_from(state, 'UTF8')::json ->> 'amount_nanos')::bigint > %s "
    "order by position desc limit %s"
)

_ALONE = """
    select recorded_at, position, account_id, convert_from(state, 'UTF8')::json as told
    from ledger.event where position in (
        select position from projections.audit_trail
        where topic = %s and position > %s and position < %s)
"""
_ENDS = f"select min(recorded_at), max(recorded_at) from ({_ALONE}) as found"  # noqa: S608
# Each day by its number among those that are given by where they begin.
_SUMS = f"""
    select account_id, told ->> 'actor', width_bucket(recorded_at, %s::timestamptz[]) as day,
        sum((told ->> 'amount_nanos')::bigint)::text, count(*), min(position), max(position)
    from ({_ALONE}) as found where told ->> 'proposal' is null
    group by 1, 2, 3 having count(*) > 1 and sum((told ->> 'amount_nanos')::bigint) > %s
    order by 7 desc limit %s
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class LargeCredit:
    """A credit above what one operator could grant alone then, which was `alone_up_to_nanos`.

    proposal: the adjustment by which another operator has approved it; None: nobody else has.
    """

    fact: Recorded
    credit: CreditGranted
    alone_up_to_nanos: int


@dataclass(frozen=True, slots=True)
class RepeatedCredits:
    """What one actor gave one account alone on a day of the books, in several credits: more than
    one could grant alone then, which was `alone_up_to_nanos`.
    """

    account_id: UUID
    actor: str
    day: date
    amount_nanos: int
    count: int
    first_position: int
    last_position: int
    alone_up_to_nanos: int


async def read_large_credits(
    connection: AsyncConnection[Any], stretch: LogRange, limits: PastSetting, limit: int
) -> tuple[LargeCredit, ...]:
    """The newest of a stretch of the log, at most `limit`."""
    least_nanos = min(map(parse_usd, limits.values()))
    given = (CreditGranted.TOPIC, stretch.after, stretch.before, least_nanos, limit)
    found = []
    for fact in await read_facts(connection, _LARGE, given):
        assert isinstance(fact.event, CreditGranted)
        alone_up_to_nanos = parse_usd(limits.at(fact.position))
        if fact.event.amount_nanos > alone_up_to_nanos:
            found.append(LargeCredit(fact, fact.event, alone_up_to_nanos))
    return tuple(found)


async def read_repeated_credits(
    connection: AsyncConnection[Any], stretch: LogRange, limits: PastSetting, limit: int
) -> tuple[RepeatedCredits, ...]:
    """Those of a stretch of the log, the newest first, at most `limit`."""
    found = (CreditGranted.TOPIC, stretch.after, stretch.before)
    first, last = await _row(connection, _ENDS, found)
    if first is None:
        return ()
    days = _days_between(await read_days(connection), first, last)
    least_nanos = min(map(parse_usd, limits.values()))
    given = ([begins for _, begins in days], *found, least_nanos, limit)
    cursor = await connection.execute(_SUMS.encode(), given)
    repeated = []
    for account_id, actor, day, nanos, count, begun, ended in await cursor.fetchall():
        allowed = max(parse_usd(limits.at(position)) for position in (begun, ended))
        if int(nanos) > allowed:
            one = (account_id, actor, days[day - 1][0], int(nanos), count, begun, ended, allowed)
            repeated.append(RepeatedCredits(*one))
    return tuple(repeated)


def _days_between(days: BookDays, first: datetime, last: datetime) -> list[tuple[date, datetime]]:
    """Each day from that of the first moment to that of the last, with where it begins."""
    day, until = days.day_of(first), days.day_of(last)
    found = []
    while day <= until:
        found.append((day, days.start(day)))
        day += timedelta(days=1)
    return found


async def _row(
    connection: AsyncConnection[Any], query: str, given: tuple[object, ...]
) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode(), given)).fetchone()
    assert row is not None
    return tuple(row)
