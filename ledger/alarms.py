"""What of the log somebody should look at: one table of kinds, each with the events that are one.

An alarm is read off an event that tells of money: nothing is stored for it, so the log of the past
has its alarms as well. The line in the program's log, the read model and its counter are of the
same table.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from ledger.pricing import charge_nanos
from ledger.streams.charge.events import ChargeAdjusted, RefundIssued, UsageSettled
from ledger.streams.contract import Event

KEY_PROBE = "key_probe"
"""Why a charge is given back whole that was a question of our own, to a provider's key."""

Stake = tuple[int, UUID | None]
"""How much money it is about, in nanodollars as far as the event says, and at which channel."""

IsAlarm = Callable[[Any], Stake | None]
"""Given an event of the types it is for: what is at stake; None: it is no such alarm."""


class Alarm(NamedTuple):
    """One alarm of an event; no event has two of a kind."""

    kind: str
    amount_nanos: int
    channel_id: UUID | None


class Kind(NamedTuple):
    """A kind of alarm, in one line for people, and when an event of which types is one."""

    name: str
    meaning: str
    events: tuple[type[Event], ...]
    is_alarm: IsAlarm


def alarms(event: Event) -> list[Alarm]:
    """The alarms that an event is; nearly always none."""
    kinds = _BY_TOPIC.get(event.TOPIC, ())
    if isinstance(event, UsageSettled) and event.anomaly:
        kinds += _DOUBTED
    found = []
    for kind in kinds:
        stake = kind.is_alarm(event)
        if stake is not None:
            found.append(Alarm(kind.name, *stake))
    return found


def _cost_beyond_hold(settled: UsageSettled) -> Stake | None:
    if not settled.shortfall_nanos:
        return None
    return settled.shortfall_nanos, settled.channel_id


def _doubted(anomaly: str) -> IsAlarm:
    """Settlements with this anomaly, where that is about money."""

    def is_doubted(settled: UsageSettled) -> Stake | None:
        if not settled.anomaly or anomaly not in settled.anomaly.split(","):
            return None
        cost_nanos = 0 if settled.cost is None else settled.cost.amount_nanos
        amount_nanos = settled.charged_nanos + settled.shortfall_nanos or cost_nanos
        return (amount_nanos, settled.channel_id) if amount_nanos else None

    return is_doubted


def _paid_without_charge(told: UsageSettled | RefundIssued | ChargeAdjusted) -> Stake | None:
    """With an amount of 0 where nobody told what it costs. That a key is probed is meant to be."""
    if isinstance(told, RefundIssued) and told.reason == KEY_PROBE:
        return None
    used = [attempt for attempt in told.attempts if attempt.usage is not None]
    if not used:
        return None
    amount_nanos = sum(each.cost.amount_nanos for each in used if each.cost is not None)
    return amount_nanos, used[0].channel_id


def _refunded_for(reason: str) -> IsAlarm:
    """About all that was held: the most that it can have cost."""

    def is_refund(refund: RefundIssued) -> Stake | None:
        if refund.reason != reason:
            return None
        return refund.released_nanos, refund.attempts[-1].channel_id if refund.attempts else None

    return is_refund


def _given_back(adjusted: ChargeAdjusted) -> Stake | None:
    """By a node, not by an operator."""
    if adjusted.reason != "refund" or not adjusted.actor.startswith("node:"):
        return None
    return -adjusted.delta_nanos, adjusted.channel_id


def _late_usage_uncovered(adjusted: ChargeAdjusted) -> Stake | None:
    if adjusted.reason != "late_usage" or adjusted.late is None:
        return None
    lacking_nanos = charge_nanos(adjusted.lines, adjusted.terms.multiplier) - adjusted.delta_nanos
    return (lacking_nanos, adjusted.late.channel_id) if lacking_nanos > 0 else None


_SETTLED, _REFUNDED, _ADJUSTED = (UsageSettled,), (RefundIssued,), (ChargeAdjusted,)

_DOUBTS: Mapping[str, str] = {
    "usage_contradicted": "a provider told of no usage, though it answered",
    "usage_implausible": "a provider told more usage than a call can have",
    "usage_malformed": "a provider told a usage that cannot be read",
    "usage_incomplete": "a provider left out what it read",
    "total_above_parts": "a provider's total is more than its parts explain",
    "total_below_parts": "a provider's total is less than its parts explain",
    "unpriced_service": "a service answered that has no price; the dearest was charged",
    "unpriced_cost_service": "a service answered that has no price in the book of costs",
}
"""The anomalies that are alarms; the others were explained, and are charged rightly."""

_DOUBTED = tuple(Kind(name, meaning, _SETTLED, _doubted(name)) for name, meaning in _DOUBTS.items())
_PLAIN = (
    Kind("cost_beyond_hold", "nobody pays what was not covered", _SETTLED, _cost_beyond_hold),
    Kind(
        "paid_without_charge",
        "a provider is paid for what nobody is charged for",
        (*_SETTLED, *_REFUNDED, *_ADJUSTED),
        _paid_without_charge,
    ),
    Kind(
        "charge_given_back",
        "we failed to deliver; the charge was given back",
        _ADJUSTED,
        _given_back,
    ),
    Kind(
        "late_usage_uncovered",
        "usage came late, and the account did not cover it",
        _ADJUSTED,
        _late_usage_uncovered,
    ),
    Kind(
        "closing_refused",
        "the ledger refused a settlement for good; it was refunded",
        _REFUNDED,
        _refunded_for("unsettled"),
    ),
    Kind(
        "node_lost",
        "a node died with the call; what it used is not known",
        _REFUNDED,
        _refunded_for("node_lost"),
    ),
)
KINDS: Sequence[Kind] = (*_PLAIN, *_DOUBTED)
"""Every kind there is."""

EVENTS: tuple[type[Event], ...] = (*_SETTLED, *_REFUNDED, *_ADJUSTED)
"""The types of events that may be alarms."""

_BY_TOPIC = {each.TOPIC: tuple(kind for kind in _PLAIN if each in kind.events) for each in EVENTS}
