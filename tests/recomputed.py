"""Money computed again from what the events say, with none of the ledger's own arithmetic."""

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec

from ledger.store.reader import Recorded

_PRICED_UNITS = {"calls": 1, "web_search": 1_000, "file_search": 1_000, "code_execution": 1_000}
_PARENTS = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_in": "input",
    "image_in": "input",
    "reasoning": "output",
    "audio_out": "output",
    "image_out": "output",
}


def cost_nanos(state: bytes) -> int:
    """What the stored bytes of a `UsageSettled` say that the call cost, in nanodollars."""
    event = msgspec.json.decode(state)
    exact = Fraction(0)
    for line in event["lines"]:
        assert line["units"] == event["usage"][line["kind"]]
        exact += Fraction(line["units"]) * line["price_nanos"] / line["per_units"]
    numerator, denominator = event["terms"].get("multiplier", (1, 1))
    return _half_up(exact * numerator / denominator)


def cost_by_price_nanos(usage: dict[str, int], rates: dict[str, int], times: Fraction) -> int:
    """What usage costs under a price, given per million tokens (see _PRICED_UNITS)."""
    exact = Fraction(0)
    for kind, units in usage.items():
        priced = kind
        while priced not in rates and priced in _PARENTS:
            priced = _PARENTS[priced]
        exact += Fraction(units * rates.get(priced, 0), _PRICED_UNITS.get(kind, 1_000_000))
    return _half_up(exact * times)


def lowest_available(log: Iterable[Recorded]) -> dict[UUID, int]:
    """The least that each account ever had available, over every position of the log."""
    available: dict[UUID, int] = defaultdict(int)
    lowest: dict[UUID, int] = defaultdict(int)
    for one in log:
        if one.account_id is not None:
            available[one.account_id] += _moved(one.topic, one.event)
            lowest[one.account_id] = min(lowest[one.account_id], available[one.account_id])
    return lowest


def _moved(topic: str, event: Any) -> int:  # noqa: ANN401 - any event
    match topic:
        case "credit.CreditGranted.v1":
            return event.amount_nanos  # type: ignore[no-any-return]
        case "charge.QuotaReserved.v1":
            return -event.hold_nanos  # type: ignore[no-any-return]
        case "charge.UsageSettled.v1":
            return event.released_nanos - event.charged_nanos  # type: ignore[no-any-return]
        case "charge.RefundIssued.v1":
            return event.released_nanos  # type: ignore[no-any-return]
        case "charge.ChargeAdjusted.v1":
            return -event.delta_nanos  # type: ignore[no-any-return]
        case _:
            return 0


def _half_up(exact: Fraction) -> int:
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
