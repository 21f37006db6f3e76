"""Any table or any JSON objects, by a mapping that the operator gives (`contract.MappingFile`).

Either each row is about one class, named in the column `unit` and counted in `units`, or each
class has a column of its own (`quantities`). An amount beside the latter is that of the whole row.
The currency must be the US dollar: by a column that says so, or by there being none.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from projections.reconciliation.contract import (
    ALL,
    EVERY_MODEL,
    OTHER,
    UNITS,
    Columns,
    Entry,
    Export,
    ExportFormat,
    MappingFile,
    MappingRefused,
    ParseOptions,
)
from projections.reconciliation.documents import flat_records, is_json, table, text_of
from projections.reconciliation.exact import product
from projections.reconciliation.records import BadCell, Record, export_of, refuse_repeats

_SCALE_MAX = Decimal(10**9)
_WHOLE = datetime(2001, 12, 28, 13, 14, 15, tzinfo=UTC)


def _parse(content: bytes, options: ParseOptions) -> Export:
    mapping = options.mapping
    columns = _checked(mapping)
    text = text_of(content, options)
    if is_json(text):
        records = flat_records(text, options)
    else:
        named = [columns.day, columns.model, columns.unit, columns.units, columns.amount]
        required = [name for name in (*named, columns.currency, *mapping.quantities) if name]
        records = table(text, options, delimiter=mapping.delimiter, required=required)
    reader = _Reader(columns, mapping, options.today)
    refuse_repeats(records, options)
    return export_of(records, reader.read, reader.covers, options)


class _Reader:
    """Reads one row as the mapping says."""

    def __init__(self, columns: Columns, mapping: MappingFile, today: date) -> None:
        self._columns = columns
        self._mapping = mapping
        self._today = today
        self._amount_scale = Decimal(mapping.amount_scale)
        self._units_scale = Decimal(mapping.units_scale)

    def read(self, record: Record) -> tuple[date, Iterable[Entry]]:
        """Its day and entries. Raises BadCell."""
        day = record.day(self._columns.day, self._today, self._mapping.date_format)
        model = EVERY_MODEL
        if self._columns.model is not None:
            model = record.required(self._columns.model)
        if self._columns.currency is not None:
            record.require_usd(self._columns.currency)
        if self._mapping.quantities:
            return day, list(self._wide(record, day, model))
        return day, (self._narrow(record, day, model),)

    def covers(self, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """What the mapping can give, whether it occurs or not."""
        if self._mapping.quantities:
            amounts = (ALL,) if self._columns.amount is not None else ()
            return (*self._mapping.quantities.values(), *amounts)
        if self._columns.unit is None:
            return (ALL,)
        return (*self._mapping.unit_classes.values(), *(entry.unit for entry in entries))

    def _wide(self, record: Record, day: date, model: str) -> Iterable[Entry]:
        for column, unit in self._mapping.quantities.items():
            units = self._scaled_units(record, column)
            yield Entry(record.place, day, model, unit, units or Decimal(0), None)
        if self._columns.amount is not None:
            amount = self._scaled_amount(record, self._columns.amount)
            yield Entry(record.place, day, model, ALL, None, amount)

    def _narrow(self, record: Record, day: date, model: str) -> Entry:
        columns = self._columns
        unit = ALL
        if columns.unit is not None:
            name = record.required(columns.unit)
            unit = self._mapping.unit_classes.get(name, name)
            if unit not in UNITS:
                raise BadCell(columns.unit, f"{name[:40]!r} is no unit class the mapping gives")
        units = amount = None
        if columns.units is not None and unit != ALL:
            units = self._scaled_units(record, columns.units)
        if columns.amount is not None:
            amount = self._scaled_amount(record, columns.amount)
        if units is None and amount is None:
            raise BadCell(columns.units or columns.amount or "", "must not be empty")
        if unit == OTHER and columns.unit is not None:
            model = f"{model} {record.text(columns.unit)}".strip()
        return Entry(record.place, day, model, unit, units, amount)

    def _scaled_units(self, record: Record, column: str) -> Decimal | None:
        quantity = record.amount(column)
        if quantity is None:
            return None
        units = product(quantity, self._units_scale)
        if units < 0 or units != units.to_integral_value():
            raise BadCell(column, f"{quantity} is not a whole number of units from 0")
        return units

    def _scaled_amount(self, record: Record, column: str) -> Decimal:
        amount = record.amount(column)
        if amount is None:
            raise BadCell(column, "must not be empty")
        return product(amount, self._amount_scale)


def _checked(mapping: MappingFile) -> Columns:
    """The columns of a mapping that can be meant. Raises MappingRefused."""
    columns = mapping.columns
    if columns is None:
        raise MappingRefused("a generic export needs a mapping with `columns`")
    if mapping.quantities and (columns.unit or columns.units):
        raise MappingRefused("give `unit` and `units`, or `quantities`, not both")
    if not (mapping.quantities or columns.units or columns.amount):
        raise MappingRefused("neither `units` nor `quantities` nor `amount` is given")
    if columns.units and not columns.unit:
        raise MappingRefused("`units` need a column `unit` that says what they are")
    if mapping.quantities and columns.model is None:
        raise MappingRefused("`quantities` need a column `model`")
    if columns.unit and columns.model is None:
        raise MappingRefused("`unit` needs a column `model`")
    for unit in (*mapping.quantities.values(), *mapping.unit_classes.values()):
        if unit not in UNITS or (mapping.quantities and unit == ALL):
            raise MappingRefused(f"{unit[:40]!r} is no unit class; there are {', '.join(UNITS)}")
    if len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n':
        raise MappingRefused("`delimiter` must be one character")
    _check_scale("amount_scale", mapping.amount_scale)
    _check_scale("units_scale", mapping.units_scale)
    _check_date_format(mapping.date_format)
    return columns


def _check_scale(name: str, text: str) -> None:
    try:
        scale = Decimal(text)
    except InvalidOperation as error:
        raise MappingRefused(f"`{name}` must be a decimal such as 0.01") from error
    if not scale.is_finite() or not 0 < scale <= _SCALE_MAX or len(text) > 30:
        raise MappingRefused(f"`{name}` must be a positive decimal such as 0.01")


def _check_date_format(date_format: str) -> None:
    """It must tell two days apart."""
    if date_format == "unix":
        return
    try:
        again = datetime.strptime(_WHOLE.strftime(date_format), date_format)  # noqa: DTZ007
    except ValueError as error:
        raise MappingRefused(f"`date_format` {date_format[:40]!r} is no date format") from error
    if again.date() != _WHOLE.date():
        raise MappingRefused(f"`date_format` {date_format[:40]!r} does not say year, month and day")


FORMAT = ExportFormat(
    name="generic",
    provider_type=None,
    help="any CSV or JSON objects, by a mapping of columns",
    parse=_parse,
)
