"""A correction of a call gives back what was charged, once, and says who answered the call."""

from typing import cast

from ledger.ids import entity_id
from ledger.pricing import Price, price_lines
from ledger.streams.charge import rules
from ledger.streams.charge.events import ChargeAdjusted, LateUsage, UsageSettled
from ledger.usage import Usage
from tests.ledger.building import Call, payer, refund, reserve, settle

USAGE = Usage(input=10, output=5)
PRICE = Price(rates={"input": 1_000_000, "output": 1_000_000})


def corrected(call: Call, delta_nanos: int, late: LateUsage | None = None) -> ChargeAdjusted:
    lines = price_lines(USAGE, PRICE)
    reason, usage = ("reprice", None) if late is None else ("late_usage", USAGE)
    command = rules.Adjust(entity_id(), delta_nanos, reason, "a", usage, lines, late)  # type: ignore[arg-type]
    (adjusted,) = call.next(command)
    return cast("ChargeAdjusted", adjusted.event)


def test_a_correction_names_the_channel_and_model_that_answered() -> None:
    call = Call()
    call.next(reserve(payer().cover(), 10_000))
    settled = call.next(settle(USAGE, PRICE, covered_nanos=0))[-1].event
    for delta in (-3, 2):
        adjusted = corrected(call, delta)
        assert adjusted.channel_id == settled.channel_id  # type: ignore[attr-defined]
        assert adjusted.upstream_model == settled.upstream_model  # type: ignore[attr-defined]


def test_a_correction_of_a_call_that_nobody_answered_names_none() -> None:
    call = Call()
    call.next(reserve(payer().cover(), 10_000))
    call.next(refund())
    adjusted = corrected(call, 5)
    assert (adjusted.channel_id, adjusted.upstream_model) == (None, "")


def test_after_late_usage_a_correction_names_who_was_late() -> None:
    call = Call()
    call.next(reserve(payer().cover(), 10_000))
    call.next(refund())
    late = LateUsage(channel_id=entity_id(), upstream_model="m-late")
    came_late = corrected(call, 15, late)
    assert (came_late.channel_id, came_late.late) == (None, late)
    adjusted = corrected(call, -5)
    assert (adjusted.channel_id, adjusted.upstream_model) == (late.channel_id, "m-late")


def test_e_a_correction_gives_back_no_more_than_was_charged() -> None:
    call = Call()
    call.next(reserve(payer().cover(), 10_000))
    call.next(settle(USAGE, PRICE))
    assert call.state.charged_nanos == 15
    assert corrected(call, -10).delta_nanos == -10
    assert corrected(call, -10).delta_nanos == -5
    assert corrected(call, -10).delta_nanos == 0
    assert call.state.charged_nanos == 0
    assert corrected(call, 4).delta_nanos == 4
    assert corrected(call, -10).delta_nanos == -4


def test_e_a_correction_is_made_once() -> None:
    call = Call()
    call.next(reserve(payer().cover(), 10_000))
    call.next(settle(USAGE, PRICE))
    first, second = (rules.Adjust(entity_id(), -4, "refund", "a") for _ in range(2))
    assert len(call.next(first)) == 1
    assert call.next(first) == []
    assert len(call.next(second)) == 1
    assert call.next(first) == call.next(second) == []
    assert call.state.charged_nanos == 7


def test_e_what_falls_short_of_the_cost_is_told() -> None:
    """15 nanos, of which 10 were held: all that was held is charged, and the rest is a memo."""
    for covered, charged, short in ((0, 10, 5), (2, 12, 3), (None, 15, 0)):
        call = Call()
        call.next(reserve(payer().cover(), 10))
        settled = call.next(settle(USAGE, PRICE, covered_nanos=covered))[-1].event
        assert isinstance(settled, UsageSettled)
        assert (settled.charged_nanos, settled.shortfall_nanos) == (charged, short)
        assert settled.released_nanos == max(10, charged)
