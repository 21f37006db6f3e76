"""A charge opens under the price that is in force at its position, and is priced so (A11, A18)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from ledger.admission_bounds import COST_KNOWN_FOR_S
from ledger.charge_checks import ChargeChecks, Problem
from ledger.ids import derived_id
from ledger.pricing import Line, Price, charge_nanos, price_lines
from ledger.streams.charge import rules
from ledger.streams.charge.events import (
    Attempt,
    Cost,
    LateUsage,
    QuotaReserved,
    RefundIssued,
    UsageSettled,
)
from ledger.streams.contract import Event
from ledger.streams.price import COST, PriceSet, cost_book
from ledger.usage import Usage
from tests.ledger.test_charge_checks import BOOT, CHANNEL, CHARGE, KNOWN, SOLD, called, one

ADMITTED_AT_US = 1
"""When `called` was admitted."""


def price(
    effective_from_us: int, price: Price = SOLD, model: str = "m", book: str = ""
) -> PriceSet:
    return PriceSet(
        model=model, price=price, effective_from_us=effective_from_us, actor="root", book=book
    )


def call(version: int) -> list[Event]:
    """A whole call, frozen under a version of the price, and holding together in itself."""
    changed = []
    for event in called():
        assert isinstance(event, QuotaReserved | UsageSettled)
        terms = msgspec.structs.replace(event.terms, price_version=version)
        changed.append(msgspec.structs.replace(event, terms=terms))
    return list(changed)


def found_in(events: Iterable[Event]) -> list[Problem]:
    checks = ChargeChecks()
    versions: dict[object, int] = {}
    found: list[Problem] = []
    for position, event in enumerate([*KNOWN, *events], 1):
        stream_id = derived_id("test", str(position)) if event in KNOWN else CHARGE
        if isinstance(event, PriceSet):
            stream_id = derived_id("test", f"{event.book} {event.model}")
        versions[stream_id] = versions.get(stream_id, 0) + 1
        found += checks.check(one(position, stream_id, versions[stream_id], event))
    return found


BEFORE, LATER = price(0), price(ADMITTED_AT_US + 1)
LAWFUL = [
    ("the only price", [BEFORE, *call(1)]),
    ("the second, which was set before the call", [BEFORE, price(1), *call(2)]),
    ("a price is set while the call is open", [BEFORE, call(1)[0], price(1), call(1)[1]]),
    ("one that is set begins later", [BEFORE, LATER, *call(1)]),
    ("one that began earlier is set later", [price(1), price(0), *call(1)]),
    ("two that begin at once: the last set", [price(1), price(1), *call(2)]),
    ("a draft and another model are nothing to it", [BEFORE, price(1, book="next"), *call(1)]),
    (
        "a draft of more versions is nothing to it",
        [BEFORE, price(1, book="next"), price(1, book="next"), *call(1)],
    ),
    ("another model's price is nothing to it", [BEFORE, price(1, model="n"), *call(1)]),
]


@pytest.mark.parametrize("events", [each[1] for each in LAWFUL], ids=[each[0] for each in LAWFUL])
def test_a11_a_price_in_force_is_lawful(events: list[Event]) -> None:
    assert found_in(events) == []


UNLAWFUL = [
    ("set before the hold, whatever later", [BEFORE, price(1), *call(1)], "when 2 was in force"),
    ("set before, to begin later", [BEFORE, LATER, *call(2)], "when 1 was in force"),
    ("one that was taken back in time", [price(1), price(0), *call(2)], "when 1 was in force"),
    ("set behind the hold", [BEFORE, call(2)[0], price(1), call(2)[1]], "when 1 was in force"),
]


@pytest.mark.parametrize(
    ("events", "message"), [each[1:] for each in UNLAWFUL], ids=[each[0] for each in UNLAWFUL]
)
def test_a11_a_version_that_was_not_in_force_is_told(events: list[Event], message: str) -> None:
    (found,) = found_in(events)
    assert found[0] == "price"
    assert message in found[1]


def test_a11_a_hold_that_grows_stays_under_its_price() -> None:
    opening, closing = call(1)
    assert isinstance(opening, QuotaReserved)
    assert isinstance(closing, UsageSettled)
    grown = msgspec.structs.replace(opening, hold_nanos=5)
    released = closing.released_nanos + 5
    closing = msgspec.structs.replace(closing, released_nanos=released)
    assert found_in([BEFORE, opening, price(1), grown, closing]) == []


def test_a18_invented_lines_under_a_version_that_never_was_are_told() -> None:
    opening, closing = call(999)
    assert isinstance(closing, UsageSettled)
    lines = (Line(kind="input", units=1_000, price_nanos=1_000_000_001, per_units=1_000_000),)
    closing = msgspec.structs.replace(closing, lines=lines, charged_nanos=1_000_000)
    assert found_in([BEFORE, opening, closing]) == [
        ("price", "opened under price version 999 of 'm', when 1 was in force"),
        ("amount", "there is no price version 999 of 'm'"),
    ]


def test_a18_lines_that_are_not_of_the_version_in_force_are_told() -> None:
    opening, closing = call(2)
    dearer = Price(rates={"input": 1_000_000_001})
    assert found_in([BEFORE, price(1, dearer), opening, closing]) == [
        ("amount", "the lines are not of price version 2")
    ]


def test_a18_a_model_without_any_price_is_told() -> None:
    assert found_in(call(1)) == [
        ("price", "opened under price version 1 of 'm', which had no price yet"),
        ("amount", "there is no price version 1 of 'm'"),
    ]


# ------------------------------------------------------------------ what providers take (T3)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWN, OTHERS = cost_book(CHANNEL), cost_book(CHARGE)
UNIT = Price(rates={"input": 1_000_000})
USED = Usage(input=10)


def us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


class CostSet(NamedTuple):
    """A price of the model "up", set and beginning so long after noon."""

    set_at: timedelta
    begins: timedelta
    book: str = COST


YESTERDAY = timedelta(days=-1)
AT_ONCE = CostSet(YESTERDAY, YESTERDAY)


def costs_found(
    books: Sequence[CostSet], version: int, book: str = COST, *, told_by: str = "settlement"
) -> list[str]:
    """What is wrong with the cost of a call admitted at noon, stored at once, and told two hours
    later: by its settlement, by a try of it or of a refund, or by usage that came late.
    """
    cost = Cost(book=book, price_version=version, amount_nanos=10)
    attempt = Attempt(
        channel_id=CHANNEL, outcome="failed", usage=USED, upstream_model="up", cost=cost
    )
    opening, settled = call(1)
    assert isinstance(opening, QuotaReserved)
    assert isinstance(settled, UsageSettled)
    opening = msgspec.structs.replace(opening, admitted_at_us=us(NOON))
    state = rules.evolve(rules.Charge(), opening)
    refund = rules.decide(state, rules.Refund("failed", "n", BOOT))[0]
    assert isinstance(refund, RefundIssued)
    late = LateUsage(channel_id=CHANNEL, upstream_model="up", cost=cost)
    adjust = rules.Adjust(
        BOOT, 1, "late_usage", "n", usage=USED, lines=price_lines(USED, SOLD), late=late
    )
    adjusted = rules.decide(rules.evolve(state, refund), adjust)
    endings: dict[str, list[Event]] = {
        "settlement": [_settled(settled, usage=USED, upstream_model="up", cost=cost)],
        "try": [_settled(settled, attempts=(attempt,))],
        "try of a refund": [msgspec.structs.replace(refund, attempts=(attempt,))],
        "late usage": [refund, *adjusted],
    }
    stored: list[tuple[timedelta, UUID, Event]] = [
        (YESTERDAY, derived_id("test", "sale"), price(0)),
        *[(YESTERDAY, derived_id("test", str(n)), each) for n, each in enumerate(KNOWN)],
        *[(each.set_at, derived_id("test", each.book), _cost_price(each)) for each in books],
        (timedelta(0), CHARGE_AT_NOON, opening),
        *[(2 * HOUR, CHARGE_AT_NOON, each) for each in endings[told_by]],
    ]
    stored.sort(key=lambda each: each[0])
    checks, versions = ChargeChecks(), Counter[UUID]()
    told: list[Problem] = []
    for position, (at, stream_id, event) in enumerate(stored, 1):
        versions[stream_id] += 1
        told += checks.check(one(position, stream_id, versions[stream_id], event, NOON + at))
    assert {check for check, _ in told} <= {"cost"}
    return [message for _, message in told]


CHARGE_AT_NOON = UUID(int=us(NOON) // 1_000 << 80 | 7)
"""Its id says when its call came in."""


def _cost_price(each: CostSet) -> PriceSet:
    return price(us(NOON + each.begins), UNIT, "up", each.book)


def _settled(settled: UsageSettled, **changes: Any) -> UsageSettled:  # noqa: ANN401 - its fields
    usage = changes.get("usage", settled.usage)
    lines = price_lines(usage, SOLD)
    return msgspec.structs.replace(
        settled,
        **changes,
        lines=lines,
        charged_nanos=charge_nanos(lines, settled.terms.multiplier),
    )


LAWFUL_COSTS = [
    ("in force all the time", [AT_ONCE], 1, COST),
    ("the newer one of two", [AT_ONCE, AT_ONCE], 2, COST),
    ("that began last, set first", [AT_ONCE, CostSet(YESTERDAY, 2 * YESTERDAY)], 1, COST),
    ("began while the call was open", [AT_ONCE, CostSet(YESTERDAY, HOUR)], 2, COST),
    ("ended while the call was open", [AT_ONCE, CostSet(YESTERDAY, HOUR)], 1, COST),
    ("set while the call was open", [AT_ONCE, CostSet(HOUR, YESTERDAY)], 2, COST),
    ("replaced while the call was open", [AT_ONCE, CostSet(HOUR, YESTERDAY)], 1, COST),
    ("the channel's own", [AT_ONCE, CostSet(YESTERDAY, YESTERDAY, OWN)], 1, OWN),
    ("before the channel had its own", [AT_ONCE, CostSet(HOUR, YESTERDAY, OWN)], 1, COST),
    ("before the channel's own began", [AT_ONCE, CostSet(YESTERDAY, HOUR, OWN)], 1, COST),
    (
        "another channel's is nothing to it",
        [AT_ONCE, CostSet(YESTERDAY, YESTERDAY, OTHERS)],
        1,
        COST,
    ),
]
LONG_BEFORE = timedelta(hours=-2)
FORGED_COSTS = [
    ("was not in force", [AT_ONCE, CostSet(LONG_BEFORE, LONG_BEFORE)], 1, COST),
    ("was not in force", [AT_ONCE, CostSet(YESTERDAY, 4 * HOUR)], 2, COST),
    ("was not in force", [AT_ONCE, CostSet(YESTERDAY, 2 * YESTERDAY)], 2, COST),
    (
        "was not in force",
        [
            CostSet(YESTERDAY, 3 * YESTERDAY),
            CostSet(HOUR / 2, YESTERDAY),
            CostSet(HOUR, 2 * YESTERDAY),
        ],
        3,
        COST,
    ),
    (
        "was not in force",
        [CostSet(YESTERDAY, YESTERDAY, OWN), CostSet(LONG_BEFORE, LONG_BEFORE, OWN)],
        1,
        OWN,
    ),
    ("had one of its own", [AT_ONCE, CostSet(YESTERDAY, YESTERDAY, OWN)], 1, COST),
    ("is not that of the channel", [AT_ONCE, CostSet(YESTERDAY, YESTERDAY, OTHERS)], 1, OTHERS),
    ("is not that of the channel", [AT_ONCE, CostSet(YESTERDAY, YESTERDAY, "draft")], 1, "draft"),
]
TOLD_BY = ["settlement", "try", "try of a refund", "late usage"]


@pytest.mark.parametrize("told_by", TOLD_BY)
@pytest.mark.parametrize(
    ("books", "version", "book"),
    [each[1:] for each in LAWFUL_COSTS],
    ids=[each[0] for each in LAWFUL_COSTS],
)
def test_t3_a_cost_in_force_at_some_moment_of_the_call_is_lawful(
    books: list[CostSet], version: int, book: str, told_by: str
) -> None:
    assert costs_found(books, version, book, told_by=told_by) == []


@pytest.mark.parametrize("told_by", TOLD_BY)
@pytest.mark.parametrize(("said", "books", "version", "book"), FORGED_COSTS)
def test_t3_a_cost_that_was_not_in_force_is_told(
    said: str, books: list[CostSet], version: int, book: str, told_by: str
) -> None:
    (told,) = costs_found(books, version, book, told_by=told_by)
    assert said in told


def test_t3_a_cost_replaced_a_moment_before_the_hold_was_stored_is_lawful() -> None:
    a_moment = timedelta(seconds=-COST_KNOWN_FOR_S + 1)
    assert costs_found([AT_ONCE, CostSet(a_moment, YESTERDAY)], 1) == []
    assert len(costs_found([AT_ONCE, CostSet(2 * a_moment, YESTERDAY)], 1)) == 1


def test_t3_what_a_probe_of_a_key_cost_is_known_before_its_charge_is_opened() -> None:
    for seconds, is_lawful in ((-COST_KNOWN_FOR_S + 1, True), (-COST_KNOWN_FOR_S - 1, False)):
        begins = CostSet(YESTERDAY, timedelta(seconds=seconds))
        told = costs_found([AT_ONCE, begins], 1, told_by="try of a refund")
        assert (told == []) == is_lawful
