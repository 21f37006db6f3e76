"""What-if over whole logs: against sums made another way, bounded, repeatable."""

import asyncio
import tracemalloc
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from psycopg import AsyncConnection

from ledger.alternative import Alternative, Question
from ledger.codec import decode
from ledger.pricing import Multiplier, Price
from ledger.reprice import WhatIf
from ledger.store.append import NewEvent
from ledger.streams import price
from ledger.streams.charge.events import ChargeAdjusted, UsageSettled
from ledger.usage import Usage
from projections.books.reprice import what_if
from tests.builders import PRICES, LawfulLog, append_events
from tests.projections.conftest import Books

OTHER = {
    "small": Price(rates={"input": 100_000_000, "output": 900_000_001}),
    "painter": Price(rates={"calls": 40_000_001}),
}
"""A book that does not know the third model."""


def ask(dsn: str, question: Question) -> WhatIf:
    async def run() -> WhatIf:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await what_if(connection, question)

    return asyncio.run(run())


def head(books: Books) -> int:
    row = books.connection.execute("select position from ledger.head").fetchone()
    assert row is not None
    position: int = row[0]
    return position


def grown(books: Books, seed: int, events: int = 1_500) -> LawfulLog:
    log = LawfulLog(books.connection, seed=seed)
    log.grow(events)
    for model, each in OTHER.items():
        set_price(books, model, each)
    return log


def set_price(books: Books, model: str, each: Price, version: int = 1, from_us: int = 0) -> None:
    event = price.PriceSet(model=model, price=each, effective_from_us=from_us, actor="a", book="b")
    append_events(books.connection, NewEvent(price.price_stream_id(model, "b"), version, event))


def question(books: Books, alternative: Alternative, **changes: Any) -> Question:  # noqa: ANN401
    position = head(books)
    whole = Question(alternative=alternative, first=1, last=position, as_of=position)
    return replace(whole, **changes)


def raw_cost(usage: Usage, rates: dict[str, int], multiplier: Multiplier) -> int:
    """By hand: the price of every class in fractions, half up."""
    parent = {"cache_read": "input", "reasoning": "output"}
    exact = Fraction(0)
    for kind, count in usage.classes():
        rate = rates.get(kind, rates.get(parent.get(kind, ""), 0))
        exact += Fraction(count * rate, 1 if kind == "calls" else 1_000_000)
    exact *= Fraction(multiplier.numerator, multiplier.denominator)
    return floor(exact + Fraction(1, 2))


def expected(books: Books) -> tuple[Counter[str], Counter[UUID]]:
    """The differences by model and account, from the raw log, with code of its own."""
    rows = books.connection.execute(
        "select originator_id, topic, state from ledger.event where topic like 'charge.%%' "
        "order by position"
    ).fetchall()
    settled: dict[UUID, UsageSettled] = {}
    later: defaultdict[UUID, list[ChargeAdjusted]] = defaultdict(list)
    for stream_id, topic, state in rows:
        event = decode(topic, bytes(state))
        if isinstance(event, UsageSettled):
            settled[stream_id] = event
        elif isinstance(event, ChargeAdjusted):
            later[stream_id].append(event)
    models: Counter[str] = Counter()
    accounts: Counter[UUID] = Counter()
    for stream_id, event in settled.items():
        model = event.terms.model
        if model not in OTHER:
            continue
        deltas = Counter[str]()
        for adjusted in later[stream_id]:
            deltas[adjusted.reason] += adjusted.delta_nanos
        billed = event.charged_nanos + deltas["reprice"] + deltas["late_usage"]
        paid = event.charged_nanos + deltas.total()
        delta = raw_cost(event.usage, OTHER[model].rates, event.terms.multiplier) - billed
        gave_back = any(each.reason in ("refund", "dispute") for each in later[stream_id])
        if delta > 0 and (gave_back or event.shortfall_nanos):
            delta = 0
        delta = max(delta, -paid)
        models[model] += delta
        accounts[event.account_id] += delta
    return models, accounts


def test_a_whole_log_agrees_with_sums_made_another_way(books: Books) -> None:
    grown(books, 5, 3_000)
    found = ask(books.dsn, question(books, Alternative(book="b")))
    models, accounts = expected(books)
    assert {name: sums.delta_nanos for name, sums in found.by_model.items()} == models
    assert {each: sums.delta_nanos for each, sums in found.by_account.items()} == accounts
    assert found.total.delta_nanos == models.total() != 0
    unpriced = {model: (cause, each.calls) for (model, _, cause), each in found.unpriced.items()}
    assert set(unpriced) == set(PRICES) - set(OTHER)
    calls = books.connection.execute(
        "select count(*) from ledger.event where topic = 'charge.UsageSettled.v1'"
    ).fetchone()
    assert calls == (found.total.calls + sum(each for _, each in unpriced.values()),)


def test_splitting_the_period_or_the_accounts_never_changes_totals(books: Books) -> None:
    log = grown(books, 6)
    alternative = Alternative(book="b", multipliers={"partner": Multiplier(1, 7)})
    whole = ask(books.dsn, question(books, alternative))
    end = whole.question.last
    for cuts in ([end // 2], [1, 2, 3], [end // 5, end // 3, end - 1]):
        edges = [0, *cuts, end]
        parts = [
            ask(books.dsn, question(books, alternative, first=low + 1, last=high))
            for low, high in pairwise(edges)
        ]
        for name in ("calls", "paid_nanos", "raised_nanos", "lowered_nanos", "raised_calls"):
            assert sum(getattr(part.total, name) for part in parts) == getattr(whole.total, name)
        charges = [part.correction("both").charges for part in parts]
        assert sum(charges) == whole.correction("both").charges
    by_account = [
        ask(books.dsn, question(books, alternative, accounts=(each,))) for each in log.accounts
    ]
    assert sum(each.total.delta_nanos for each in by_account) == whole.total.delta_nanos
    by_model = [ask(books.dsn, question(books, alternative, models=(each,))) for each in PRICES]
    assert sum(each.total.paid_nanos for each in by_model) == whole.total.paid_nanos


def test_an_answer_as_of_a_position_never_changes(books: Books) -> None:
    log = grown(books, 7)
    asked = question(books, Alternative(book="b"))
    before = ask(books.dsn, asked)
    log.grow(500)
    set_price(books, "small", Price(rates={"input": 1, "output": 1}), version=2)
    after = ask(books.dsn, asked)
    assert after.correction("both") == before.correction("both")
    assert (after.total, after.by_model) == (before.total, before.by_model)
    now = ask(books.dsn, question(books, Alternative(book="b"), last=asked.last))
    assert now.correction("both").digest != before.correction("both").digest


def test_a_book_is_read_as_of_each_call_or_as_of_one_moment(books: Books) -> None:
    grown(books, 8, 400)
    dear = Price(rates={"input": 7_000_000_000, "output": 7_000_000_000})
    # Long after every admission of these logs, which lie shortly behind this moment.
    set_price(books, "small", dear, version=2, from_us=1_800_000_000_000_000)
    of_calls = ask(books.dsn, question(books, Alternative(book="b"), models=("small",)))
    early = Alternative(book="b", moment_us=1_700_000_000_000_000)
    late = Alternative(book="b", moment_us=1_900_000_000_000_000)
    assert ask(books.dsn, question(books, early, models=("small",))).total == of_calls.total
    later = ask(books.dsn, question(books, late, models=("small",))).total
    assert later.raised_nanos > of_calls.total.raised_nanos


def test_what_nothing_touches_stays_what_it_was(books: Books) -> None:
    grown(books, 9)
    found = ask(books.dsn, question(books, Alternative(multipliers={"nobody": Multiplier(9, 1)})))
    assert found.total.delta_nanos == 0
    assert found.unpriced == {}
    charged = books.connection.execute(
        "select sum((convert_from(state, 'UTF8')::jsonb ->> 'charged_nanos')::numeric) "
        "from ledger.event where topic = %s",
        (UsageSettled.TOPIC,),
    ).fetchone()
    adjusted = books.connection.execute(
        "select sum((convert_from(a.state, 'UTF8')::jsonb ->> 'delta_nanos')::numeric) "
        "from ledger.event a join ledger.event s using (originator_id) "
        "where a.topic = %s and s.topic = %s",
        (ChargeAdjusted.TOPIC, UsageSettled.TOPIC),
    ).fetchone()
    assert charged is not None
    assert adjusted is not None
    assert found.total.paid_nanos == charged[0] + (adjusted[0] or 0)


def test_memory_does_not_grow_with_the_calls(books: Books) -> None:
    log = grown(books, 10, 1_000)

    def peak() -> int:
        asked = question(books, Alternative(book="b"))
        tracemalloc.start()
        ask(books.dsn, asked)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak()
    log.grow(12_000)
    small = peak()
    log.grow(24_000)
    assert peak() < 1.3 * small
