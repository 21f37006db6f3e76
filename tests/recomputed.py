"""A charge computed again from its event alone, by fractions, with none of the ledger's code."""

from fractions import Fraction

import msgspec

_PER_CALL = {"calls": 1}
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
    """What usage costs under a price, given per million units (`calls`: each)."""
    exact = Fraction(0)
    for kind, units in usage.items():
        priced = kind
        while priced not in rates and priced in _PARENTS:
            priced = _PARENTS[priced]
        exact += Fraction(units * rates.get(priced, 0), _PER_CALL.get(kind, 1_000_000))
    return _half_up(exact * times)


def _half_up(exact: Fraction) -> int:
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
