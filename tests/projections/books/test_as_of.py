"""From times to positions."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from ledger.book_days import TIME_ZONE_SETTING
from ledger.ids import entity_id
from ledger.streams.setting import SettingChanged, setting_stream_id
from projections.batches import LogBroken
from projections.books.as_of import AsOf, last_before, last_until, read_events, resolve_as_of
from tests.builders import LawfulLog
from tests.projections.books.asking import ask, stored
from tests.projections.books.times import pass_time
from tests.projections.conftest import Books
from tests.projections.hand_made import Log, credit

FAR = datetime(2100, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def test_every_time_gives_the_last_position_until_then(books: Books) -> None:
    """Batches share their times, so times come in runs."""
    LawfulLog(books.connection, seed=1).grow(700, batch_groups=15)
    events = stored(books)
    head = len(events)
    times = sorted({event.recorded_at for event in events})
    assert len(times) < head / 2
    asked = [at + shift for at in times for shift in (-MICROSECOND, 0 * MICROSECOND, MICROSECOND)]

    async def question(connection: AsyncConnection[Any]) -> None:
        for moment in asked:
            until = sum(event.recorded_at <= moment for event in events)
            before = sum(event.recorded_at < moment for event in events)
            assert await last_until(connection, moment, head) == until
            assert await last_before(connection, moment, head) == before
        for limit in (0, 1, 17, head):
            assert await last_until(connection, FAR, limit) == limit
            assert await last_before(connection, times[0], limit) == 0

    ask(books, question)


def test_a_time_is_searched_in_few_looks(books: Books) -> None:
    LawfulLog(books.connection, seed=2).grow(5_000)

    async def question(connection: AsyncConnection[Any]) -> int:
        counting = _Counting(connection)
        middle = await last_until(connection, FAR, 5_000) // 2
        events = stored(books)
        await last_until(counting, events[middle].recorded_at, len(events))  # type: ignore[arg-type]
        return counting.queries

    assert ask(books, question) <= 5


class _Counting:
    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self.queries = 0

    async def execute(self, *given: Any) -> Any:  # noqa: ANN401 - as the connection's
        self.queries += 1
        return await self._connection.execute(*given)


def test_a_time_and_its_position_are_the_same_question(books: Books) -> None:
    LawfulLog(books.connection, seed=3).grow(300, batch_groups=20)
    events = stored(books)

    async def question(connection: AsyncConnection[Any]) -> None:
        for event in random.Random(3).sample(events[:250], 20):
            by_time = await resolve_as_of(connection, event.recorded_at)
            by_position = await resolve_as_of(connection, by_time.position)
            assert by_time == by_position
            assert by_time.recorded_at == event.recorded_at
            assert by_time.position >= event.position
            assert not by_time.beyond_head

    ask(books, question)


def test_beyond_the_head_is_the_head_and_says_so(books: Books) -> None:
    LawfulLog(books.connection, seed=4).grow(50)
    head = len(stored(books))

    async def question(connection: AsyncConnection[Any]) -> list[AsOf]:
        asked = (None, head, head + 1, FAR)
        return [await resolve_as_of(connection, when) for when in asked]

    found = ask(books, question)
    assert [(each.position, each.beyond_head) for each in found] == [
        (head, False),
        (head, False),
        (head, True),
        (head, True),
    ]
    assert {each.head for each in found} == {head}


def test_the_time_of_the_head_is_not_over(books: Books) -> None:
    """Another event may yet be recorded in the same microsecond."""
    log = Log(books)
    moment = datetime.now(UTC) + timedelta(days=1)
    pass_time(books, moment)
    first = log.add(entity_id(), credit(1))
    asked = ask(books, lambda connection: resolve_as_of(connection, moment))
    assert (asked.position, asked.beyond_head) == (first, True)
    second = log.add(entity_id(), credit(1))
    assert log.recorded_at(second) == log.recorded_at(first) == moment
    again = ask(books, lambda connection: resolve_as_of(connection, moment))
    assert (again.position, again.beyond_head) == (second, True)
    pass_time(books, moment + MICROSECOND)
    log.add(entity_id(), credit(1))
    final = ask(books, lambda connection: resolve_as_of(connection, moment))
    assert (final.position, final.beyond_head) == (second, False)


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("UTC", date(2090, 11, 30), datetime(2090, 12, 1, tzinfo=UTC)),
        ("Asia/Kathmandu", date(2090, 11, 30), datetime(2090, 11, 30, 18, 15, tzinfo=UTC)),
        ("Europe/Berlin", date(2036, 3, 29), datetime(2036, 3, 29, 23, tzinfo=UTC)),
        ("Europe/Berlin", date(2036, 3, 30), datetime(2036, 3, 30, 22, tzinfo=UTC)),
        ("Europe/Berlin", date(2036, 10, 25), datetime(2036, 10, 25, 22, tzinfo=UTC)),
        ("Europe/Berlin", date(2036, 10, 26), datetime(2036, 10, 26, 23, tzinfo=UTC)),
    ],
)
def test_d14_a_day_means_its_end_where_the_books_are_kept(
    books: Books, zone: str, day: date, end: datetime
) -> None:
    """The last Sundays of March and October have 23 and 25 hours in Berlin."""
    log = Log(books)
    changed = SettingChanged(name=TIME_ZONE_SETTING, value=zone, actor="test")
    log.add(setting_stream_id(TIME_ZONE_SETTING), changed)
    pass_time(books, end - MICROSECOND)
    last = log.add(entity_id(), credit(1))
    early = ask(books, lambda connection: resolve_as_of(connection, day))
    assert (early.position, early.beyond_head) == (last, True)
    pass_time(books, end)
    head = log.add(entity_id(), credit(1))
    then = ask(books, lambda connection: resolve_as_of(connection, day))
    assert (then.position, then.head, then.beyond_head) == (last, head, False)
    assert (then.day, then.time_zone, then.moment) == (day, zone, end - MICROSECOND)


def test_before_the_first_event_there_is_nothing(books: Books) -> None:
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    empty = ask(books, lambda connection: resolve_as_of(connection, None))
    assert (empty.position, empty.recorded_at, empty.head) == (0, None, 0)
    LawfulLog(books.connection, seed=5).grow(30)
    found = ask(books, lambda connection: resolve_as_of(connection, long_ago))
    assert (found.position, found.recorded_at, found.beyond_head) == (0, None, False)


def test_events_are_read_in_parts_without_gaps(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.books.as_of._ROWS_PER_FETCH", 7)
    LawfulLog(books.connection, seed=6).grow(100)

    async def positions(connection: AsyncConnection[Any], limit: int | None) -> list[int]:
        found = read_events(connection, "true", {}, after=10, until=90, limit=limit)
        return [one.position async for one in found]

    async def question(connection: AsyncConnection[Any]) -> None:
        for limit in (None, 0, 1, 7, 8, 21, 500):
            assert await positions(connection, limit) == list(range(11, 91))[:limit]

    ask(books, question)


def test_a_log_with_a_gap_is_not_searched(books: Books) -> None:
    LawfulLog(books.connection, seed=7).grow(200)
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("alter table ledger.event disable trigger append_only")
        owner.execute("delete from ledger.event where position between 20 and 180")
    with pytest.raises(LogBroken):
        ask(books, lambda connection: last_until(connection, FAR, 200))
