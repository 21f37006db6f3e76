"""Usage that comes late brings its revenue and its cost into the journal and into the profit."""

from collections import Counter

from ledger.codec import decode
from ledger.ids import charge_id, entity_id
from ledger.pricing import price_lines
from ledger.streams.charge.events import Cost, LateUsage
from ledger.streams.registry import STREAM_OF
from ledger.usage import Usage
from projections.books.journal import DayRange
from projections.books.profit import Profit, profit
from projections.books.trial_balance import totals_at
from projections.registry import PROJECTIONS
from tests.projections.books.asking import ask, stored
from tests.projections.conftest import Books
from tests.projections.driving import run_to_head
from tests.projections.hand_made import (
    CHANNEL,
    PRICE,
    Log,
    adjusted,
    credit,
    refunded,
    reserved,
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
    posted: Counter[str] = Counter()
    for one in stored(books):
        event = decode(one.topic, one.state)
        for posting in STREAM_OF[type(event)].postings(event):
            posted[posting.account] += posting.amount_nanos
    assert (posted["provider_cost"], posted["clearing:providers"]) == (-7, 7)
    assert posted.total() == 0
    head = len(stored(books))
    totals = ask(books, lambda connection: totals_at(connection, head))
    assert abs(totals["provider_cost"].net_nanos) == 7
    assert sum(total.net_nanos for total in totals.values()) == 0
