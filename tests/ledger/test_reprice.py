"""Repricing one call, and what many come to: pure, exact, in any split."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.alternative import Alternative, Question
from ledger.ids import entity_id
from ledger.pricing import Multiplier, Price, Schedule, price_lines
from ledger.reprice import Call, Repriced, Unpriced, WhatIf, billed_call, reprice_call
from ledger.streams.charge import rules
from ledger.streams.charge.events import (
    AdjustmentReason,
    ChargeAdjusted,
    LateUsage,
    RefundIssued,
    Terms,
    UsageSettled,
)
from ledger.usage import Usage
from tests.ledger.building import Call as Stream
from tests.ledger.building import payer, refund, reserve, settle

NANO = 1_000_000
"""A rate of one nanodollar per token."""
PRICE = Price(rates={"input": 10 * NANO, "output": 20 * NANO})
HALF = Price(rates={"input": 5 * NANO, "output": 10 * NANO})
TWICE = Price(rates={"input": 20 * NANO, "output": 40 * NANO})
TERMS = Terms(model="m", group="g", price_version=1, multiplier=Multiplier(3, 2))
USAGE = Usage(input=10, output=5)
"""At PRICE 10 x 10 + 5 x 20 = 200, times 3/2: 300."""


def adjust(delta: int, reason: AdjustmentReason, **changes: Any) -> rules.Adjust:  # noqa: ANN401
    return rules.Adjust(entity_id(), delta, reason, "a", **changes)


def call(*later: rules.Adjust, hold: int = 10_000, closing: Any = None) -> Call | None:  # noqa: ANN401
    """A call as its events tell it."""
    stream = Stream()
    stream.next(reserve(payer().cover(), hold, TERMS))
    closed = stream.next(closing or settle(USAGE, PRICE, covered_nanos=0))[-1].event
    adjusted = [stream.next(each)[0].event for each in later]
    return billed_call(
        stream.stream_id,
        cast("UsageSettled | RefundIssued", closed),
        cast("Sequence[ChargeAdjusted]", adjusted),
    )


def delta(one: Call | None, alternative: Alternative, price: Price | None = None) -> int:
    assert one is not None
    verdict = reprice_call(one, alternative, price)
    assert isinstance(verdict, Repriced)
    return verdict.delta_nanos


def prices(price: Price) -> Alternative:
    return Alternative(prices={"m": price})


def test_another_price_changes_what_was_billed_by_the_difference() -> None:
    assert delta(call(), prices(HALF)) == -150
    assert delta(call(), prices(TWICE)) == 300
    assert delta(call(), prices(PRICE)) == 0
    assert delta(call(), Alternative(book="b"), HALF) == -150
    assert delta(call(), Alternative(book="b", prices={"m": TWICE}), HALF) == 300


def test_another_multiplier_alone_keeps_the_lines() -> None:
    assert delta(call(), Alternative(multipliers={"g": Multiplier()})) == -100
    assert delta(call(), Alternative(multipliers={"g": Multiplier(0, 1)})) == -300
    assert delta(call(), Alternative(multipliers={"other": Multiplier(9, 1)})) == 0
    both = Alternative(prices={"m": HALF}, multipliers={"g": Multiplier()})
    assert delta(call(), both) == -200


def test_a_repricing_counts_as_billed_and_is_not_undone_by_others() -> None:
    lines = price_lines(USAGE, HALF)
    repriced = call(adjust(-150, "reprice", lines=lines))
    assert repriced is not None
    assert (repriced.paid_nanos, repriced.billed_nanos, repriced.lines) == (150, 150, lines)
    assert delta(repriced, prices(HALF)) == 0
    assert delta(repriced, prices(PRICE)) == 150
    assert delta(repriced, Alternative(multipliers={"g": Multiplier()})) == -50
    assert delta(repriced, Alternative(prices={"other": TWICE})) == 0


def test_what_was_given_back_is_not_collected_and_not_given_twice() -> None:
    for reason in ("refund", "dispute"):
        part = call(adjust(-200, reason))
        assert part is not None
        assert part.paid_nanos == 100
        assert delta(part, prices(TWICE)) == 0
        assert delta(part, prices(HALF)) == -100
        whole = call(adjust(-300, reason))
        assert delta(whole, prices(HALF)) == 0


def test_what_was_not_covered_is_not_collected_later() -> None:
    short = call(hold=250)
    assert short is not None
    assert (short.paid_nanos, short.may_rise) == (250, False)
    assert delta(short, prices(TWICE)) == 0
    assert delta(short, prices(HALF)) == -100
    assert delta(short, prices(Price(rates={"input": 9 * NANO, "output": 19 * NANO}))) == 0


def test_usage_that_came_late_is_that_of_the_whole_call() -> None:
    late = Usage(input=20, output=5)
    lines = price_lines(late, PRICE)
    answered = LateUsage(channel_id=entity_id(), upstream_model="u", service=None)
    whole = adjust(450, "late_usage", usage=late, lines=lines, late=answered)
    assert call(closing=refund()) is None
    found = call(whole, closing=refund())
    assert found is not None
    assert (found.usage, found.billed_nanos, found.may_rise) == (late, 450, True)
    assert delta(found, prices(HALF)) == -225
    in_part = call(adjust(400, "late_usage", usage=late, lines=lines), closing=refund())
    assert delta(in_part, prices(TWICE)) == 0
    assert delta(in_part, prices(HALF)) == -175
    flex = LateUsage(channel_id=entity_id(), upstream_model="u", service="flex")
    other = call(adjust(450, "late_usage", usage=late, lines=lines, late=flex), closing=refund())
    assert other is not None
    assert other.service == "flex"


def test_what_cannot_be_priced_says_why() -> None:
    one = call()
    assert one is not None
    verdict = reprice_call(one, Alternative(book="b"), None)
    assert isinstance(verdict, Unpriced)
    assert verdict.cause == "no_price"
    tiered = Price(rates=PRICE.rates, services={"flex": Schedule(rates=HALF.rates)})
    flex = one._replace(service="flex")
    verdict = reprice_call(flex, prices(PRICE), None)
    assert isinstance(verdict, Unpriced)
    assert verdict.cause == "unpriced_service"
    assert delta(flex, prices(tiered)) == -150
    assert delta(flex, Alternative(multipliers={"g": Multiplier()})) == -100


def test_an_alternative_must_change_something() -> None:
    with pytest.raises(ValueError, match="name a book"):
        Alternative()
    with pytest.raises(ValueError, match="no book is named"):
        Alternative(moment_us=1, prices={"m": PRICE})
    for first, last, as_of in ((0, 1, 1), (1, 3, 2)):
        with pytest.raises(ValueError, match="positions"):
            Question(alternative=prices(PRICE), first=first, last=last, as_of=as_of)


RATES = st.integers(0, 40).map(lambda rate: rate * NANO + rate // 3)
PRICES = st.builds(lambda i, o: Price(rates={"input": i, "output": o}), RATES, RATES)
USAGES = st.builds(Usage, input=st.integers(0, 30), output=st.integers(0, 30))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    later = draw(
        st.lists(
            st.builds(
                adjust,
                st.integers(-200, 200),
                st.sampled_from(["refund", "reprice", "dispute"]),
            ),
            max_size=3,
        )
    )
    usage = draw(USAGES)
    found = call(
        *later,
        hold=draw(st.sampled_from([50, 400, 10_000])),
        closing=settle(usage, PRICE, covered_nanos=0),
    )
    assert found is not None
    return found


@given(calls(), PRICES)
def test_nothing_falls_below_zero_and_a_second_repricing_changes_nothing(
    one: Call, price: Price
) -> None:
    verdict = reprice_call(one, prices(price), None)
    assert isinstance(verdict, Repriced)
    assert one.paid_nanos + verdict.delta_nanos >= 0
    if verdict.delta_nanos > 0:
        assert one.may_rise
    after = one._replace(
        paid_nanos=one.paid_nanos + verdict.delta_nanos,
        billed_nanos=one.billed_nanos + verdict.delta_nanos,
        lines=verdict.lines,
    )
    again = reprice_call(after, prices(price), None)
    assert isinstance(again, Repriced)
    if one.paid_nanos == one.billed_nanos:
        assert again.delta_nanos == 0 or not one.may_rise
    assert again.delta_nanos >= 0 or one.paid_nanos != one.billed_nanos


QUESTION = Question(alternative=prices(HALF), first=1, last=9, as_of=9)


@given(st.lists(st.tuples(calls(), PRICES), max_size=12), st.randoms(use_true_random=False))
def test_totals_are_those_of_any_split_and_any_order(
    given_calls: list[tuple[Call, Price]],
    random: Any,  # noqa: ANN401 - hypothesis' own Random
) -> None:
    verdicts = [reprice_call(one, prices(price), None) for one, price in given_calls]
    shuffled = list(verdicts)
    random.shuffle(shuffled)
    whole, other = WhatIf(QUESTION), WhatIf(QUESTION)
    parts = [WhatIf(QUESTION) for _ in range(3)]
    for number, verdict in enumerate(verdicts):
        whole.add(verdict)
        parts[number % 3].add(verdict)
    for verdict in shuffled:
        other.add(verdict)
    assert (whole.total, whole.by_model, whole.by_account) == (
        other.total,
        other.by_model,
        other.by_account,
    )
    for direction in ("both", "customer"):
        one, two = whole.correction(direction), other.correction(direction)
        assert (one.charges, one.accounts, one.delta_nanos) == (
            two.charges,
            two.accounts,
            two.delta_nanos,
        )
        split = [part.correction(direction) for part in parts]
        assert sum(each.delta_nanos for each in split) == one.delta_nanos
        assert sum(each.before_nanos for each in split) == one.before_nanos
    assert whole.correction("both").delta_nanos == whole.total.delta_nanos
    assert whole.correction("customer").delta_nanos == whole.total.lowered_nanos
