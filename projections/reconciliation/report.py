"""The report: all lines, and what they come to, per day and in all.

The capture rate is ours / theirs: how much of what a provider counted or charged we recorded. It
is told as an exact ratio and as a decimal. Every figure of both inputs is in exactly one place:
in a line, or in `not_compared`, or outside of the period.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from ledger.usage import TOKEN_CLASSES
from projections.reconciliation.contract import EVERY_MODEL, REQUESTS, TOKENS, Entry, Export
from projections.reconciliation.exact import (
    difference,
    plain,
    rate,
    ratio,
    split_nanos,
    total,
    usd_of_femto,
    usd_of_nanos,
)
from projections.reconciliation.matching import (
    AGREED,
    OUTCOMES,
    Line,
    Matching,
    Tolerance,
    match,
    our_name,
)
from projections.reconciliation.ours import Ours

VERSION = 1
"""Of the rules here and in `matching`: another one may give another report for the same inputs."""

_SNAPSHOT = re.compile(r"[-@]?(\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest|preview|v\d+)")

Side = Literal["theirs", "ours"]


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """Two sums and their ratio, ours / theirs; null where theirs is nothing."""

    theirs: str
    ours: str
    ratio: str | None
    rate: str | None


class DaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One day. The captures are null where the export does not speak of such things.

    recorded: what our events say everything cost, in dollars.
    """

    day: str
    tokens: Capture | None
    requests: Capture | None
    amount: Capture | None
    recorded: str
    estimated_requests: int
    uncosted_requests: int
    failed_attempts: int


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """Figures that are in no line."""

    tokens: str
    amount: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What all lines come to.

    outcomes and differences (theirs - ours, in dollars) are by outcome. recorded = the lines'
    amounts of ours + not_compared.amount + rounding. residue: what their amount has beyond whole
    nanodollars. suggestions: their name of a model -> ours that may be meant; never applied.
    """

    outcomes: dict[str, int]
    differences: dict[str, str]
    tokens: Capture | None
    requests: Capture | None
    amount: Capture | None
    recorded: str
    rounding: str
    residue: str
    not_compared: Left
    outside: Left
    outside_rows: int
    days: list[DaySummary]
    suggestions: dict[str, str]
    notes: list[str]

    @property
    def agrees(self) -> bool:
        """Whether every line is matched or within the tolerance."""
        return all(name in AGREED or not count for name, count in self.outcomes.items())


@dataclass(frozen=True, slots=True)
class Question:
    """What to compare: days first..last, both included, by these rules."""

    first: date
    last: date
    aliases: Mapping[str, str]
    tolerance: Tolerance
    today: date


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is told."""

    lines: tuple[Line, ...]
    summary: Summary


def reconcile(export: Export, ours: Ours, question: Question) -> Report:
    """Compare an export with what was recorded in the days of the question."""
    within = tuple(e for e in export.entries if question.first <= e.day <= question.last)
    outside = [e for e in export.entries if not question.first <= e.day <= question.last]
    asked = replace(export, entries=within)
    matching = match(asked, ours, question.aliases, question.tolerance)
    return Report(matching.lines, _summary(asked, ours, question, matching, outside))


def _summary(
    export: Export, ours: Ours, question: Question, matching: Matching, outside: list[Entry]
) -> Summary:
    lines = matching.lines
    recorded = usd_of_nanos(sum(ours.recorded_nanos.values()))
    exact = _exact_usd(ours)
    in_lines = _sum_usd(lines, "ours")
    theirs = _sum_usd(lines, "theirs")
    return Summary(
        outcomes={name: sum(line.outcome == name for line in lines) for name in OUTCOMES},
        differences={
            name: plain(_difference_usd(line for line in lines if line.outcome == name))
            for name in OUTCOMES
        },
        **_captures(lines, matching, export),
        recorded=plain(recorded),
        rounding=plain(difference(recorded, exact)),
        residue=plain(split_nanos(theirs)[1]),
        not_compared=Left(
            tokens=plain(difference(_all_tokens(ours), _sum_units(lines, TOKENS, "ours"))),
            amount=plain(difference(exact, in_lines)),
        ),
        outside=Left(
            tokens=plain(total(e.units for e in outside if e.units and e.unit in TOKENS)),
            amount=plain(total(e.amount_usd for e in outside if e.amount_usd)),
        ),
        outside_rows=len({e.place for e in outside}),
        days=_days(export, ours, matching, question),
        suggestions=_suggestions(export, ours, question.aliases),
        notes=_notes(export, ours, question, lines),
    )


def _days(export: Export, ours: Ours, matching: Matching, question: Question) -> list[DaySummary]:
    by_day: dict[date, list[Line]] = {}
    for line in matching.lines:
        by_day.setdefault(line.day, []).append(line)
    days = by_day.keys() | {day for day, count in ours.failed.items() if count}
    days |= {day for day, nanos in ours.recorded_nanos.items() if nanos}
    return [
        DaySummary(
            day=day.isoformat(),
            **_captures(by_day.get(day, []), matching, export),
            recorded=plain(usd_of_nanos(ours.recorded_nanos.get(day, 0))),
            estimated_requests=ours.estimated.get(day, 0),
            uncosted_requests=ours.uncosted.get(day, 0),
            failed_attempts=ours.failed.get(day, 0),
        )
        for day in sorted(days)
        if question.first <= day <= question.last
    ]


def _captures(
    lines: Iterable[Line], matching: Matching, export: Export
) -> dict[str, Capture | None]:
    told = list(lines)
    tokens = requests = amount = None
    if matching.has_units:
        counted = [
            line for line in told if line.theirs.usd is None or line.theirs.units is not None
        ]
        tokens = _units_capture(counted, TOKENS)
        if REQUESTS in export.covers:
            requests = _units_capture(counted, (REQUESTS,))
    if matching.has_amounts:
        amount = _capture(_sum_usd(told, "theirs"), _sum_usd(told, "ours"))
    return {"tokens": tokens, "requests": requests, "amount": amount}


def _units_capture(lines: Sequence[Line], units: tuple[str, ...]) -> Capture:
    return _capture(_sum_units(lines, units, "theirs"), _sum_units(lines, units, "ours"))


def _capture(theirs: Decimal, ours: Decimal) -> Capture:
    exact = ratio(ours, theirs)
    return Capture(
        theirs=plain(theirs),
        ours=plain(ours),
        ratio=None if exact is None else f"{exact.numerator}/{exact.denominator}",
        rate=None if exact is None else rate(exact),
    )


def _sum_units(lines: Iterable[Line], units: tuple[str, ...], side: Side) -> Decimal:
    return total(
        found
        for line in lines
        if line.unit in units and (found := getattr(line, side).units) is not None
    )


def _sum_usd(lines: Iterable[Line], side: Side) -> Decimal:
    return total(found for line in lines if (found := getattr(line, side).usd) is not None)


def _difference_usd(lines: Iterable[Line]) -> Decimal:
    told = list(lines)
    return difference(_sum_usd(told, "theirs"), _sum_usd(told, "ours"))


def _exact_usd(ours: Ours) -> Decimal:
    """What everything cost, unrounded where that is known."""
    femto = usd_of_femto(sum(ours.whole_femto.values()))
    return total([femto, usd_of_nanos(sum(ours.unsplit_nanos.values()))])


def _all_tokens(ours: Ours) -> Decimal:
    return Decimal(sum(count for (_, kind), count in ours.units.items() if kind in TOKEN_CLASSES))


def _suggestions(export: Export, ours: Ours, aliases: Mapping[str, str]) -> dict[str, str]:
    """Names that differ by a date or the like only: a hint for the mapping, nothing more."""
    known = ours.models()
    names = {entry.model for entry in export.entries} - {EVERY_MODEL}
    strangers = sorted(name for name in names if our_name(name, aliases, known) not in known)
    found = {}
    for name in strangers:
        close = sorted(own for own in known if own and _differ_by_snapshot(name, own))
        if len(close) == 1:
            found[name] = close[0]
    return found


def _differ_by_snapshot(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    rest = longer[len(shorter) :]
    return longer.startswith(shorter) and _SNAPSHOT.fullmatch(rest) is not None


def _notes(export: Export, ours: Ours, question: Question, lines: tuple[Line, ...]) -> list[str]:
    notes = []
    if question.first <= question.today <= question.last:
        notes.append(f"{question.today} is not over in UTC: figures of both sides may still grow")
    if question.first < export.first_day or question.last > export.last_day:
        notes.append(f"the export is of {export.first_day} to {export.last_day}")
    uncosted = sum(ours.uncosted.values())
    if uncosted:
        notes.append(
            f"{uncosted} requests of ours have no cost price: their cost counts as nothing"
        )
    if any(ours.unsplit_nanos.values()):
        notes.append("some cost cannot be split by class: it is compared as a whole (unit `all`)")
    if any(ours.failed.values()) and any(line.outcome == "only_theirs" for line in lines):
        notes.append("tries that failed are not in our usage, and a provider may have counted them")
    return notes
