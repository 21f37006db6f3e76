"""The lines of a report for others: as objects, and as CSV (RFC 4180) for spreadsheets, which

must not run what a file calls a model.
"""

import csv
import io
from decimal import Decimal
from typing import Any

from projections.reconciliation.exact import difference, plain
from projections.reconciliation.matching import Line

COLUMNS = (
    "day",
    "model",
    "their_models",
    "unit",
    "outcome",
    "their_units",
    "our_units",
    "difference_units",
    "their_amount",
    "our_amount",
    "difference_amount",
)
HEADER = ",".join(COLUMNS) + "\r\n"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def line_as_object(line: Line) -> dict[str, Any]:
    """A line under COLUMNS: figures as exact decimal strings, amounts in dollars, null for what

    is not said. Differences are theirs - ours.
    """
    theirs, ours = line.theirs, line.ours
    return {
        "day": line.day.isoformat(),
        "model": line.model,
        "their_models": list(line.their_models),
        "unit": line.unit,
        "outcome": line.outcome,
        "their_units": _figure(theirs.units),
        "our_units": _figure(ours.units),
        "difference_units": _gap(theirs.units, ours.units),
        "their_amount": _figure(theirs.usd),
        "our_amount": _figure(ours.usd),
        "difference_amount": _gap(theirs.usd, ours.usd),
    }


def line_as_csv(line: Line) -> str:
    """A line under HEADER, ending in CRLF."""
    told = line_as_object(line)
    told["model"] = inert(line.model)
    told["their_models"] = inert(" ".join(line.their_models))
    buffer = io.StringIO()
    csv.writer(buffer).writerow("" if told[name] is None else told[name] for name in COLUMNS)
    return buffer.getvalue()


def inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before what would begin one.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _figure(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _gap(theirs: Decimal | None, ours: Decimal | None) -> str | None:
    return None if theirs is None or ours is None else plain(difference(theirs, ours))
