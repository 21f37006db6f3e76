"""Anthropic's usage: `GET /v1/organizations/usage_report/messages` as JSON, or the console's CSV.

https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-messages-usage-report. Classes are
disjoint: uncached input, cache writes of five minutes and of an hour, cache reads, output. The CSV
has `usage_date_utc`, `model_version` and the same counts under `usage_...` names.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from projections.reconciliation.contract import (
    Entry,
    Export,
    ExportFormat,
    ParseOptions,
)
from projections.reconciliation.documents import bucket_records, is_json, table, text_of
from projections.reconciliation.exact import ZERO
from projections.reconciliation.records import BadCell, Record, export_of, refuse_repeats

_TABLE: Mapping[str, str] = {
    "usage_input_tokens_no_cache": "input",
    "usage_input_tokens_cache_write_5m": "cache_write_5m",
    "usage_input_tokens_cache_write_1h": "cache_write_1h",
    "usage_input_tokens_cache_read": "cache_read",
    "usage_output_tokens": "output",
}
_API: Mapping[str, str] = {
    "uncached_input_tokens": "input",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "cache_read_input_tokens": "cache_read",
    "output_tokens": "output",
}
_SEARCHES = ("web_search_count", "server_tool_use.web_search_requests")
_WEB_SEARCH = "web_search"
_COVERS = (*_API.values(), _WEB_SEARCH)


def _parse(content: bytes, options: ParseOptions) -> Export:
    text = text_of(content, options)
    empty: list[Record] = []
    if is_json(text):
        empty, records = bucket_records(text, options)
        columns, model, times = _API, "model", ("starting_at", "ending_at")
    else:
        required = ("usage_date_utc", "model_version", *_TABLE)
        records = table(text, options, required=required)
        columns, model, times = _TABLE, "model_version", None

    def read(record: Record) -> tuple[date, Iterable[Entry]]:
        if times is None:
            day = record.day("usage_date_utc", options.today)
        else:
            day = record.iso_day(*times, options.today)
        if record.is_empty((model, *columns)):
            return day, ()
        return day, list(_entries(record, day, record.required(model), columns))

    refuse_repeats(records, options)
    return export_of([*empty, *records], read, lambda _: _COVERS, options)


def _entries(record: Record, day: date, model: str, columns: Mapping[str, str]) -> Iterable[Entry]:
    for column, unit in columns.items():
        count = record.count(column)
        if count is None and unit in ("input", "output"):
            raise BadCell(column, "must not be empty")
        yield Entry(record.place, day, model, unit, count or ZERO, None)
    for column in _SEARCHES:
        searches = record.count(column)
        if searches:
            yield Entry(record.place, day, model, _WEB_SEARCH, searches, None)


FORMAT = ExportFormat(
    name="anthropic-usage",
    provider_type="anthropic",
    help="Anthropic usage of messages: JSON of the usage report, CSV of the console",
    parse=_parse,
)
