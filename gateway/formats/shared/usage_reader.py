"""The one strict reader of what vendors say was used: their tables in, disjoint classes out."""

from collections.abc import Mapping
from typing import Any

from gateway.formats.shared.usage_table import (
    IMPLAUSIBLE,
    MALFORMED,
    TOTAL_BELOW_PARTS,
    WHOLES,
    Path,
    UsageTable,
    plain_member,
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


def read_members(table: UsageTable, told: Mapping[str, Any]) -> Read:
    """The same of an object. Raises Malformed."""
    wholes = {whole: first_count(table, told, table.wholes[whole]) for whole in WHOLES}
    total = first_count(table, told, table.total)
    if wholes["input"] is None:
        return None, table.without_input
    if wholes["output"] is None:
        is_known = table.output_left_out == "where_total_tells" and total is not None
        if not is_known and table.output_left_out != "always":
            return None, table.without_input
    parts: dict[str, int] = {}
    beside: dict[str, int] = {}
    for row in table.rows:
        count = first_count(table, told, row.paths) or 0
        if count and row.less is not None:
            count = max(0, count - (count_at(table, told, row.less) or 0))
        found = beside if row.within is None else parts
        found[row.kind] = max(count, found.get(row.kind, 0))
    read = {whole: count or 0 for whole, count in wholes.items()}
    if not table.keeps_total_below and 0 < (total or 0) < sum(read.values()):
        return None, TOTAL_BELOW_PARTS
    counts, odd = reconciled(table, Counts(read, parts, beside), total or 0)
    usage, above = _disjoint(table, counts)
    return usage, above if above == IMPLAUSIBLE else odd or above


def first_count(table: UsageTable, told: Mapping[str, Any], where: tuple[Path, ...]) -> int | None:
    """The count at the first of some places that tells one. Raises Malformed."""
    has_plain_names = table.member is plain_member
    for place in where:
        if has_plain_names and place.members[0] not in told:  # most of a table, for any vendor
            continue
        count = count_at(table, told, place)
        if count is not None:
            return count
    return None


def count_at(table: UsageTable, told: Mapping[str, Any], place: Path) -> int | None:
    """A count, None where it is absent or null; 0 is a count. Raises Malformed."""
    value = table.member(told, place.members[0])
    if value is None:
        return None
    if place.entry is not None:
        return _sum_of_entries(table, value, place)
    for name in place.members[1:]:
        if type(value) is not dict:
            raise Malformed(name)
        value = table.member(value, name)
    return _count(value)


def _sum_of_entries(table: UsageTable, entries: object, place: Path) -> int:
    assert place.entry is not None
    if type(entries) is not list or any(type(each) is not dict for each in entries):
        raise Malformed(place.members[0])
    name, value = place.entry
    return sum(
        _count(table.member(each, place.members[-1])) or 0
        for each in entries
        if (each.get(name) == value) is not place.is_other
    )


def _count(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= COUNT_MAX:
        raise Malformed
    return value


def _disjoint(table: UsageTable, counts: Counts) -> tuple[Usage, str | None]:
    """Parts taken off their whole one after the other: the sum of classes is always the whole."""
    left: dict[str, int] = {whole: counts.wholes[whole] for whole in WHOLES}
    anomaly = None
    classes = dict(counts.beside)
    for row in table.rows:
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
