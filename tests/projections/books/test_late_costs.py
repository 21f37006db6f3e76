"""Usage that comes late, and tries that nobody is charged for, bring their cost into the journal,
into the profit and into the usage.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from ledger.codec import decode
from ledger.ids import charge_id, entity_id
from ledger.pricing import price_lines
from ledger.streams.charge.events import Attempt, Cost, LateUsage
from ledger.streams.registry import STREAM_OF
from ledger.usage import Usage
from projections.books.journal import DayRange
from projections.books.profit import By, Profit, profit
from projections.books.trial_balance import totals_at
from projections.registry import PROJECTIONS
from projections.views.usage_quarter_hours import NO_CHANNEL, UsageFilter, sum_usage
from tests.projections.books.asking import ask, stored
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import (
    ACCOUNT,
    CHANNEL,
    PRICE,
    SPARE,
    Log,
    adjusted,
    credit,
    refunded,
    reserved,
    settled,
)


def test_the_cost_of_late_usage_is_its_channels(books: Books) -> None:
    log, lost = Log(books), charge_id()
    log.add(entity_id(), credit(10_000))
    log.add(lost, reserved(50), refunded(50))
    usage = Usage(input=10)
    cost = Cost(book="cost", price_version=1, amount_nanos=7)
    late = LateUsage(channel_id=CHANNEL, upstream_model="m-large", cost=cost)
    lines = price_lines(usage, PRICE)
    log.add(lost, adjusted(10, reason="late_usage", usage=usage, lines=lines, late=late))
    run_to_head(books.dsn, books.connection, PROJECTIONS)
    day = stored(books)[-1].recorded_at.date()
    whole = DayRange(day.replace(day=1), day)
    report = ask(books, lambda connection: profit(connection, whole, "channel", daily=False))
    (line,) = report.lines
    assert (line.name, line.profit) == (str(CHANNEL), Profit(0, 0, 1, 0, 10, 7, 0))
    assert report.total.profit_nanos == 3
    assert_posted(books, 7)


def test_a2_what_tries_cost_is_their_channels_and_lowers_the_profit(books: Books) -> None:
    log, answered, failed, lost = Log(books), charge_id(), charge_id(), charge_id()
    log.add(entity_id(), credit(10_000))

    def spent(nanos: int, channel_id: UUID = SPARE) -> Attempt:
        return Attempt(
            channel_id=channel_id,
            outcome="failed",
            usage=Usage(input=1),
            upstream_model="m-spare",
            cost=Cost(book="cost", price_version=1, amount_nanos=nanos),
        )

    usage, cost = Usage(input=10), Cost(book="cost", price_version=1, amount_nanos=7)
    last = Attempt(channel_id=CHANNEL, outcome="answered", status=200)
    silent = Attempt(channel_id=SPARE, outcome="timeout")
    tries = (spent(3), silent, spent(2, CHANNEL), last)
    log.add(answered, reserved(50), settled(50, usage, 10, cost=cost, attempts=tries))
    log.add(failed, reserved(50), refunded(50, spent(4), silent))
    late = adjusted(0, reason="late_usage", attempts=(spent(5), silent))
    log.add(lost, reserved(50), refunded(50), late)
    run_to_head(books.dsn, books.connection, PROJECTIONS)
    day = stored(books)[-1].recorded_at.date()
    whole = DayRange(day.replace(day=1), day)
    by: dict[By, list[tuple[str | None, int, int, int]]] = {
        "channel": [(None, 0, 0, 0), (str(CHANNEL), 1, 10, 9), (str(SPARE), 0, 0, 12)],
        "upstream_model": [(None, 0, 0, 0), ("m-large", 1, 10, 7), ("m-spare", 0, 0, 14)],
        "model": [("vendor/m", 1, 10, 21)],
        "account": [(str(ACCOUNT), 1, 10, 21)],
    }
    for name, expected in by.items():
        report = ask(books, partial(profit, days=whole, by=name, daily=False))
        lines = [
            (line.name, line.profit.calls, line.profit.charged_nanos, line.profit.cost_nanos)
            for line in report.lines
        ]
        assert sorted(lines, key=str) == sorted(expected, key=str)
        assert report.total.profit_nanos == 10 - 21
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    edges = (midnight - timedelta(days=1), midnight + timedelta(days=2))
    used = ask(
        books,
        lambda connection: sum_usage(connection, edges, ("channel_id",), UsageFilter(), 9),
    )
    told = {one.names[0]: (one.sums["requests"], one.sums["cost_nanos"]) for one in used}
    assert told == {NO_CHANNEL: (0, 0), CHANNEL: (1, 9), SPARE: (0, 12)}
    assert_posted(books, 21)


def assert_posted(books: Books, cost_nanos: int) -> None:
    """What providers take, by the postings of all events and in the trial balance."""
    posted: Counter[str] = Counter()
    for one in stored(books):
        event = decode(one.topic, one.state)
        for posting in STREAM_OF[type(event)].postings(event):
            posted[posting.account] += posting.amount_nanos
    assert (posted["provider_cost"], posted["clearing:providers"]) == (-cost_nanos, cost_nanos)
    assert posted.total() == 0
    head = len(stored(books))
    totals = ask(books, lambda connection: totals_at(connection, head))
    assert abs(totals["provider_cost"].net_nanos) == cost_nanos
    assert sum(total.net_nanos for total in totals.values()) == 0
