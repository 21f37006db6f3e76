"""Days of the books: what they posted, and what they brought in, across changes of zone."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger.book_days import BookDays, read_days
from ledger.ids import charge_id, entity_id
from ledger.streams.charge.events import Cost
from ledger.streams.setting import ChangeSetting, SettingChanged, setting_stream_id
from ledger.usage import Usage
from projections.books.journal import DayRange, Journal, RangeTooLarge, journal, newest_day
from projections.books.profit import By, Profit, ProfitReport, ReportTooLarge, profit
from projections.registry import PROJECTIONS
from tests.builders import LawfulLog
from tests.projections.books.asking import ask, legs, stored
from tests.projections.books.times import pass_time
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import CHANNEL, Log, adjusted, credit, reserved, settled

ZONE = setting_stream_id("book.time_zone")
BOOKS = [each for each in PROJECTIONS if each.name in ("journal_blocks", "profit_quarter_hours")]


def future(**later: float) -> datetime:
    """Some days ahead, at ten past midnight UTC, so that the log's clock can be set to it."""
    begin = datetime.now(UTC).replace(hour=0, minute=10, second=0, microsecond=0)
    return begin + timedelta(days=2) + timedelta(**later)


def over_days(books: Books, seed: int) -> None:
    """A log over a week, its events at odd times; its zone changes now and then."""
    log = LawfulLog(books.connection, seed=seed, accounts=3)
    chance = random.Random(seed)
    at = future()
    for number in range(60):
        pass_time(books, at)
        log.grow(25, batch_groups=10)
        if number % 9 == 8:
            zone = ("Asia/Kolkata", "America/New_York", "UTC", "Europe/Riga")[number // 9 % 4]
            log.carry_out({ZONE: ChangeSetting("book.time_zone", zone, "root")})
        at += timedelta(minutes=chance.randrange(1, 400), microseconds=chance.randrange(10**6))
    zones = [event for event in stored(books) if event.topic == "setting.SettingChanged.v1"]
    assert len(zones) > 3


def by_day(books: Books) -> dict[date, dict[str, list[int]]]:
    """Debits, credits and postings per day and ledger account, by hand."""
    days = ask(books, read_days)
    sums: dict[date, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for event in stored(books):
        day = days.day_of(event.recorded_at)
        for name, amount in legs(event):
            sums[day][name][0 if amount < 0 else 1] += abs(amount)
            sums[day][name][2] += 1
    return sums


def told(found: Journal) -> dict[date, dict[str, list[int]]]:
    return {
        day.day: {
            total.account: [total.debits_nanos, total.credits_nanos, total.postings]
            for total in day.totals
        }
        for day in found.days
        if day.totals
    }


def all_days(books: Books) -> DayRange:
    days = ask(books, read_days)
    events = stored(books)
    return DayRange(days.day_of(events[0].recorded_at), days.day_of(events[-1].recorded_at))


def test_every_day_posts_what_its_events_post(books: Books) -> None:
    over_days(books, seed=1)
    expected = by_day(books)
    assert len(expected) > 6
    whole = all_days(books)
    assert told(ask(books, lambda connection: journal(connection, whole))) == expected
    run_to_head(books.dsn, books.connection, BOOKS)
    found = ask(books, lambda connection: journal(connection, whole))
    assert told(found) == expected
    assert found.days[0].after == 0
    assert found.days[-1].until == found.head
    for one, following in zip(found.days, found.days[1:], strict=False):
        assert one.until == following.after
    assert all(sum(total.net_nanos for total in day.totals) == 0 for day in found.days)


def test_a_day_that_is_over_stays_what_it_was(books: Books) -> None:
    log = Log(books)
    begin = future()
    pass_time(books, begin)
    log.add(ZONE, SettingChanged(name="book.time_zone", value="Asia/Kolkata", actor="root"))
    for hour in range(0, 96, 5):
        pass_time(books, begin + timedelta(hours=hour, minutes=1))
        log.add(entity_id(), credit(hour + 1))
    day = (begin + timedelta(days=2)).date()
    before = ask(books, lambda connection: journal(connection, DayRange(day, day)))
    for hour, zone in ((97, "America/New_York"), (99, "Pacific/Kiritimati"), (160, "UTC")):
        pass_time(books, begin + timedelta(hours=hour))
        log.add(ZONE, SettingChanged(name="book.time_zone", value=zone, actor="root"))
        log.add(entity_id(), credit(1))
    run_to_head(books.dsn, books.connection, BOOKS)
    after = ask(books, lambda connection: journal(connection, DayRange(day, day)))
    assert after.days == before.days
    assert before.days[0].totals


def test_what_was_asked_may_be_empty_but_not_endless(books: Books) -> None:
    LawfulLog(books.connection, seed=2).grow(60)
    long_ago = DayRange(date(1970, 1, 1), date(1970, 1, 3))
    found = ask(books, lambda connection: journal(connection, long_ago))
    assert [(day.totals, day.after, day.until) for day in found.days] == [((), 0, 0)] * 3
    century = DayRange(date(1999, 1, 1), date(2099, 1, 1))
    with pytest.raises(RangeTooLarge, match="36526 days"):
        ask(books, lambda connection: journal(connection, century))
    _, newest = ask(books, newest_day)
    assert newest == stored(books)[-1].recorded_at.astimezone(UTC).date()


CLOSED = ("charge.UsageSettled.v1", "charge.RefundIssued.v1", "charge.ChargeAdjusted.v1")
CALLED = {"channel": "channel_id"}


def profits_by_hand(books: Books, days: BookDays, by: By) -> dict[tuple[date, str | None], Any]:
    """Calls, revenue and cost, from the JSON of the events."""
    sums: dict[tuple[date, str | None], list[int]] = defaultdict(lambda: [0, 0, 0])
    for event in stored(books):
        day, data = days.day_of(event.recorded_at), event.data
        if event.topic not in CLOSED:
            continue
        names = {"account": data["account_id"], "model": data["terms"]["model"]}
        for attempt in data.get("attempts", ()):
            if "cost" in attempt:
                sums[day, (attempt | names)[CALLED.get(by, by)]][2] += attempt["cost"][
                    "amount_nanos"
                ]
        if "reason" in data and "delta_nanos" not in data:
            continue  # a refund
        names |= {"channel": data.get("channel_id"), "upstream_model": data.get("upstream_model")}
        row = sums[day, names[by]]
        row[0] += "charged_nanos" in data
        row[1] += data.get("charged_nanos", 0) + data.get("delta_nanos", 0)
        row[2] += data.get("cost", {}).get("amount_nanos", 0)
    return dict(sums)


def lines_of(report: ProfitReport) -> Iterator[tuple[tuple[date | None, str | None], list[int]]]:
    for line in report.lines:
        sums = line.profit
        yield (line.day, line.name), [sums.calls, sums.revenue_nanos, sums.cost_nanos]


@pytest.mark.parametrize("by", ["channel", "model", "upstream_model", "account"])
def test_revenue_and_cost_add_up_by_day(books: Books, by: By) -> None:
    over_days(books, seed=3)
    run_to_head(books.dsn, books.connection, BOOKS)
    days, whole = ask(books, read_days), all_days(books)
    expected = profits_by_hand(books, days, by)
    assert len(expected) > 9
    report = ask(books, lambda connection: profit(connection, whole, by, daily=True))
    assert dict(lines_of(report)) == expected
    in_all = ask(books, lambda connection: profit(connection, whole, by, daily=False))
    assert in_all.total == report.total
    summed: Counter[str | None] = Counter()
    for (_, name), row in expected.items():
        summed[name] += row[1] - row[2]
    assert {line.name: line.profit.profit_nanos for line in in_all.lines} == dict(summed)
    assert in_all.position == len(stored(books))


def test_profit_is_what_the_ledger_accounts_say(books: Books) -> None:
    over_days(books, seed=4)
    run_to_head(books.dsn, books.connection, BOOKS)
    whole = all_days(books)
    posted: Counter[str] = Counter()
    for event in stored(books):
        for name, amount in legs(event):
            posted[name] += amount
    total = ask(books, lambda one: profit(one, whole, "channel", daily=False)).total
    assert total.revenue_nanos == posted["revenue"]
    assert total.cost_nanos == -posted["provider_cost"] > 0


def test_what_costs_nothing_known_is_counted_apart_and_corrections_count_where_they_say(
    books: Books,
) -> None:
    log = Log(books)
    log.add(entity_id(), credit(10_000))
    cost = Cost(book="cost", price_version=1, amount_nanos=7)
    one, other = charge_id(), charge_id()
    log.add(one, reserved(50), settled(50, Usage(input=10), 10, cost=cost))
    log.add(other, reserved(50), settled(50, Usage(input=20), 20, shortfall_nanos=3))
    log.add(other, adjusted(-5))  # as early releases wrote it
    log.add(one, adjusted(-4, adjustment_id=entity_id(), channel_id=CHANNEL, upstream_model="m"))
    run_to_head(books.dsn, books.connection, BOOKS)
    whole = all_days(books)
    report = ask(books, lambda connection: profit(connection, whole, "channel", daily=False))
    by_name = {line.name: line.profit for line in report.lines}
    assert by_name == {
        str(CHANNEL): Profit(2, 1, 1, 30, -4, 7, 3),
        None: Profit(0, 0, 1, 0, -5, 0, 0),
    }
    assert report.total.revenue_nanos == 21
    assert report.total.profit_nanos == 14


def test_a_report_of_more_rows_than_may_be_is_refused(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.books.profit.ROWS_MAX", 2)
    LawfulLog(books.connection, seed=5).grow(300)
    run_to_head(books.dsn, books.connection, BOOKS)
    whole = all_days(books)
    with pytest.raises(ReportTooLarge):
        ask(books, lambda connection: profit(connection, whole, "account", daily=False))


def test_before_anything_was_folded_there_is_no_profit(books: Books) -> None:
    LawfulLog(books.connection, seed=6).grow(100)
    whole = all_days(books)
    report = ask(books, lambda connection: profit(connection, whole, "model", daily=True))
    assert report == ProfitReport((), Profit(), 0)


def test_rows_are_of_quarters_of_an_hour(books: Books) -> None:
    over_days(books, seed=7)
    run_to_head(books.dsn, books.connection, BOOKS)
    rows = books.connection.execute(
        "select extract(epoch from quarter)::int8 % 900, calls "
        "from projections.profit_quarter_hours"
    ).fetchall()
    assert {rest for rest, _ in rows} == {0}
    settlements = sum(event.topic == "charge.UsageSettled.v1" for event in stored(books))
    assert sum(calls for _, calls in rows) == settlements
