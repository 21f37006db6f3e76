"""A2: what a provider is paid without a charge is in the books, wherever a call may go wrong.

A try that failed and told what it used, an answer that never came to a settlement: its channel is
paid. The customer is charged for the answer alone, and the profit is the charge less all costs.
"""

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from gateway.call.charges import open_charge
from gateway.call.failover import Failover
from ledger.pricing import Price
from ledger.streams import price
from ledger.streams.charge import rules
from ledger.streams.charge.events import Attempt, ChargeAdjusted, Cost, RefundIssued
from ledger.usage import Usage
from projections.books.journal import DayRange
from projections.books.profit import Profit, profit
from projections.books.trial_balance import totals_at
from projections.fsck import check_everything
from projections.registry import PROJECTIONS
from tests.bookkeeping import ACTOR, Payer
from tests.calling import Answer
from tests.fake_provider import (
    HANG,
    RESET,
    USAGE,
    Script,
    chunk,
    error,
    event_chunk,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import IN_NANOS, OUT_NANOS, Stage
from tests.faults.outages import ledger_held_up
from tests.faults.test_refused_closings import refusing
from tests.projections.books.asking import ask
from tests.projections.conftest import Books as Folded
from tests.projections.driving import run_to_head
from tests.running import until

MEASURED = 11 * IN_NANOS + 7 * OUT_NANOS
USED = Usage(input=11, output=7, calls=1)
FIRST, SECOND = 11 * 500 + 7 * 1_000, 11 * 600 + 7 * 1_200
"""What the two channels take for `USAGE`, in nanodollars."""

SPENT = error() | {"usage": USAGE}
ROLE = event_chunk(chunk({"role": "assistant", "content": ""}))
USAGE_CHUNK = event_chunk(b'data: {"choices":[],"usage":%s}\n\n' % json.dumps(USAGE).encode())
ERROR_CHUNK = event_chunk(b'data: {"error":{"message":"no"}}\n\n')
END = b"0\r\n\r\n"

FAILED_WHOLE: dict[str, tuple[Script, str, int]] = {
    "a failure with its usage": (whole(SPENT, status=500), "failed", 500),
    "limited, with its usage": (whole(SPENT, status=429), "failed", 429),
    "an error in a 200": (whole(SPENT), "failed", 0),
}
FAILED_STREAMS: dict[str, tuple[Script, str, int]] = {
    "a failure with its usage": (whole(SPENT, status=503), "failed", 503),
    "usage, then the end": ((opened(), ROLE, USAGE_CHUNK, END), "failed", 0),
    "usage, then cut off": ((opened(), ROLE, USAGE_CHUNK, 0.05, RESET), "failed", 0),
    "usage, then nothing": ((opened(), ROLE, USAGE_CHUNK, HANG), "timeout", 0),
    "usage, then an error": ((opened(), ROLE, USAGE_CHUNK, ERROR_CHUNK, END), "failed", 0),
}
CASES = [
    *(pytest.param(False, *row, id=f"whole: {name}") for name, row in FAILED_WHOLE.items()),
    *(pytest.param(True, *row, id=f"stream: {name}") for name, row in FAILED_STREAMS.items()),
]
_numbers = itertools.count()


class Pair:
    """A model of its own behind two channels, one asked before the other, with a cost each."""

    def __init__(self, stage: Stage, *, first_type: str = "openai") -> None:
        self.stage, self.books = stage, stage.books
        self.model = f"paid-{next(_numbers)}"
        self.prefixes = [f"{letter}{self.model}" for letter in "ab"]
        self.channels = [
            self.books.channel(
                [self.model],
                type_=type_,
                base_url=stage.provider.base_url(prefix),
                keys=["sk-p"],
                priority=-number,
            )
            for number, (prefix, type_) in enumerate(
                zip(self.prefixes, (first_type, "openai"), strict=True)
            )
        ]
        self.books.price(self.model, input=1, output=2)
        for channel_id, rate in zip(self.channels, (500, 600), strict=True):
            rates = {"input": rate * 10**6, "output": 2 * rate * 10**6}
            book = price.cost_book(channel_id)
            self.books.command(
                price.STREAM,
                price.price_stream_id(self.model, book),
                price.SetPrice(self.model, Price(rates=rates), 0, ACTOR, book=book),
                seen=True,
            )

    def asked(self, first: Script, second: Script, *, is_stream: bool, **more: Any) -> Answer:  # noqa: ANN401
        for prefix, script in zip(self.prefixes, (first, second), strict=True):
            self.stage.provider.scripts[f"{prefix}/row"] = script
            self.stage.provider.scripts[f"{prefix}/fine"] = script
        payer: Payer = more.pop("payer", self.stage.payer)
        client = self.stage.gateway.client(payer.key)
        return client.chat(self.model, stream=is_stream, metadata={"script": "row"}, **more)

    def await_asked(self, number: int) -> None:
        """Until the provider of a channel has the call."""
        calls_of = self.stage.provider.calls_of
        until(lambda: calls_of(self.prefixes[number]), 10, "the provider was asked")

    def cost(self, number: int) -> Cost:
        book = price.cost_book(self.channels[number])
        return Cost(book=book, price_version=1, amount_nanos=(FIRST, SECOND)[number])

    def paid(self, number: int, outcome: str, status: int = 0) -> dict[str, object]:
        """What an attempt says whose channel is paid and nobody charged."""
        return {
            **self.plain(number, outcome, status),
            "usage": USED,
            "basis": "measured",
            "upstream_model": self.model,
            "service": None,
            "cost": self.cost(number),
            "anomaly": "",
        }

    def plain(self, number: int, outcome: str, status: int = 0) -> dict[str, object]:
        return {
            "channel_id": self.channels[number],
            "outcome": outcome,
            "status": status,
            "usage": None,
            "cost": None,
        }

    def check_profit(self, charged_nanos: int, *costs: int) -> None:
        """By channel and by model, and against the trial balance and a replay of everything."""
        with psycopg.connect(self.stage.gateway.app_dsn, autocommit=True) as connection:
            connection.execute("set time zone 'UTC'")
            run_to_head(self.stage.gateway.app_dsn, connection)
            row = connection.execute(
                "select position, recorded_at::date from ledger.head"
            ).fetchone()
            folded = Folded(self.stage.owner_dsn, self.stage.gateway.app_dsn, connection)
            assert row is not None
            position, today = row
            days = DayRange(today, today)
            of_channels = ask(folded, lambda one: profit(one, days, "channel", daily=False))
            of_models = ask(folded, lambda one: profit(one, days, "model", daily=False))
            totals = ask(folded, lambda one: totals_at(one, position))
        by_channel = {line.name: line.profit for line in of_channels.lines}
        by_model = {line.name: line.profit for line in of_models.lines}
        nothing = Profit()
        told = tuple(by_channel.get(str(each), nothing).cost_nanos for each in self.channels)
        assert told == costs
        sums = by_model[self.model]
        assert (sums.revenue_nanos, sums.cost_nanos) == (charged_nanos, sum(costs))
        assert sums.profit_nanos == charged_nanos - sum(costs)
        assert of_channels.total.cost_nanos == abs(totals["provider_cost"].net_nanos)
        assert sum(total.net_nanos for total in totals.values()) == 0
        assert list(check_everything(self.stage.gateway.app_dsn, PROJECTIONS)) == []


@pytest.fixture
def pair(stage: Stage) -> Pair:
    return Pair(stage)


def told(attempts: tuple[Attempt, ...], *expected: dict[str, object]) -> Iterator[dict[str, Any]]:
    """What attempts say of the members that are expected."""
    for attempt, each in zip(attempts, expected, strict=True):
        yield {name: getattr(attempt, name) for name in each}


def check(attempts: tuple[Attempt, ...], *expected: dict[str, object]) -> None:
    assert list(told(attempts, *expected)) == list(expected)


@pytest.mark.parametrize(("is_stream", "script", "outcome", "status"), CASES)
def test_a2_a_try_that_failed_and_told_its_usage_is_paid_and_not_charged(
    pair: Pair, is_stream: bool, script: Script, outcome: str, status: int
) -> None:
    answer = pair.asked(script, stream() if is_stream else whole(), is_stream=is_stream)
    assert answer.status == 200
    settled = pair.books.story(answer.request_id).settled
    assert (settled.channel_id, settled.charged_nanos) == (pair.channels[1], MEASURED)
    assert settled.cost == pair.cost(1)
    check(settled.attempts, pair.paid(0, outcome, status), pair.plain(1, "answered", 200))
    pair.check_profit(MEASURED, FIRST, SECOND)


def test_a2_where_all_fail_the_customer_pays_nothing_and_we_pay_all(pair: Pair) -> None:
    before = pair.books.balance(pair.stage.payer.account_id).used_nanos
    cut_off = FAILED_STREAMS["usage, then cut off"][0]
    answer = pair.asked(whole(SPENT, status=500), cut_off, is_stream=True)
    assert answer.status == 502
    refunded = pair.books.story(answer.request_id).refunded
    check(refunded.attempts, pair.paid(0, "failed", 500), pair.paid(1, "failed"))
    assert pair.books.balance(pair.stage.payer.account_id).used_nanos == before
    pair.check_profit(0, FIRST, SECOND)


def test_a2_only_the_last_that_says_what_its_failure_used_is_charged(pair: Pair) -> None:
    answer = pair.asked(whole(SPENT), whole(SPENT), is_stream=False)
    assert answer.status == 502
    settled = pair.books.story(answer.request_id).settled
    assert (settled.ending, settled.charged_nanos) == ("provider_error", MEASURED)
    check(settled.attempts, pair.paid(0, "failed"), pair.plain(1, "failed", 200))
    pair.check_profit(MEASURED, FIRST, SECOND)


def test_a2_a_provider_of_another_format_is_paid_for_what_it_told(stage: Stage) -> None:
    pair = Pair(stage, first_type="anthropic")
    message = {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 11}}
    events = (
        {"type": "message_start", "message": message},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}},
    )
    frames = [event_chunk(b"data: %s\n\n" % json.dumps(each).encode()) for each in events]
    answer = pair.asked((opened(), *frames, 0.05, RESET), stream(), is_stream=True)
    assert answer.status == 200
    settled = pair.books.story(answer.request_id).settled
    check(settled.attempts, pair.paid(0, "failed"), pair.plain(1, "answered", 200))
    pair.check_profit(MEASURED, FIRST, SECOND)


@pytest.mark.parametrize("usage", [None, dict.fromkeys(USAGE, 0)])
def test_a2_a_try_that_tells_nothing_costs_nothing_that_is_known(pair: Pair, usage: Any) -> None:  # noqa: ANN401
    answer = pair.asked(whole(error() | {"usage": usage}, status=500), whole(), is_stream=False)
    settled = pair.books.story(answer.request_id).settled
    check(settled.attempts, pair.plain(0, "failed", 500), pair.plain(1, "answered", 200))
    pair.check_profit(MEASURED, 0, SECOND)


def test_a2_usage_without_a_cost_price_is_told_without_a_cost(stage: Stage) -> None:
    model, prefixes = f"unpriced-{next(_numbers)}", ("unpriced-a", "unpriced-b")
    for number, prefix in enumerate(prefixes):
        base_url = stage.provider.base_url(prefix)
        stage.books.channel(
            [model], type_="openai", base_url=base_url, keys=["sk"], priority=-number
        )
    stage.books.price(model, input=1, output=2)
    stage.provider.scripts["unpriced-a/row"] = whole(SPENT | {"service_tier": "flex"}, status=500)
    stage.provider.scripts["unpriced-b/row"] = whole()
    answer = stage.client.chat(model, metadata={"script": "row"})
    first = stage.books.story(answer.request_id).settled.attempts[0]
    assert (first.usage, first.cost, first.upstream_model, first.service) == (
        USED,
        None,
        model,
        None,
    )


# ---------------------------------------------------------------------- failures of ours


def test_a21_a_settlement_that_is_never_stored_leaves_what_its_provider_is_paid(
    pair: Pair,
) -> None:
    payer = pair.books.payer(1)
    with refusing(pair.stage, "22003"):
        pair.asked(whole(SPENT, status=500), whole(), is_stream=False, payer=payer)
        until(lambda: pair.books.balance(payer.account_id).held_nanos == 0, 10, "it is closed")
    refunded = pair.books.stories(payer.account_id)[0].refunded
    assert refunded.reason == "unsettled"
    check(refunded.attempts, pair.paid(0, "failed", 500), pair.paid(1, "answered", 200))
    pair.check_profit(0, FIRST, SECOND)


def test_a2_a_bug_of_ours_at_the_next_channel_forgets_no_cost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_channel = Failover._ask

    async def stumbling(failover: Failover, call: Any, one: Any, written: Any) -> Any:  # noqa: ANN401
        if one.candidate.channel_id == pair.channels[1]:
            raise RuntimeError("a bug")
        return await ask_channel(failover, call, one, written)

    monkeypatch.setattr(Failover, "_ask", stumbling)
    answer = pair.asked(whole(SPENT, status=500), whole(), is_stream=False)
    assert (answer.status, answer.code) == (500, "internal_error")
    refunded = pair.books.story(answer.request_id).refunded
    assert refunded.reason == "internal_error"
    check(refunded.attempts, pair.paid(0, "failed", 500))
    pair.check_profit(0, FIRST, 0)


def test_a2_what_was_not_delivered_in_time_is_paid_all_the_same(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = pair.books.payer(1)
    monkeypatch.setattr(open_charge, "CLOSE_WITHIN_S", 0.3)
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(
            pair.asked, whole(SPENT, status=500), (0.4, *whole()), is_stream=False, payer=payer
        )
        pair.await_asked(1)
        with ledger_held_up(pair.stage):
            # Something else is under way, so that the settlement waits here.
            other = pool.submit(pair.books.credit, pair.stage.payer.account_id, 1)
            assert asking.result(20).status == 503
        other.result(20)
    refunded = until(lambda: closing(pair, payer), 20, "it is closed")
    assert isinstance(refunded, RefundIssued)
    assert refunded.reason == "undelivered"
    check(refunded.attempts, pair.paid(0, "failed", 500), pair.paid(1, "answered", 200))
    pair.check_profit(0, FIRST, SECOND)


# ---------------------------------------------------------------------- closed by others


@pytest.mark.parametrize("is_answered", [True, False], ids=["answered", "all failed"])
def test_a2_tries_of_a_call_that_others_had_closed_are_in_its_correction(
    pair: Pair, is_answered: bool
) -> None:
    payer = pair.books.payer(1)
    second = whole() if is_answered else whole(error() | {"usage": USAGE}, status=500)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(
            pair.asked, whole(SPENT, status=500), (0.4, *second), is_stream=False, payer=payer
        )
        pair.await_asked(1)
        (story,) = pair.books.stories(payer.account_id)
        swept = rules.Refund("node_lost", story.opening.node, story.opening.boot)
        pair.books.command(rules.STREAM, story.events[0].stream_id, swept)
        assert asking.result(20).status == (200 if is_answered else 502)
    (story,) = pair.books.stories(payer.account_id)
    refund, late = (one.event for one in story.events[1:])
    assert isinstance(refund, RefundIssued)
    assert isinstance(late, ChargeAdjusted)
    assert (refund.reason, late.reason) == ("node_lost", "late_usage")
    charged = MEASURED if is_answered else 0
    assert late.delta_nanos == charged
    last = pair.plain(1, "answered", 200) if is_answered else pair.paid(1, "failed", 500)
    check(late.attempts, pair.paid(0, "failed", 500), last)
    assert pair.books.balance(payer.account_id).posted_nanos == 10**9 - charged
    pair.check_profit(charged, FIRST, SECOND)


def closing(pair: Pair, payer: Payer) -> object:
    """How the payer's only call was closed, once it is."""
    (story,) = pair.books.stories(payer.account_id)
    return story.events[1].event if len(story.events) > 1 else None
