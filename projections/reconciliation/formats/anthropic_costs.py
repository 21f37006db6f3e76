"""Anthropic's costs: `GET /v1/organizations/cost_report` as JSON, or the console's cost CSV.

https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-cost-report. The report's amounts
are decimal strings in cents; grouped by description a row names its model and kind of token. The
CSV is in dollars, rounded to cents, and calls models by their display names, so that it needs a
mapping of models and a tolerance.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from projections.reconciliation.contract import (
    ALL,
    EVERY_MODEL,
    OTHER,
    Entry,
    Export,
    ExportFormat,
    ParseOptions,
    itemised_or_whole,
)
from projections.reconciliation.documents import bucket_records, is_json, table, text_of
from projections.reconciliation.exact import product
from projections.reconciliation.records import BadCell, Read, Record, export_of, refuse_repeats

_CENT = Decimal("0.01")
_UNIT_OF_TYPE: Mapping[str, str] = {
    "uncached_input_tokens": "input",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "cache_read_input_tokens": "cache_read",
    "output_tokens": "output",
    "input_no_cache": "input",
    "input_cache_write_5m": "cache_write_5m",
    "input_cache_write_1h": "cache_write_1h",
    "input_cache_read": "cache_read",
    "output": "output",
}
_ITEMISED = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", OTHER)
_TABLE_COLUMNS = ("usage_date_utc", "model", "token_type", "cost_usd")


def _parse(content: bytes, options: ParseOptions) -> Export:
    text = text_of(content, options)
    if is_json(text):
        empty, records = bucket_records(text, options)
        read = _report_reader(options)
    else:
        empty, records = [], table(text, options, required=_TABLE_COLUMNS)
        read = _table_reader(options)
    refuse_repeats(records, options)
    return export_of(
        [*empty, *records],
        read,
        lambda entries: itemised_or_whole(entries, _ITEMISED, "model"),
        options,
    )


def _report_reader(options: ParseOptions) -> Read:
    def read(record: Record) -> tuple[date, Iterable[Entry]]:
        day = record.iso_day("starting_at", "ending_at", options.today)
        cents = record.amount("amount")
        if cents is None:
            return day, ()
        record.require_usd("currency")
        return day, (_entry(record, day, product(cents, _CENT)),)

    return read


def _table_reader(options: ParseOptions) -> Read:
    def read(record: Record) -> tuple[date, Iterable[Entry]]:
        day = record.day("usage_date_utc", options.today)
        amount = record.amount("cost_usd")
        if amount is None:
            raise BadCell("cost_usd", "must not be empty")
        return day, (_entry(record, day, amount),)

    return read


def _entry(record: Record, day: date, amount: Decimal) -> Entry:
    model, kind = record.text("model"), record.text("token_type")
    described = record.text("description") or record.text("cost_type")
    if kind in _UNIT_OF_TYPE and model:
        return Entry(record.place, day, model, _UNIT_OF_TYPE[kind], None, amount)
    if not (model or kind or described):
        return Entry(record.place, day, EVERY_MODEL, ALL, None, amount)
    # The provider's own words: of what is no token we meter nothing.
    name = " ".join(part for part in (model, kind or described) if part)
    return Entry(record.place, day, name, OTHER, None, amount)


FORMAT = ExportFormat(
    name="anthropic-costs",
    provider_type="anthropic",
    help="Anthropic costs: JSON of the cost report, CSV of the console",
    parse=_parse,
)
