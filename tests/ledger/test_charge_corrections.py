"""A correction of a call says who answered the call, so that profit can be told by channel."""

from typing import cast

from ledger.ids import entity_id
from ledger.pricing import Price, price_lines
from ledger.streams.charge import rules
from ledger.streams.charge.events import ChargeAdjusted, LateUsage
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
