"""OpenAI's costs: `GET /v1/organization/costs` as JSON, or the dashboard's cost export as CSV.

https://platform.openai.com/docs/api-reference/usage/costs. Amounts are dollars. Grouped by line
item a row is about one model and kind of token ("gpt-4o-2024-08-06, cached input"), otherwise
about everything on its day. The CSV has the bucket's times, `amount_value`, `amount_currency` and
`line_item`; a day without costs has a row without an amount.
"""

import re
from collections.abc import Iterable
from datetime import date

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
from projections.reconciliation.records import BadCell, Record, export_of, refuse_repeats

_ITEMISED = (
    "input",
    "cache_read",
    "cache_write",
    "output",
    "audio_in",
    "audio_out",
    "image_in",
    "image_out",
    OTHER,
)
_LINE_ITEM = re.compile(
    r"(?:[a-z ]+ \| )?(?P<model>[^\s,|]+)(?: (?P<modality>text|audio|image))?"
    r", (?P<kind>input|output|cached input|cache writes)(?:, long context)?"
)
_UNIT_OF_KIND = {"cached input": "cache_read", "cache writes": "cache_write"}
_SHORT = {"input": "in", "output": "out"}
_TABLE_COLUMNS = ("start_time", "end_time", "amount_value", "amount_currency")
_OBJECT = "organization.costs.result"


def _parse(content: bytes, options: ParseOptions) -> Export:
    text = text_of(content, options)
    if is_json(text):
        empty, records = bucket_records(text, options)
        value, currency = "amount.value", "amount.currency"
    else:
        records = table(text, options, required=_TABLE_COLUMNS)
        empty, value, currency = [], "amount_value", "amount_currency"

    def read(record: Record) -> tuple[date, Iterable[Entry]]:
        day = record.unix_day("start_time", "end_time", options.today)
        if record.text("object") not in ("", "bucket", _OBJECT):
            raise BadCell("object", f"must be {_OBJECT}")
        amount = record.amount(value)
        if amount is None:
            return day, ()
        record.require_usd(currency)
        item = record.text("line_item")
        model, unit = _meaning(item)
        units = None if unit in (ALL, OTHER) else record.count("quantity")
        return day, (Entry(record.place, day, model, unit, units, amount),)

    refuse_repeats((each for each in records if not each.is_empty((value,))), options)
    return export_of(
        [*empty, *records],
        read,
        lambda entries: itemised_or_whole(entries, _ITEMISED, "line_item"),
        options,
    )


def _meaning(line_item: str) -> tuple[str, str]:
    """Model and unit of a line item; what is not written like a model's is never guessed."""
    if not line_item:
        return EVERY_MODEL, ALL
    match = _LINE_ITEM.fullmatch(line_item)
    if match is None:
        return line_item, OTHER
    model, modality, kind = match.group("model", "modality", "kind")
    unit = _UNIT_OF_KIND.get(kind, kind)
    if modality in ("audio", "image") and kind in _SHORT:
        unit = f"{modality}_{_SHORT[kind]}"
    return model, unit


FORMAT = ExportFormat(
    name="openai-costs",
    provider_type="openai",
    help="OpenAI organization costs: JSON of the API, CSV of the dashboard",
    parse=_parse,
)
