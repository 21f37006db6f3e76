"""What each event of a charge does to money, and what its stream is afterwards, line by line."""

from typing import cast

import msgspec
import pytest

from ledger.errors import AlreadyClosed, NotReserved
from ledger.ids import entity_id
from ledger.pricing import Multiplier, Price, Schedule
from ledger.streams.charge import rules
from ledger.streams.charge.effects import effects, postings
from ledger.streams.charge.events import (
    Attempt,
    ChargeAdjusted,
    ChargeEvent,
    Cost,
    Cover,
    LateUsage,
    QuotaReserved,
    RefundIssued,
    Terms,
    UsageSettled,
    Window,
)
from ledger.streams.contract import Effect
from ledger.usage import Usage
from tests.ledger.building import BOOT, CHANNEL, Call, payer, refund, reserve, settle

PAYER, WINDOW = payer(), entity_id()
COVER = PAYER.cover(
    overdraft_nanos=7, key_limit_nanos=50, windows=(Window(scope=WINDOW, cap_nanos=40),)
)
COST = Cost(book="cost", price_version=1, amount_nanos=3)
PRICE = Price(rates={"input": 1_000_000})


def told(call: Call, command: rules.Command) -> list[ChargeEvent]:
    """The events that answer a command, taken for stored."""
    return [cast("ChargeEvent", new.event) for new in call.next(command)]


def opened(hold_nanos: int = 10) -> tuple[Call, QuotaReserved]:
    call = Call()
    (event,) = told(call, reserve(COVER, hold_nanos))
    assert isinstance(event, QuotaReserved)
    return call, event


def test_a_hold_is_capped_at_the_account_the_key_and_every_window() -> None:
    _, event = opened()
    assert effects(event) == (
        Effect(PAYER.account_id, 10, 0, 7),
        Effect(PAYER.key_id, 10, 0, 50),
        Effect(WINDOW, 10, 0, 40),
    )
    assert postings(event) == (("customer:available", -10), ("customer:held", 10))


def test_holding_nothing_is_capped_nowhere() -> None:
    """A free call of an account below zero, of a spent key or in a spent window may pass."""
    _, event = opened(0)
    assert {effect.cap_nanos for effect in effects(event)} == {None}
    assert {(effect.held_nanos, effect.posted_nanos) for effect in effects(event)} == {(0, 0)}
    _, least = opened(1)
    assert [effect.cap_nanos for effect in effects(least)] == [7, 50, 40]


def test_a_settlement_releases_everything_and_posts_what_is_charged() -> None:
    call, _ = opened()
    (event,) = told(call, settle(Usage(input=4), PRICE, cost=COST))
    scopes = (PAYER.account_id, PAYER.key_id, WINDOW)
    assert effects(event) == tuple(Effect(scope, -10, -4) for scope in scopes)
    assert postings(event) == (
        ("customer:held", -10),
        ("customer:available", 6),
        ("revenue", 4),
        ("provider_cost", -3),
        ("clearing:providers", 3),
    )
    state = call.state
    assert (state.version, state.held_nanos, state.charged_nanos) == (2, 0, 4)
    assert (state.is_closed, state.channel_id, state.upstream_model) == (True, CHANNEL, "m")


@pytest.mark.parametrize("cost", [None, Cost(book="cost", price_version=1, amount_nanos=0)])
def test_a_call_that_costs_us_nothing_posts_no_cost(cost: Cost | None) -> None:
    call, _ = opened()
    (event,) = told(call, settle(Usage(input=4), PRICE, cost=cost))
    assert [name for name, _ in postings(event)] == [
        "customer:held", "customer:available", "revenue",
    ]  # fmt: skip


def test_a_refund_releases_everything_and_charges_nothing() -> None:
    call, _ = opened()
    (event,) = told(call, refund())
    assert isinstance(event, RefundIssued)
    scopes = (PAYER.account_id, PAYER.key_id, WINDOW)
    assert effects(event) == tuple(Effect(scope, -10, 0) for scope in scopes)
    assert postings(event) == (("customer:held", -10), ("customer:available", 10))
    state = call.state
    assert (state.version, state.held_nanos, state.charged_nanos) == (2, 0, 0)
    assert (state.is_closed, event.duration_ms, event.attempts) == (True, 0, ())


def test_late_usage_posts_its_own_cost_and_is_capped_at_the_account_alone() -> None:
    call, _ = opened()
    call.next(refund())
    late = LateUsage(channel_id=CHANNEL, upstream_model="late", cost=COST)
    command = rules.Adjust(entity_id(), 5, "late_usage", "n", late=late, overdraft_nanos=7)
    (event,) = told(call, command)
    assert effects(event) == (
        Effect(PAYER.account_id, 0, -5, 7),
        Effect(PAYER.key_id, 0, -5),
        Effect(WINDOW, 0, -5),
    )
    assert postings(event) == (
        ("customer:available", -5),
        ("revenue", 5),
        ("provider_cost", -3),
        ("clearing:providers", 3),
    )
    state = call.state
    assert (state.version, state.charged_nanos, state.is_closed) == (3, 5, True)
    assert (state.channel_id, state.upstream_model) == (CHANNEL, "late")


def test_what_tries_cost_that_nobody_is_charged_for_is_posted_with_every_closing() -> None:
    tries = tuple(
        Attempt(
            channel_id=CHANNEL, outcome="cut", cost=msgspec.structs.replace(COST, amount_nanos=n)
        )
        for n in (4, 5)
    )
    free = Attempt(channel_id=CHANNEL, outcome="refused")
    cost = [("provider_cost", -9), ("clearing:providers", 9)]
    call, _ = opened()
    (refunded,) = told(call, msgspec.structs.replace(refund(), attempts=(free, *tries)))
    assert list(postings(refunded))[2:] == cost
    assert sum(nanos for _, nanos in postings(refunded)) == 0
    late = rules.Adjust(entity_id(), 5, "late_usage", "n", attempts=(*tries, free))
    (adjusted,) = told(call, late)
    assert list(postings(adjusted))[2:] == cost
    call, _ = opened()
    (settled,) = told(call, settle(Usage(input=4), PRICE, cost=COST, attempts=(*tries, free)))
    assert list(postings(settled))[3:] == [("provider_cost", -12), ("clearing:providers", 12)]


@pytest.mark.parametrize(
    ("asked", "answered", "told_as"),
    [("", None, None), ("", "", None), ("", "flex", "flex"), ("flex", "", "")],
)
def test_who_answered_is_paid_although_nobody_is_charged(
    asked: str, answered: str | None, told_as: str | None
) -> None:
    terms = Terms(model="m", group="g", price_version=1, service=asked)
    tries = tuple(Attempt(channel_id=CHANNEL, outcome=each) for each in ("failed", "cut"))
    closing = settle(
        Usage(input=4), PRICE, cost=COST, attempts=tries, service=answered, anomaly="odd"
    )
    first, last = rules.uncharged_attempts(closing, terms)
    assert first == tries[0]
    assert last == Attempt(
        channel_id=CHANNEL,
        outcome="cut",
        usage=Usage(input=4),
        upstream_model="m",
        service=told_as,
        cost=COST,
        anomaly="odd",
    )
    assert rules.uncharged_attempts(settle(Usage(input=4), PRICE), terms) == ()


def test_why_a_call_was_refunded_is_remembered_through_corrections() -> None:
    call, _ = opened()
    call.next(refund())
    assert call.state.refund_reason == "upstream_failed"
    call.next(rules.Adjust(entity_id(), 1, "dispute", "a"))
    assert call.state.refund_reason == "upstream_failed"


def test_who_was_late_is_told_once_although_another_had_answered() -> None:
    call, _ = opened()
    call.next(settle(Usage(input=4), PRICE))
    late = LateUsage(channel_id=entity_id(), upstream_model="late")
    (event,) = told(call, rules.Adjust(entity_id(), 1, "late_usage", "n", late=late))
    assert isinstance(event, ChargeAdjusted)
    assert (event.channel_id, event.upstream_model, event.late) == (None, "", late)


def test_a_correction_moves_what_it_says_and_names_who_answered() -> None:
    call, opening = opened()
    call.next(settle(Usage(input=4), PRICE))
    (event,) = told(call, rules.Adjust(entity_id(), -3, "refund", "a"))
    assert isinstance(event, ChargeAdjusted)
    assert postings(event) == (("customer:available", 3), ("revenue", -3))
    assert [effect.posted_nanos for effect in effects(event)] == [3, 3, 3]
    assert (event.channel_id, event.upstream_model, event.windows) == (CHANNEL, "m", (WINDOW,))
    assert (event.terms, event.overdraft_nanos) == (opening.terms, None)
    assert (call.state.held_nanos, call.state.charged_nanos) == (0, 1)


def test_a_hold_grows_by_its_difference_under_its_own_terms() -> None:
    call, opening = opened()
    (grown,) = told(call, rules.Extend(5))
    assert grown == msgspec.structs.replace(opening, hold_nanos=5)
    assert (call.state.held_nanos, call.state.opening) == (15, opening)
    assert (call.state.is_closed, call.state.charged_nanos) == (False, 0)
    more, settled = told(call, settle(Usage(input=18), PRICE))
    assert isinstance(more, QuotaReserved)
    assert isinstance(settled, UsageSettled)
    assert (more.hold_nanos, settled.released_nanos, settled.charged_nanos) == (3, 18, 18)
    assert call.state.held_nanos == 0


def test_a_hold_that_is_just_enough_does_not_grow() -> None:
    call, _ = opened()
    assert [type(event) for event in told(call, settle(Usage(input=10), PRICE))] == [UsageSettled]


def test_what_is_not_open_is_neither_held_for_nor_closed_nor_corrected() -> None:
    call, _ = opened()
    with pytest.raises(AlreadyClosed):
        call.next(reserve(COVER, 1))
    with pytest.raises(NotReserved):
        call.next(rules.Adjust(entity_id(), 1, "refund", "a"))
    call.next(refund())
    commands: tuple[rules.Command, ...] = (
        reserve(COVER, 1), rules.Extend(1), settle(Usage()), refund(),
    )  # fmt: skip
    for command in commands:
        with pytest.raises(AlreadyClosed):
            call.next(command)
    for command in commands[1:]:
        with pytest.raises(NotReserved):
            Call().next(command)
    with pytest.raises(NotReserved):
        Call().next(rules.Adjust(entity_id(), 1, "refund", "a"))


@pytest.mark.parametrize(
    ("asked", "answered", "told_as", "charged"),
    [
        ("", None, None, 4),
        ("", "", None, 4),
        ("", "flex", "flex", 2),
        ("flex", "", "", 4),
        ("flex", None, None, 2),
        ("flex", "flex", None, 2),
    ],
)
def test_the_service_that_answered_is_charged_and_told_where_it_is_another(
    asked: str, answered: str | None, told_as: str | None, charged: int
) -> None:
    terms = Terms(model="m", group="g", price_version=1, service=asked)
    sold = Price(rates={"input": 1_000_000}, services={"flex": Schedule(rates={"input": 500_000})})
    call = Call()
    call.next(reserve(COVER, 10, terms))
    (event,) = told(call, settle(Usage(input=4), sold, service=answered))
    assert isinstance(event, UsageSettled)
    assert (event.service, event.charged_nanos) == (told_as, charged)


def test_the_group_pays_its_multiple() -> None:
    terms = Terms(model="m", group="g", price_version=1, multiplier=Multiplier(3, 2))
    call = Call()
    call.next(reserve(COVER, 10, terms))
    (event,) = told(call, settle(Usage(input=4), PRICE))
    assert isinstance(event, UsageSettled)
    assert (event.charged_nanos, event.terms) == (6, terms)


def test_both_anomalies_are_told() -> None:
    beyond = Price(rates={"input": 10**18})
    for given, expected in (("", "cost_beyond_range"), ("odd", "odd,cost_beyond_range")):
        call, _ = opened()
        (event,) = told(call, settle(Usage(input=10**6), beyond, anomaly=given))
        assert isinstance(event, UsageSettled)
        assert (event.anomaly, event.charged_nanos) == (expected, 10)


def test_what_is_not_said_is_nothing() -> None:
    """Of an event that leaves it out, and of a command that does."""
    cover = Cover(account_id=entity_id(), key_id=entity_id())
    assert (cover.overdraft_nanos, cover.key_limit_nanos, cover.windows) == (0, None, ())
    terms = Terms(model="m", group="g", price_version=1)
    assert (terms.service, terms.multiplier) == ("", Multiplier(1, 1))
    command = rules.Reserve(1, cover, terms, 1, "n", BOOT, "openai_chat")
    (event,) = rules.decide(rules.Charge(), command)
    assert isinstance(event, QuotaReserved)
    assert (event.overdraft_nanos, event.streaming) == (0, False)
    assert (event.input_tokens_estimated, event.output_tokens_max) == (0, 0)
    assert (event.tool_calls_max, event.windows, event.key_limit_nanos) == ({}, (), None)
    call = Call()
    call.next(command)
    (settled,) = told(call, settle(Usage(), PRICE))
    assert isinstance(settled, UsageSettled)
    assert (settled.duration_ms, settled.shortfall_nanos, settled.ttft_ms) == (0, 0, None)
    fresh = rules.Charge()
    assert (fresh.version, fresh.held_nanos, fresh.charged_nanos) == (0, 0, 0)
    assert (fresh.is_closed, fresh.adjustments) == (False, frozenset())


def test_what_was_said_is_kept() -> None:
    terms = Terms(model="m", group="g", price_version=2)
    command = rules.Reserve(
        hold_nanos=9,
        cover=COVER,
        terms=terms,
        admitted_at_us=11,
        node="n",
        boot=BOOT,
        dialect="gemini",
        streaming=True,
        input_tokens_estimated=12,
        output_tokens_max=13,
        tool_calls_max={"web_search": 2},
    )
    (event,) = rules.decide(rules.Charge(), command)
    assert isinstance(event, QuotaReserved)
    assert event == QuotaReserved(
        account_id=PAYER.account_id,
        key_id=PAYER.key_id,
        hold_nanos=9,
        overdraft_nanos=7,
        key_limit_nanos=50,
        windows=COVER.windows,
        terms=terms,
        admitted_at_us=11,
        node="n",
        boot=BOOT,
        dialect="gemini",
        streaming=True,
        input_tokens_estimated=12,
        output_tokens_max=13,
        tool_calls_max={"web_search": 2},
    )


def test_the_books_of_a_fold_that_never_was_stay_readable() -> None:
    """`evolve` never refuses: a closing without an opening leaves what it says."""
    event = RefundIssued(
        account_id=PAYER.account_id,
        key_id=PAYER.key_id,
        released_nanos=4,
        terms=Terms(model="m", group="g", price_version=1),
        reason="node_lost",
        node="n",
        boot=BOOT,
    )
    state = rules.evolve(rules.Charge(), event)
    assert (state.version, state.held_nanos, state.is_closed) == (1, -4, True)
