"""Alarms: a row for each kind, with an event that is one, and neighbours that are none."""

from typing import Any

import msgspec
import pytest

from ledger.alarms import KINDS, alarms
from ledger.pricing import price_lines
from ledger.streams.charge.events import Attempt, ChargeAdjusted, Cost, LateUsage
from ledger.streams.contract import Event
from ledger.streams.registry import STREAM_OF
from ledger.usage import Usage
from tests.ledger.building import samples
from tests.projections.hand_made import (
    CHANNEL,
    PRICE,
    SPARE,
    adjusted,
    credit,
    refunded,
    reserved,
    settled,
)

USAGE = Usage(input=10)
PAID = Attempt(
    channel_id=SPARE,
    outcome="failed",
    usage=USAGE,
    upstream_model="m",
    cost=Cost(book="cost", price_version=1, amount_nanos=4),
)
UNPRICED = msgspec.structs.replace(PAID, cost=None)
UNKNOWN = Attempt(channel_id=SPARE, outcome="timeout")
LATE = LateUsage(channel_id=CHANNEL, upstream_model="m-large")


def closed(charged_nanos: int = 10, **changes: Any) -> Event:  # noqa: ANN401
    return settled(50, USAGE, charged_nanos, **changes)


def refused(reason: str, *attempts: Attempt) -> Event:
    return msgspec.structs.replace(refunded(50, *attempts), reason=reason)


def late(delta_nanos: int, **changes: Any) -> ChargeAdjusted:  # noqa: ANN401
    lines = price_lines(USAGE, PRICE)
    told = {"usage": USAGE, "lines": lines, "late": LATE, **changes}
    return adjusted(delta_nanos, reason="late_usage", **told)


ALARMS: dict[str, tuple[Event, list[tuple[str, int, object]]]] = {
    "A6: cost beyond the hold": (
        closed(shortfall_nanos=7),
        [("cost_beyond_hold", 7, CHANNEL)],
    ),
    "A6: cost beyond range": (
        closed(shortfall_nanos=10**15, anomaly="cost_beyond_range"),
        [("cost_beyond_hold", 10**15, CHANNEL)],
    ),
    "A2: two tries that are paid": (
        closed(attempts=(PAID, UNKNOWN, PAID)),
        [("paid_without_charge", 8, SPARE)],
    ),
    "A2: nobody knows what it costs": (
        closed(attempts=(UNKNOWN, UNPRICED)),
        [("paid_without_charge", 0, SPARE)],
    ),
    "A2: nobody answered": (
        refunded(50, PAID, UNKNOWN),
        [("paid_without_charge", 4, SPARE)],
    ),
    "C5: a key was probed": (refused("key_probe", PAID), []),
    "A2: told after others had closed it": (
        adjusted(0, reason="late_usage", attempts=(PAID,)),
        [("paid_without_charge", 4, SPARE)],
    ),
    "A2: given back by a node": (
        adjusted(-9, actor="node:n1", channel_id=CHANNEL),
        [("charge_given_back", 9, CHANNEL)],
    ),
    "A7: late usage, covered in part": (late(4), [("late_usage_uncovered", 6, CHANNEL)]),
    "A7: late usage, not covered": (
        late(0, attempts=(PAID,)),
        [("paid_without_charge", 4, SPARE), ("late_usage_uncovered", 10, CHANNEL)],
    ),
    "A21: a settlement that was refused": (
        refused("unsettled", UNKNOWN, PAID),
        [("paid_without_charge", 4, SPARE), ("closing_refused", 50, SPARE)],
    ),
    "a node that died": (refused("node_lost"), [("node_lost", 50, None)]),
    "A5: usage that is contradicted": (
        closed(anomaly="usage_contradicted"),
        [("usage_contradicted", 10, CHANNEL)],
    ),
    "A3: unexplained, and implausible": (
        closed(shortfall_nanos=5, anomaly="total_above_parts,usage_implausible"),
        [
            ("cost_beyond_hold", 5, CHANNEL),
            ("usage_implausible", 15, CHANNEL),
            ("total_above_parts", 15, CHANNEL),
        ],
    ),
    "A3: unexplained, sold for nothing, and paid": (
        closed(0, anomaly="total_below_parts", cost=PAID.cost),
        [("total_below_parts", 4, CHANNEL)],
    ),
}
PEACEFUL: dict[str, Event] = {
    "a hold": reserved(50),
    "money in": credit(50),
    "settled": closed(),
    "a try that failed": closed(attempts=(UNKNOWN, UNKNOWN)),
    "refunded": refunded(50, UNKNOWN),
    "an anomaly that was explained": closed(anomaly="cache_beside_prompt"),
    "a name within another": closed(anomaly="not_usage_contradicted,usage_contradicted_not"),
    "no money at stake": closed(0, anomaly="usage_contradicted"),
    "given back by an operator": adjusted(-9, actor="operator:x"),
    "repriced by a node": adjusted(-9, actor="node:n1", reason="reprice"),
    "late usage, all of it charged": late(10),
}


@pytest.mark.parametrize("name", ALARMS)
def test_an_event_is_the_alarms_of_its_row(name: str) -> None:
    event, expected = ALARMS[name]
    assert [tuple(alarm) for alarm in alarms(event)] == expected


@pytest.mark.parametrize("name", PEACEFUL)
def test_what_is_as_it_should_be_alarms_nobody(name: str) -> None:
    assert alarms(PEACEFUL[name]) == []


def test_every_kind_is_in_the_table_of_this_test_or_of_the_gateways() -> None:
    seen = {kind for _, told in ALARMS.values() for kind, _, _ in told}
    doubts = {
        kind.name for kind in KINDS if kind.name.startswith(("usage_", "total_", "unpriced_"))
    }
    assert {kind.name for kind in KINDS} == seen | doubts
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_any_event_can_be_asked() -> None:
    kinds = {alarm.kind for event in samples() for alarm in alarms(event)}
    assert kinds <= {kind.name for kind in KINDS}
    assert {type(event) for event in samples()} == set(STREAM_OF)
