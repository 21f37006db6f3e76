"""What a provider's export is to us, and what its parser must give.

A new provider is one file in `formats/` and one line in `registry.py`:

    def _parse(content: bytes, options: ParseOptions) -> Export: ...

    FORMAT = ExportFormat("provider-usage", "provider", "what the file is", _parse)

A parser is strict: it gives every row of a file, or refuses the file and names the rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from ledger.usage import TOKEN_CLASSES

ALL = "all"
"""The unit of an amount that is not broken down by class."""

REQUESTS = "requests"
"""Answers, counted; what is priced per call is under it as well."""

OTHER = "other"
"""Something we do not meter: storage, or tool calls that are told without a count. The provider's
own words stand for the model."""

EVERY_MODEL = ""
"""The model of an amount that is not broken down by model."""

UNITS: Mapping[str, tuple[str, ...]] = {
    "input": ("input",),
    "cache_read": ("cache_read",),
    "cache_write": ("cache_write_5m", "cache_write_1h"),
    "cache_write_5m": ("cache_write_5m",),
    "cache_write_1h": ("cache_write_1h",),
    "audio_in": ("audio_in",),
    "image_in": ("image_in",),
    "output": ("output", "reasoning"),
    "audio_out": ("audio_out",),
    "image_out": ("image_out",),
    "web_search": ("web_search",),
    "file_search": ("file_search",),
    "code_execution": ("code_execution",),
    REQUESTS: ("calls",),
    ALL: (),
    OTHER: (),
}
"""The unit classes of reports, in their order, and which of our usage classes each is made of.

Providers count reasoning within the output, so we compare the two together.
"""

TOKENS = tuple(unit for unit, kinds in UNITS.items() if kinds and set(kinds) <= set(TOKEN_CLASSES))
"""The units that capture rates are of: one token is like another, a request is not."""

Repeated = Literal["refuse", "count"]


class Entry(NamedTuple):
    """One figure of an export. `place` says where it stands; None: the export does not say.

    units is never negative; amount_usd may be (a credit). Both are exact.
    """

    place: str
    day: date
    model: str
    unit: str
    units: Decimal | None
    amount_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Export:
    """A whole file. `covers`: the units it breaks its figures down by.

    What we recorded under other units is not compared. A file with amounts under ALL and units
    under classes covers both. Days are those of the provider, in UTC; first and last include days
    that are empty.
    """

    entries: tuple[Entry, ...]
    covers: tuple[str, ...]
    first_day: date
    last_day: date


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the columns of a generic export are called; a field of a JSON object by its path."""

    day: str
    model: str | None = None
    unit: str | None = None
    units: str | None = None
    amount: str | None = None
    currency: str | None = None


class MappingFile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What an operator says about an export. `models` is for every format, the rest is generic.

    models: the provider's name of a model -> our upstream name; used where no upstream model has
    the provider's name. unit_classes: a value of the column `unit` -> unit class.
    quantities: a column -> unit class, where each class has a column of its own; then `amount` is
    that of the whole row. amount_scale: what one unit of `amount` is in dollars, e.g. 0.01.
    units_scale: what one unit of a quantity is, e.g. 1000. date_format: as of strptime, or `unix`.
    """

    models: dict[str, str] = {}
    columns: Columns | None = None
    unit_classes: dict[str, str] = {}
    quantities: dict[str, str] = {}
    amount_scale: str = "1"
    units_scale: str = "1"
    delimiter: str = ","
    date_format: str = "%Y-%m-%d"
    repeated_rows: Repeated = "refuse"


NO_MAPPING = MappingFile()


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What a parser is given beside the file. `today`: in UTC, no row may be of a later day."""

    today: date
    mapping: MappingFile = NO_MAPPING
    bytes_max: int = 64_000_000
    rows_max: int = 500_000
    problems_max: int = 20


class Problem(NamedTuple):
    """What is wrong with a file: where, in which column (empty: the whole row), and what."""

    place: str
    column: str
    message: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.place, self.column) if part)
        return f"{where}: {self.message}"


class ExportRefused(Exception):
    """The file is not what it should be; nothing was taken from it.

    `problems` has the first ones, `more` is how many further rows are wrong.
    """

    def __init__(self, problems: tuple[Problem, ...], more: int = 0) -> None:
        told = "; ".join(map(str, problems))
        super().__init__(f"{told}; and {more} more" if more else told)
        self.problems = problems
        self.more = more


class MappingRefused(Exception):
    """What the operator says about the export cannot be meant."""


Parse = Callable[[bytes, ParseOptions], Export]


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A kind of export. provider_type: the type of the channels it is about, unless others are
    named; None: all of them. parse raises ExportRefused and MappingRefused.
    """

    name: str
    provider_type: str | None
    help: str
    parse: Parse


def refuse(place: str, column: str, message: str) -> ExportRefused:
    """A file with one thing wrong."""
    return ExportRefused((Problem(place, column, message),))


def refuse_all(problems: Sequence[Problem], options: ParseOptions) -> ExportRefused:
    """A file with several things wrong, of which the first ones are told."""
    told = tuple(problems[: options.problems_max])
    return ExportRefused(told, len(problems) - len(told))


def itemised_or_whole(
    entries: Sequence[Entry], itemised: tuple[str, ...], column: str
) -> tuple[str, ...]:
    """What a cost export covers: these units, or only whole days.

    Raises ExportRefused where some rows are about whole days and others are not.
    """
    whole = [entry for entry in entries if entry.unit == ALL]
    if not whole:
        return itemised if entries else (ALL,)
    if len(whole) != len(entries):
        raise refuse(whole[0].place, column, "is empty here and not in other rows")
    return (ALL,)
