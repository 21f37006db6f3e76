"""The one strict reader of what vendors say was used: their tables in, disjoint classes out."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.formats.shared.usage_table import (
    IMPLAUSIBLE,
    MALFORMED,
    TOTAL_BELOW_PARTS,
    Path,
    Row,
    UsageTable,
    Whole,
)
from gateway.formats.shared.usage_totals import Counts, reconciled
from ledger.usage import COUNT_MAX as LEDGER_COUNT_MAX
from ledger.usage import Usage

COUNT_MAX = 1_000_000_000
"""More tokens than this in one call are a provider's mistake."""

Read = tuple[Usage | None, str | None]
"""A usage, and what is wrong with it.

(None, None) when there is none; (None, anomaly) when it cannot be used; (usage, anomaly) when it
had to be mended. Counts are tokens; `calls` is not the provider's to say and stays 0.
"""


class Malformed(Exception):
    """A count that is no count."""


def read_usage(table: UsageTable, told: object) -> Read:
    """The disjoint usage in the decoded document of a vendor."""
    if told is None:
        return None, None
    if type(told) is not dict:
        return None, MALFORMED
    try:
        return read_members(table, told)
    except Malformed:
        return None, MALFORMED


def read_members(table: UsageTable, told: dict[str, Any]) -> Read:
    """The same of an object. Raises Malformed."""
    input_count = first_count(table, told, table.wholes["input"])
    output_count = first_count(table, told, table.wholes["output"])
    total = first_count(table, told, table.total)
    if input_count is None:
        return None, table.without_input
    if output_count is None:
        is_known = table.output_left_out == "where_total_tells" and total is not None
        if not is_known and table.output_left_out != "always":
            return None, table.without_input
    wholes: dict[Whole, int] = {"input": input_count, "output": output_count or 0}
    if not table.keeps_total_below and total and total < sum(wholes.values()):
        return None, TOTAL_BELOW_PARTS
    return _divided(table, told, wholes, total or 0)


def _divided(table: UsageTable, told: dict[str, Any], wholes: dict[Whole, int], total: int) -> Read:
    """The wholes, with all that lies within and beside them told apart. Raises Malformed."""
    rows, parts, beside = _counters(table, told)
    if not rows and (not total or total == sum(wholes.values())):
        return Usage(**wholes), None
    counts, odd = reconciled(table, rows, Counts(wholes, parts, beside), total)
    usage, above = _disjoint(rows, counts)
    return usage, above if above == IMPLAUSIBLE else odd or above


def _counters(
    table: UsageTable, told: dict[str, Any]
) -> tuple[list[Row], dict[str, int], dict[str, int]]:
    """The rows that tell more than nothing, and by class what lies within the wholes and beside
    them. Raises Malformed.
    """
    rows = []
    parts: dict[str, int] = {}
    beside: dict[str, int] = {}
    for row in _rows_told(table, told):
        count = first_count(table, told, row.paths)
        if count and row.less is not None:
            count = max(0, count - count_at(table, told, row.less))
        if count:
            rows.append(row)
            found = beside if row.within is None else parts
            found[row.kind] = max(count, found.get(row.kind, 0))
    return rows, parts, beside


def _rows_told(table: UsageTable, told: dict[str, Any]) -> Sequence[Row]:
    """The counters that a usage may tell: for any vendor, a few of the table."""
    if table.member is not dict.get:  # members of several spellings
        return table.rows
    return [row for row in table.rows if not row.first_members.isdisjoint(told)]


def first_count(table: UsageTable, told: dict[str, Any], where: tuple[Path, ...]) -> int | None:
    """The count at the first of some places that tells one, None where it is absent or null; 0 is a
    count. Raises Malformed.
    """
    member = table.member
    for first, others, entry, is_other in where:
        value = member(told, first)
        if value is None:  # most places, for any vendor
            continue
        if entry is not None:
            return _sum_of_entries(table, value, Path(first, others, entry, is_other))
        for name in others:
            if type(value) is not dict:
                raise Malformed(name)
            value = member(value, name)
        if value is not None:
            return _count(value)
    return None


def count_at(table: UsageTable, told: dict[str, Any], place: Path) -> int:
    """The count at a place, 0 where there is none. Raises Malformed."""
    return first_count(table, told, (place,)) or 0


def _sum_of_entries(table: UsageTable, entries: object, place: Path) -> int:
    assert place.entry is not None
    if type(entries) is not list or any(type(each) is not dict for each in entries):
        raise Malformed(place.first)
    name, value = place.entry
    return sum(
        _count(table.member(each, place.others[-1]) or 0)
        for each in entries
        if (each.get(name) == value) is not place.is_other
    )


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= COUNT_MAX:
        raise Malformed
    return value


def _disjoint(rows: Sequence[Row], counts: Counts) -> tuple[Usage, str | None]:
    """Parts taken off their whole one after the other: the sum of classes is always the whole."""
    left = dict(counts.wholes)
    anomaly = None
    classes = dict(counts.beside)
    for row in rows:
        if row.within is None:
            continue
        part = counts.parts[row.kind]
        taken = min(part, left[row.within])
        if taken < part:
            anomaly = anomaly or row.above or None
        left[row.within] -= taken
        classes[row.kind] = classes.get(row.kind, 0) + taken
    for whole, rest in left.items():
        classes[whole] = classes.get(whole, 0) + rest
    usage, implausible = usage_of(classes)
    return usage, implausible or anomaly


def usage_of(classes: Mapping[str, int]) -> tuple[Usage, str | None]:
    """The usage of some sums, none of them larger than the ledger takes; whether they can be."""
    if max(classes.values()) <= COUNT_MAX:
        return Usage(**classes), None
    taken = {kind: min(count, LEDGER_COUNT_MAX) for kind, count in classes.items()}
    return Usage(**taken), IMPLAUSIBLE
