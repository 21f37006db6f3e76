"""What of the cost of a call is charged, and what stays a memo. Decided here, and checked by it.

A call may cost more than was held for it, and the hold grows if its caps allow. But nothing that a
provider says makes it grow without bound, or keeps a charge open: beyond MEMO_NANOS_MAX the hold is
charged, and the rest is a memo that is no larger.
"""

from typing import NamedTuple

from ledger.money import MEMO_NANOS_MAX

COST_BEYOND_RANGE = "cost_beyond_range"
"""Anomaly: the usage would cost more than a call can."""


class Bill(NamedTuple):
    """The hold grows by `excess_nanos`, then `charged_nanos` of it are charged."""

    excess_nanos: int
    charged_nanos: int
    shortfall_nanos: int
    anomaly: str = ""


def bill(cost_nanos: int, held_nanos: int, covered_nanos: int | None) -> Bill:
    """The bill of a call. `covered_nanos`: how much beyond the hold may be held, too; None: all."""
    excess_nanos = max(0, cost_nanos - held_nanos)
    if excess_nanos > MEMO_NANOS_MAX:
        return Bill(0, held_nanos, MEMO_NANOS_MAX, COST_BEYOND_RANGE)
    granted_nanos = excess_nanos if covered_nanos is None else min(excess_nanos, covered_nanos)
    charged_nanos = min(cost_nanos, held_nanos + granted_nanos)
    return Bill(granted_nanos, charged_nanos, cost_nanos - charged_nanos)


def shortfall_nanos(cost_nanos: int, charged_nanos: int) -> int:
    """The memo that belongs to a charge: what it costs beyond, as far as a memo goes."""
    return min(cost_nanos - charged_nanos, MEMO_NANOS_MAX)
