"""A charge opens under the price that is in force at its position, and is priced so (A11, A18)."""

from collections.abc import Iterable

import msgspec
import pytest

from ledger.charge_checks import ChargeChecks, Problem
from ledger.ids import derived_id
from ledger.pricing import Line, Price
from ledger.streams.charge.events import QuotaReserved, UsageSettled
from ledger.streams.contract import Event
from ledger.streams.price import PriceSet
from tests.ledger.test_charge_checks import CHARGE, SOLD, called, one

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
    for position, event in enumerate(events, 1):
        stream_id = CHARGE
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
