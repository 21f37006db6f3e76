"""What a vendor's total says of its parts: where they lie, and what of it nobody can explain.

A total that is not the sum of what it should be made of shows a vendor that counts otherwise. Each
way has a rule, tried in this order:

- the total has some parts more than the wholes: those lie beside their whole (xAI's reasoning,
  Mistral's audio, caches of some gateways), and the whole is made to include them;
- the total has some counters less: those lie within a whole, or the total leaves them out;
- the total has more, and there is nothing but a prompt and an answer: thoughts told in it alone;
- what is left cannot be explained. It is charged as nothing, and named.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from gateway.formats.shared.usage_table import (
    PARTS_WITHIN_WHOLE,
    THOUGHTS_IN_TOTAL_ALONE,
    TOTAL_ABOVE_PARTS,
    TOTAL_BELOW_PARTS,
    Row,
    UsageTable,
    Whole,
)


class Counts(NamedTuple):
    """What was told: of the wholes, of parts within them and of counters beside them, by class."""

    wholes: Mapping[Whole, int]
    parts: Mapping[str, int]
    beside: Mapping[str, int]

    @property
    def told_total(self) -> int:
        """What the total should be."""
        return sum(self.wholes.values()) + sum(self.beside.values())


def reconciled(
    table: UsageTable, told: Sequence[Row], counts: Counts, total: int
) -> tuple[Counts, str | None]:
    """The counts of the rows that were told, as the total shows them to lie, and what is odd about
    that. 0: no total was told.
    """
    above = [row for row in told if row.is_beside_above and _is_above(row, counts)]
    beyond = total - counts.told_total if total else 0
    if not beyond and not above:  # nearly always
        return counts, None
    rows = {row.kind: row for row in told}
    if beyond > 0 or above:
        chosen = next(_explaining(_movable(rows, counts), beyond, above), None)
        if chosen is not None:
            return _moved_beside(counts, chosen), _first(row.beside_as for row in chosen)
        counts = _moved_beside(counts, tuple(above))
        beyond -= sum(counts.parts[row.kind] for row in above)
    if beyond > 0:
        return _unexplained(table, counts, beyond)
    if beyond < 0 and not above:
        return _below(rows, counts, -beyond)
    return counts, None


def _is_above(row: Row, counts: Counts) -> bool:
    """Whether a part is more than its whole, which then cannot include it."""
    return row.within is not None and counts.parts[row.kind] > counts.wholes[row.within]


def _movable(rows: Mapping[str, Row], counts: Counts) -> dict[Row, int]:
    """Parts that may lie beside their whole, the likeliest first."""
    return {
        row: counts.parts[kind]
        for kind, row in rows.items()
        if row.beside_as is not None and counts.parts.get(kind)
    }


def _explaining(
    candidates: Mapping[Row, int], amount: int, needed: list[Row]
) -> Iterator[tuple[Row, ...]]:
    """The sets of counters that make up an amount, the smallest first."""
    for size in range(1, len(candidates) + 1):
        for chosen in combinations(candidates, size):
            if sum(candidates[row] for row in chosen) == amount and set(needed) <= set(chosen):
                yield chosen


def _moved_beside(counts: Counts, rows: tuple[Row, ...]) -> Counts:
    """Wholes that include everything of theirs."""
    wholes = dict(counts.wholes)
    for row in rows:
        assert row.within is not None
        wholes[row.within] += counts.parts[row.kind]
    return counts._replace(wholes=wholes)


def _unexplained(table: UsageTable, counts: Counts, beyond: int) -> tuple[Counts, str | None]:
    others = [kind for kind, count in counts.parts.items() if count and kind != "reasoning"]
    if not table.hides_thoughts or others or counts.beside.get("input"):
        return counts, TOTAL_ABOVE_PARTS
    thoughts = counts.beside.get("reasoning", 0) + beyond
    return counts._replace(beside={**counts.beside, "reasoning": thoughts}), THOUGHTS_IN_TOTAL_ALONE


def _below(rows: Mapping[str, Row], counts: Counts, lacking: int) -> tuple[Counts, str | None]:
    """A total that lacks counters that lie beside the wholes."""
    told = {row: counts.beside[kind] for kind, row in rows.items() if counts.beside.get(kind)}
    left_out = {row: count for row, count in told.items() if row.is_beside_total}
    if next(_explaining(left_out, lacking, []), None) is not None:
        return counts, None
    inside = {
        row: count
        for row, count in told.items()
        if row.inside is not None and count <= counts.wholes[row.inside]
    }
    chosen = next(_explaining(inside, lacking, []), None)
    if chosen is None:
        return counts, TOTAL_BELOW_PARTS
    wholes = dict(counts.wholes)
    for row in chosen:
        assert row.inside is not None
        wholes[row.inside] -= counts.beside[row.kind]
    return counts._replace(wholes=wholes), PARTS_WITHIN_WHOLE


def _first(anomalies: Iterator[str | None]) -> str | None:
    return next(filter(None, anomalies), None)
