"""What stands in the table of a statement for people: its lines, or what they come to."""

from dataclasses import dataclass
from datetime import UTC

from ledger.money import NANOS_PER_USD
from ledger.statement import Standing, StatementLine
from ledger.statement_summary import By, SummaryRow

_KINDS = {"credit": "Credit", "charge": "Call", "adjustment": "Adjustment"}
_UNLABELLED = {"day": "", "model": "Without a model", "key": "Without a key"}


@dataclass(frozen=True, slots=True)
class Row:
    """Two lines of a table; None: nothing is set there."""

    left: str
    left_below: str
    text: str
    text_below: str
    amount_nanos: int | None
    balance_nanos: int | None


def lined(line: StatementLine) -> Row:
    """One line."""
    return Row(
        line.recorded_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        f"position {line.position}",
        _description(line),
        _reference(line),
        line.amount_nanos,
        line.balance_nanos,
    )


def summed(row: SummaryRow, by: By) -> Row:
    """What the lines of a day, a model or a key come to."""
    left, text = (row.label, "") if by == "day" else ("", row.label or _UNLABELLED[by])
    counted = _counted(row.moved)
    if by == "day":
        text, counted = counted, ""
    return Row(left, "", text, counted, row.moved.posted_nanos, row.balance_nanos)


def _counted(moved: Standing) -> str:
    """`3 calls -0.5 · 1 credit 10`: what there is of it."""
    parts = (
        (moved.charges, "call", -moved.charged_nanos),
        (moved.credits, "credit", moved.credited_nanos),
        (moved.adjustments, "adjustment", moved.adjusted_nanos),
    )
    return " · ".join(
        f"{count} {word}{'s' * (count != 1)} {amount_text(nanos)}"
        for count, word, nanos in parts
        if count
    )


def amount_text(nanos: int) -> str:
    """Exact, with all nine digits, so that points stand below points."""
    dollars, fraction = divmod(abs(nanos), NANOS_PER_USD)
    return f"{'-' if nanos < 0 else ''}{dollars:,}.{fraction:09d}"


def _description(line: StatementLine) -> str:
    parts = (_KINDS[line.kind], line.model, line.detail)
    return " · ".join(part for part in parts if part)


def _reference(line: StatementLine) -> str:
    return str(line.reference) if line.key_id is None else f"{line.reference} · key {line.key_id}"
