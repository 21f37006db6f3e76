"""Charges are checked by the price of the service that answered, and costs by their book."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ledger.charge_checks import ChargeChecks, Problem
from ledger.ids import derived_id
from ledger.pricing import Multiplier, Price, Schedule, price_lines
from ledger.store.reader import Recorded
from ledger.streams.account import AccountOpened
from ledger.streams.api_key import KeyIssued, KeyTerms
from ledger.streams.charge import rules
from ledger.streams.charge.events import (
    Attempt,
    Cost,
    Cover,
    LateUsage,
    Terms,
    UsageSettled,
)
from ledger.streams.contract import Event
from ledger.streams.price import COST, PriceSet
from ledger.usage import Usage

SOLD = Price(
    rates={"input": 1_000_000_000},
    services={"flex": Schedule(rates={"input": 500_000_000})},
)
TAKEN = Price(
    rates={"input": 300_000_000}, services={"flex": Schedule(rates={"input": 100_000_000})}
)
USAGE = Usage(input=1_000, calls=1)
BOOT, CHANNEL = derived_id("test", "boot"), derived_id("test", "channel")
CHARGE = derived_id("test", "charge")
ACCOUNT, KEY = derived_id("test", "a"), derived_id("test", "k")
STORED_AT = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
"""A moment after `called` was admitted."""
KNOWN: list[Event] = [
    AccountOpened(account_id=ACCOUNT, group="default", actor="root"),
    KeyIssued(
        account_id=ACCOUNT,
        key_id=KEY,
        sha256="0" * 64,
        prefix="sk-",
        last_four="beef",
        terms=KeyTerms(),
        actor="root",
    ),
]
"""Who calls."""


def checked(*events: Event) -> list[Problem]:
    """What is wrong with a log of one sale price, one cost price and a charge."""
    prices = [
        PriceSet(model="m", price=SOLD, effective_from_us=0, actor="root"),
        PriceSet(model="up", price=TAKEN, effective_from_us=0, actor="root", book=COST),
    ]
    checks = ChargeChecks()
    found: list[Problem] = []
    versions: dict[UUID, int] = {}
    before = [*prices, *KNOWN]
    for position, event in enumerate([*before, *events], 1):
        stream_id = derived_id("test", str(position)) if position <= len(before) else CHARGE
        versions[stream_id] = versions.get(stream_id, 0) + 1
        found += checks.check(one(position, stream_id, versions[stream_id], event))
    return found


def one(
    position: int, stream_id: UUID, version: int, event: Event, at: datetime = STORED_AT
) -> Recorded:
    return Recorded(
        position=position,
        stream_id=stream_id,
        version=version,
        topic=event.TOPIC,
        event=event,
        recorded_at=at,
        account_id=None,
        account_seq=None,
    )


def called(service: str = "", answered: str | None = None, cost: Cost | None = None) -> list[Event]:
    """A call asked for in one service and answered in another, by the rules."""
    reserve = rules.Reserve(
        hold_nanos=2_000_000,
        cover=Cover(account_id=ACCOUNT, key_id=KEY),
        terms=Terms(model="m", group="default", price_version=1, service=service),
        admitted_at_us=1,
        node="n",
        boot=BOOT,
        dialect="openai_chat",
    )
    (opening,) = rules.decide(rules.Charge(), reserve)
    state = rules.evolve(rules.Charge(), opening)  # type: ignore[arg-type]
    return [opening, *rules.decide(state, settle(answered, cost))]


def settle(answered: str | None, cost: Cost | None) -> rules.Settle:
    return rules.Settle(
        usage=USAGE,
        price=SOLD,
        basis="measured",
        ending="complete",
        channel_id=CHANNEL,
        upstream_model="up",
        node="n",
        boot=BOOT,
        service=answered,
        cost=cost,
    )


def taken(nanos: int, version: int = 1, book: str = COST) -> Cost:
    return Cost(book=book, price_version=version, amount_nanos=nanos)


@pytest.mark.parametrize(
    ("service", "answered", "nanos"),
    [
        ("", None, 1_000_000),
        ("flex", None, 500_000),
        ("flex", "", 1_000_000),
        ("", "flex", 500_000),
    ],
)
def test_the_service_that_answered_is_charged_and_found_right(
    service: str, answered: str | None, nanos: int
) -> None:
    events = called(service, answered)
    settled = events[1]
    assert isinstance(settled, UsageSettled)
    assert settled.charged_nanos == nanos
    assert checked(*events) == []


def test_the_standard_price_in_another_service_is_found() -> None:
    opening, settled = called("flex")
    assert isinstance(settled, UsageSettled)
    forged = msgspec.structs.replace(
        settled, lines=price_lines(USAGE, SOLD), charged_nanos=1_000_000
    )
    assert checked(opening, forged) == [("amount", "the lines are not of price version 1")]
    unknown = msgspec.structs.replace(settled, service="scale")
    assert checked(opening, unknown) == [("amount", "the lines are not of price version 1")]


@pytest.mark.parametrize(
    ("answered", "cost", "said"),
    [
        (None, taken(300_000), None),
        ("flex", taken(100_000), None),
        (None, taken(300_001), "300001 nanos, the book 'cost' says 300000"),
        ("flex", taken(300_000), "300000 nanos, the book 'cost' says 100000"),
        (None, taken(1, version=2), "there is no version 2 in the book 'cost'"),
        (None, taken(1, book="cost/x"), "there is no version 1 in the book 'cost/x'"),
    ],
)
def test_what_the_provider_takes_follows_from_its_book(
    answered: str | None, cost: Cost, said: str | None
) -> None:
    expected = [] if said is None else [("cost", said)]
    assert checked(*called("", answered, cost)) == expected


@pytest.mark.parametrize("is_right", [True, False])
def test_usage_that_came_late_is_checked_as_well(is_right: bool) -> None:
    opening, _ = called()
    state = rules.evolve(rules.Charge(), opening)  # type: ignore[arg-type]
    (lost,) = rules.decide(state, rules.Refund("node_lost", "n", BOOT))
    state = rules.evolve(state, lost)  # type: ignore[arg-type]
    lines = price_lines(USAGE, SOLD, "flex")
    late = LateUsage(
        channel_id=CHANNEL,
        upstream_model="up",
        service="flex" if is_right else None,
        cost=taken(100_000),
    )
    (adjusted,) = rules.decide(
        state,
        rules.Adjust(
            BOOT,
            500_000,
            "late_usage",
            "node:n",
            usage=USAGE,
            lines=lines,
            late=late,
        ),
    )
    assert checked(opening, lost, adjusted) == (
        []
        if is_right
        else [
            ("amount", "the lines are not of price version 1"),
            ("cost", "100000 nanos, the book 'cost' says 300000"),
        ]
    )


@pytest.mark.parametrize("is_refunded", [False, True])
@pytest.mark.parametrize(
    "change", [{"group": "others"}, {"multiplier": Multiplier(2)}, {"service": "flex"}]
)
def test_t1_a_charge_is_closed_under_the_terms_it_was_opened_under(
    change: dict[str, Any], *, is_refunded: bool
) -> None:
    opening, closing = called()
    assert isinstance(closing, UsageSettled)
    if is_refunded:
        state = rules.evolve(rules.Charge(), opening)  # type: ignore[arg-type]
        (closing,) = rules.decide(state, rules.Refund("node_lost", "n", BOOT))
    assert checked(opening, closing) == []
    terms = msgspec.structs.replace(closing.terms, **change)  # type: ignore[attr-defined]
    forged = msgspec.structs.replace(closing, terms=terms)
    said = ("charge", "closed under other terms than it was reserved under")
    assert said in checked(opening, forged)


USED = Attempt(
    channel_id=CHANNEL, outcome="failed", usage=USAGE, upstream_model="up", cost=taken(300_000)
)


@pytest.mark.parametrize("name", ["settled", "refunded", "late"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"service": "flex", "cost": taken(100_000)}, None),
        ({"usage": None, "cost": None}, None),
        ({"cost": taken(300_001)}, "300001 nanos, the book 'cost' says 300000"),
        ({"cost": taken(-1)}, "-1 nanos, the book 'cost' says 300000"),
        ({"usage": Usage(input=999)}, "300000 nanos, the book 'cost' says 299700"),
        ({"upstream_model": ""}, "there is no version 1 in the book 'cost'"),
        ({"usage": None}, "a try costs 300000 nanos and used nothing"),
    ],
)
def test_a2_what_a_try_costs_follows_from_what_it_used(
    name: str, changes: dict[str, Any], said: str | None
) -> None:
    tries = (USED, msgspec.structs.replace(USED, **changes))
    opening, settled = called()
    state = rules.evolve(rules.Charge(), opening)  # type: ignore[arg-type]
    (refund,) = rules.decide(state, rules.Refund("upstream_error", "n", BOOT, tries))
    events: list[Event] = [opening, refund]
    if name == "settled":
        events = [opening, msgspec.structs.replace(settled, attempts=tries)]
    elif name == "late":
        state = rules.evolve(state, refund)  # type: ignore[arg-type]
        adjust = rules.Adjust(BOOT, 0, "late_usage", "node:n", attempts=tries)
        events = [
            opening,
            msgspec.structs.replace(refund, attempts=()),
            *rules.decide(state, adjust),
        ]
    assert checked(*events) == ([] if said is None else [("cost", said)])


def test_a21_a_settlement_that_comes_to_nothing_tells_who_was_paid_for_what() -> None:
    answered = Attempt(channel_id=CHANNEL, outcome="answered", status=200)
    given = msgspec.structs.replace(settle("flex", taken(100_000)), attempts=(USED, answered))
    terms = Terms(model="m", group="default", price_version=1)
    first, last = rules.uncharged_attempts(given, terms)
    assert first == USED
    assert (last.outcome, last.usage, last.cost) == ("answered", USAGE, taken(100_000))
    assert (last.upstream_model, last.service, last.basis) == ("up", "flex", "measured")
    flex = msgspec.structs.replace(terms, service="flex")
    assert rules.uncharged_attempts(given, flex)[1].service is None
    assert rules.uncharged_attempts(settle(None, None), terms) == ()
