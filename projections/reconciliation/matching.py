"""Matching: their figures and ours by day, model and unit, and what is to be said of each pair.

Names of models are matched exactly, then by the operator's mapping, and never otherwise. Figures
of one place are added up first, so that neither the order of rows nor how they are cut matters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from projections.reconciliation.contract import (
    ALL,
    EVERY_MODEL,
    REQUESTS,
    UNITS,
    Entry,
    Export,
)
from projections.reconciliation.exact import (
    ZERO,
    difference,
    product,
    total,
    usd_of_femto,
    usd_of_nanos,
)
from projections.reconciliation.ours import DayOfModel, Ours

Outcome = Literal[
    "matched",
    "within_tolerance",
    "price_differs",
    "usage_differs",
    "amount_differs",
    "only_theirs",
    "only_ours",
]
OUTCOMES: tuple[Outcome, ...] = (
    "matched",
    "within_tolerance",
    "price_differs",
    "usage_differs",
    "amount_differs",
    "only_theirs",
    "only_ours",
)
"""amount_differs: the amounts do, and the export does not say how many units they are for."""

AGREED: frozenset[Outcome] = frozenset({"matched", "within_tolerance"})

_BASIS_POINT = Decimal("0.0001")
_ORDER = {unit: number for number, unit in enumerate(UNITS)}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far ours may be from theirs: basis points of theirs, and for amounts `usd` beside."""

    basis_points: int = 0
    usd: Decimal = ZERO

    def of_units(self, theirs: Decimal) -> Decimal:
        """The largest difference of units that is let pass."""
        return product(product(theirs.copy_abs(), Decimal(self.basis_points)), _BASIS_POINT)

    def of_amount(self, theirs: Decimal) -> Decimal:
        """The largest difference of amounts, in dollars."""
        return total([self.of_units(theirs), self.usd])


class Figures(NamedTuple):
    """Units and dollars of one side; None: not said."""

    units: Decimal | None
    usd: Decimal | None

    def says_anything(self, *, has_units: bool, has_amounts: bool) -> bool:
        """Whether there is anything but zero in what the export speaks of."""
        return bool((has_units and self.units) or (has_amounts and self.usd))


NOTHING = Figures(None, None)


class Line(NamedTuple):
    """One comparison. `model` is our upstream name where there is one; their names beside it."""

    day: date
    model: str
    unit: str
    outcome: Outcome
    their_models: tuple[str, ...]
    theirs: Figures
    ours: Figures


@dataclass(frozen=True, slots=True)
class Matching:
    """All lines in order, and what the export speaks of at all."""

    lines: tuple[Line, ...]
    has_units: bool
    has_amounts: bool


Key = tuple[date, str, str]


@dataclass(slots=True)
class _Theirs:
    """Their figures of one place, while they are added up."""

    units: list[Decimal | None] = field(default_factory=list)
    usd: list[Decimal | None] = field(default_factory=list)
    models: set[str] = field(default_factory=set)

    def figures(self) -> Figures:
        return Figures(_sum(self.units), _sum(self.usd))


def match(export: Export, ours: Ours, aliases: Mapping[str, str], tolerance: Tolerance) -> Matching:
    """Compare an export with what was recorded in the same period."""
    has_units = any(entry.units is not None for entry in export.entries)
    has_amounts = any(entry.amount_usd is not None for entry in export.entries)
    known = ours.models()
    unsplit: set[DayOfModel] = set()
    if has_amounts and ALL not in export.covers:
        unsplit = {place for place, nanos in ours.unsplit_nanos.items() if nanos}
    by_model = any(entry.model != EVERY_MODEL for entry in export.entries) or not export.entries
    theirs = _theirs(export.entries, aliases, known, unsplit)
    mine = _mine(ours, export.covers, unsplit, by_model=by_model)
    lines = []
    for key in sorted(theirs.keys() | mine.keys(), key=_in_order):
        their, own = theirs.get(key), mine.get(key, NOTHING)
        figures = NOTHING if their is None else their.figures()
        if their is not None and figures == NOTHING:
            continue  # its amount is compared as part of the whole, and it had no units
        if not has_amounts:
            own = own._replace(usd=None)
        says = {"has_units": has_units, "has_amounts": has_amounts}
        outcome = _outcome(
            figures if figures.says_anything(**says) else None,
            own if own.says_anything(**says) else None,
            tolerance,
        )
        if outcome is not None:
            models = () if their is None else tuple(sorted(their.models))
            lines.append(Line(*key, outcome, models, figures, own))
    return Matching(tuple(lines), has_units, has_amounts)


def our_name(theirs: str, aliases: Mapping[str, str], known: Iterable[str]) -> str:
    """Our name of a model: the same if we have it, else what the mapping says, else theirs."""
    return theirs if theirs in known else aliases.get(theirs, theirs)


def _theirs(
    entries: Sequence[Entry], aliases: Mapping[str, str], known: set[str], unsplit: set[DayOfModel]
) -> dict[Key, _Theirs]:
    found: dict[Key, _Theirs] = {}
    for entry in entries:
        model = our_name(entry.model, aliases, known)
        units, usd = entry.units, entry.amount_usd
        if DayOfModel(entry.day, model) in unsplit:
            _add(found, (entry.day, model, ALL), entry.model, None, usd)
            usd = None
        _add(found, (entry.day, model, entry.unit), entry.model, units, usd)
    return found


def _add(
    found: dict[Key, _Theirs], key: Key, model: str, units: Decimal | None, usd: Decimal | None
) -> None:
    place = found.setdefault(key, _Theirs())
    place.units.append(units)
    place.usd.append(usd)
    if model:
        place.models.add(model)


def _mine(
    ours: Ours, covers: Sequence[str], unsplit: set[DayOfModel], *, by_model: bool
) -> dict[Key, Figures]:
    found: dict[Key, Figures] = {}
    for place in ours.requests:
        is_whole = ALL in covers or place in unsplit
        for unit in covers:
            if UNITS[unit]:
                figures = _of_unit(ours, place, unit)
                found[*place, unit] = figures._replace(usd=None) if is_whole else figures
        if is_whole:
            key = (place.day, place.model if by_model else EVERY_MODEL, ALL)
            usd = total([found.get(key, NOTHING).usd or ZERO, _whole_usd(ours, place)])
            found[key] = Figures(None, usd)
    return found


def _of_unit(ours: Ours, place: DayOfModel, unit: str) -> Figures:
    classes = UNITS[unit]
    units = sum(ours.units.get((place, kind), 0) for kind in classes)
    femto = sum(ours.femto.get((place, kind), 0) for kind in classes)
    if unit == REQUESTS:
        units = ours.requests[place]
    return Figures(Decimal(units), usd_of_femto(femto))


def _whole_usd(ours: Ours, place: DayOfModel) -> Decimal:
    """What everything of a place cost, as exactly as it is known."""
    nanos = usd_of_nanos(ours.unsplit_nanos.get(place, 0))
    return total([usd_of_femto(ours.whole_femto.get(place, 0)), nanos])


def _outcome(theirs: Figures | None, ours: Figures | None, tolerance: Tolerance) -> Outcome | None:
    if theirs is None or ours is None:
        if theirs is None and ours is None:
            return None
        return "only_ours" if theirs is None else "only_theirs"
    units_gap = _gap(theirs.units, ours.units)
    usd_gap = _gap(theirs.usd, ours.usd)
    if theirs.units is not None and units_gap > tolerance.of_units(theirs.units):
        return "usage_differs"
    if theirs.usd is not None and usd_gap > tolerance.of_amount(theirs.usd):
        is_counted = theirs.units is not None and ours.units is not None
        return "price_differs" if is_counted else "amount_differs"
    return "within_tolerance" if units_gap or usd_gap else "matched"


def _gap(one: Decimal | None, other: Decimal | None) -> Decimal:
    return ZERO if one is None or other is None else difference(one, other).copy_abs()


def _sum(values: Sequence[Decimal | None]) -> Decimal | None:
    """The sum of what all parts say; None if one of them says nothing."""
    known = [value for value in values if value is not None]
    return total(known) if values and len(known) == len(values) else None


def _in_order(key: Key) -> tuple[date, str, int]:
    return key[0], key[1], _ORDER[key[2]]
