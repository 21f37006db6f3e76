"""OpenAI's usage: `GET /v1/organization/usage/completions` (and `/embeddings`), JSON or CSV.

https://platform.openai.com/docs/api-reference/usage. `input_tokens` includes what was read from
and written to a cache, and audio and images; `output_tokens` includes reasoning. Where a row says
`input_text_tokens` its parts must add up, so that no token is in two classes. The dashboard's CSV
has the same columns beside the bucket's times; a day without usage has a row without a model.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from projections.reconciliation.contract import (
    REQUESTS,
    Entry,
    Export,
    ExportFormat,
    ParseOptions,
)
from projections.reconciliation.documents import bucket_records, is_json, table, text_of
from projections.reconciliation.exact import ZERO, difference, total
from projections.reconciliation.records import BadCell, Record, export_of, refuse_repeats

_COVERS = (
    "input",
    "cache_read",
    "cache_write",
    "output",
    "audio_in",
    "audio_out",
    "image_in",
    "image_out",
    REQUESTS,
)
_TABLE_COLUMNS = ("start_time", "end_time", "model", "input_tokens", "num_model_requests")
_FIGURES = ("model", "input_tokens", "output_tokens", "num_model_requests")
_COMPLETIONS = "organization.usage.completions.result"
_EMBEDDINGS = "organization.usage.embeddings.result"


def _parse(content: bytes, options: ParseOptions) -> Export:
    text = text_of(content, options)
    empty: list[Record] = []
    if is_json(text):
        empty, records = bucket_records(text, options)
    else:
        records = table(text, options, required=_TABLE_COLUMNS)

    def read(record: Record) -> tuple[date, Iterable[Entry]]:
        day = record.unix_day("start_time", "end_time", options.today)
        if record.is_empty(_FIGURES):
            return day, ()
        if record.text("object") not in ("", _COMPLETIONS, _EMBEDDINGS):
            raise BadCell("object", "must be usage of completions or of embeddings")
        model = record.required("model")
        return day, [
            Entry(record.place, day, model, unit, count, None)
            for unit, count in _classes(record).items()
        ]

    refuse_repeats((each for each in records if not each.is_empty(_FIGURES)), options)
    return export_of([*empty, *records], read, lambda _: _COVERS, options)


def _classes(record: Record) -> dict[str, Decimal]:
    """The counts of a row, in classes that do not overlap. Raises BadCell."""
    requests = record.count("num_model_requests")
    if requests is None:
        raise BadCell("num_model_requests", "must not be empty")
    return {**_input_classes(record), **_output_classes(record), REQUESTS: requests}


def _input_classes(record: Record) -> dict[str, Decimal]:
    whole = record.count("input_tokens")
    if whole is None:
        raise BadCell("input_tokens", "must not be empty")
    cached = _count(record, "input_cached_tokens")
    written = _count(record, "input_cache_write_tokens")
    audio, image = _count(record, "input_audio_tokens"), _count(record, "input_image_tokens")
    fresh = difference(whole, cached)
    text = record.count("input_text_tokens")
    if text is not None and total([text, audio, image]) == whole and cached:
        # An older form, where the parts of each kind include what came from the cache.
        audio = difference(audio, _count(record, "input_cached_audio_tokens"))
        image = difference(image, _count(record, "input_cached_image_tokens"))
    elif text is not None and total([text, audio, image]) != fresh:
        raise BadCell("input_text_tokens", "text, audio and images do not add up to the input")
    rest = difference(fresh, total([written, audio, image]))
    if min(rest, fresh, audio, image) < 0:
        raise BadCell("input_tokens", "is less than the parts it is said to have")
    return {
        "input": rest,
        "cache_read": cached,
        "cache_write": written,
        "audio_in": audio,
        "image_in": image,
    }


def _output_classes(record: Record) -> dict[str, Decimal]:
    whole = _count(record, "output_tokens")
    audio, image = _count(record, "output_audio_tokens"), _count(record, "output_image_tokens")
    text = record.count("output_text_tokens")
    rest = difference(whole, total([audio, image]))
    if text is not None and text not in (rest, whole):
        raise BadCell("output_text_tokens", "text, audio and images do not add up to the output")
    if text is not None:
        rest = text
    if rest < 0:
        raise BadCell("output_tokens", "is less than the parts it is said to have")
    return {"output": rest, "audio_out": audio, "image_out": image}


def _count(record: Record, column: str) -> Decimal:
    found = record.count(column)
    return ZERO if found is None else found


FORMAT = ExportFormat(
    name="openai-usage",
    provider_type="openai",
    help="OpenAI organization usage of completions or embeddings: JSON of the API, CSV",
    parse=_parse,
)
