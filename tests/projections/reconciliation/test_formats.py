"""Exports of providers in their documented shapes: every figure, and every way to be refused."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.reconciliation.contract import (
    ALL,
    NO_MAPPING,
    OTHER,
    Export,
    ExportRefused,
    MappingFile,
    MappingRefused,
    ParseOptions,
)
from projections.reconciliation.registry import FORMATS

FILES = Path(__file__).parent / "files"
TODAY = date(2026, 3, 10)
FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
MIDNIGHT = 1772323200  # of the first day, in Unix seconds

Row = tuple[date, str, str, str | None, str | None]


def parse(name: str, content: bytes, mapping: MappingFile = NO_MAPPING, **limits: int) -> Export:
    return FORMATS[name].parse(content, ParseOptions(today=TODAY, mapping=mapping, **limits))


def read(name: str, file: str, mapping: MappingFile = NO_MAPPING) -> Export:
    return parse(name, (FILES / file).read_bytes(), mapping)


def rows(export: Export) -> list[Row]:
    """Every entry but those that say zero."""
    return [
        (
            entry.day,
            entry.model,
            entry.unit,
            None if entry.units is None else str(entry.units),
            None if entry.amount_usd is None else str(entry.amount_usd),
        )
        for entry in export.entries
        if entry.units or entry.amount_usd
    ]


def mapping_of(file: str) -> MappingFile:
    return msgspec.json.decode((FILES / file).read_bytes(), type=MappingFile)


def test_openai_costs_as_json() -> None:
    export = read("openai-costs", "openai_costs.json")
    assert rows(export) == [
        (FIRST, "gpt-4o-2024-08-06", "input", "1000", "0.0025"),
        (FIRST, "gpt-4o-2024-08-06", "cache_read", "1000", "0.0012500000000000003"),
        (FIRST, "gpt-5.6-sol", "output", None, "0.000015"),
        (FIRST, "gpt-audio-mini-2025-12-15", "audio_in", None, "0.4"),
        (FIRST, "gpt-image-1", "image_out", None, "0.1"),
        (FIRST, "web search tool calls", OTHER, None, "0.03"),
        (FIRST, "credit, adjustment", OTHER, None, "-0.5"),
    ]
    assert (export.first_day, export.last_day) == (FIRST, SECOND)  # the second one is empty
    assert ALL not in export.covers
    assert export.entries[3].place == "data[0].results[3]"


def test_openai_costs_as_csv_with_a_byte_order_mark_and_a_day_without_costs() -> None:
    export = read("openai-costs", "openai_costs.csv")
    assert rows(export) == [(FIRST, "", ALL, None, "0.8958740000000000")]
    assert (export.first_day, export.last_day) == (FIRST, SECOND)
    assert export.covers == (ALL,)


def test_openai_usage_page_by_page_in_json_lines() -> None:
    export = read("openai-usage", "openai_usage.json")
    model = "gpt-4o-2024-08-06"
    assert rows(export) == [
        (FIRST, model, "input", "53400", None),
        (FIRST, model, "cache_read", "5760", None),
        (FIRST, model, "cache_write", "40", None),
        (FIRST, model, "output", "10646", None),
        (FIRST, model, "requests", "10", None),
    ]
    assert (export.first_day, export.last_day) == (FIRST, SECOND)


def test_openai_usage_as_a_table_with_tabs_and_classes_that_do_not_overlap() -> None:
    export = read("openai-usage", "openai_usage.csv")
    assert [row[1:4] for row in rows(export)] == [
        ("gpt-4o-2024-08-06", "input", "53440"),
        ("gpt-4o-2024-08-06", "cache_read", "5760"),
        ("gpt-4o-2024-08-06", "output", "10646"),
        ("gpt-4o-2024-08-06", "requests", "10"),
        ("gpt-audio", "input", "300"),
        ("gpt-audio", "cache_read", "100"),
        ("gpt-audio", "audio_in", "450"),
        ("gpt-audio", "image_in", "50"),
        ("gpt-audio", "output", "50"),
        ("gpt-audio", "audio_out", "100"),
        ("gpt-audio", "requests", "2"),
    ]
    assert export.last_day == SECOND


def test_anthropic_usage_is_the_same_as_json_and_as_csv() -> None:
    model = "claude-sonnet-4-20250514"
    both = [
        (FIRST, model, "input", "1500", None),
        (FIRST, model, "cache_write_5m", "500", None),
        (FIRST, model, "cache_write_1h", "1000", None),
        (FIRST, model, "cache_read", "200", None),
        (FIRST, model, "output", "500", None),
        (FIRST, model, "web_search", "10", None),
    ]
    assert rows(read("anthropic-usage", "anthropic_usage.json")) == both
    told = rows(read("anthropic-usage", "anthropic_usage.csv"))
    assert sorted(told[:6]) == sorted(both)
    assert told[6:] == [
        (SECOND, "claude-haiku-4-5-20251001", "input", "7", None),
        (SECOND, "claude-haiku-4-5-20251001", "output", "3", None),
    ]


def test_anthropic_costs_are_in_cents_as_json_and_in_dollars_as_csv() -> None:
    assert rows(read("anthropic-costs", "anthropic_costs.json")) == [
        (FIRST, "claude-sonnet-4-20250514", "input", None, "1.2378912"),
        (FIRST, "Web Search Usage", OTHER, None, "0.10"),
    ]
    assert rows(read("anthropic-costs", "anthropic_costs.csv")) == [
        (FIRST, "Claude Haiku 4.5", "input", None, "0.19"),
        (FIRST, "Claude Haiku 4.5", "output", None, "0.02"),
        (FIRST, "Claude Haiku 4.5 web_search", OTHER, None, "0.01"),
    ]


def test_a_generic_table_with_one_class_per_row() -> None:
    export = read("generic", "narrow.csv", mapping_of("narrow.mapping.json"))
    assert rows(export) == [
        (FIRST, "gpt-4o", "input", "1500.0", "0.00375"),
        (FIRST, "gpt-4o", "output", "200.0", "0.002"),
        (SECOND, "gpt-4o Storage", OTHER, "1000", "0.7"),
    ]
    assert export.covers == ("input", "output", OTHER)


def test_generic_json_lines_with_one_column_per_class() -> None:
    export = read("generic", "wide.jsonl", mapping_of("wide.mapping.json"))
    assert rows(export) == [
        (FIRST, "m", "input", "100", None),
        (FIRST, "m", "output", "20", None),
        (FIRST, "m", ALL, None, "0.125"),
        (FIRST, "m", "input", "1", None),
        (FIRST, "m", "output", "2", None),
        (FIRST, "m", ALL, None, "0.005"),
    ]
    assert export.covers == ("input", "output", ALL)


def test_an_array_of_pages_is_the_pages() -> None:
    pages = [json.loads(line) for line in (FILES / "openai_usage.json").read_text().splitlines()]
    whole = json.dumps(pages[::-1], indent=1).encode()
    assert rows(parse("openai-usage", whole)) == rows(read("openai-usage", "openai_usage.json"))
    buckets = json.dumps([bucket for page in pages for bucket in page["data"]]).encode()
    assert rows(parse("openai-usage", buckets)) == rows(read("openai-usage", "openai_usage.json"))


def test_older_counts_of_audio_that_include_the_cache_do_not_count_it_twice() -> None:
    result = {
        "input_tokens": 100,
        "input_cached_tokens": 40,
        "input_text_tokens": 60,
        "input_audio_tokens": 40,
        "input_cached_audio_tokens": 10,
        "output_tokens": 9,
        "num_model_requests": 1,
        "model": "m",
    }
    export = parse("openai-usage", bucket(result))
    assert [row[2:4] for row in rows(export)] == [
        ("input", "30"),
        ("cache_read", "40"),
        ("audio_in", "30"),
        ("output", "9"),
        ("requests", "1"),
    ]


def bucket(*results: object, **changes: object) -> bytes:
    times = {"start_time": MIDNIGHT, "end_time": MIDNIGHT + 86_400}
    return json.dumps({**times, "results": results, **changes}).encode()


def cost(value: object, currency: str = "usd", **changes: object) -> dict[str, object]:
    return {"amount": {"value": value, "currency": currency}, **changes}


USAGE = {"input_tokens": 5, "output_tokens": 1, "num_model_requests": 1, "model": "m"}
COSTS_HEADER = b"start_time,end_time,amount_value,amount_currency,line_item\n"
TIMES = f"{MIDNIGHT},{MIDNIGHT + 86_400}".encode()
ANTHROPIC = (FILES / "anthropic_usage.csv").read_bytes()

REFUSED = [
    ("openai-costs", b"", "is empty"),
    ("openai-costs", b" \r\n ", "is empty"),
    ("openai-costs", b"\x89PNG\r\n\x1a\n\xff\xfe", "is not UTF-8"),
    ("openai-costs", b"a,b\0\n", "null character"),
    ("openai-costs", b"date,cost\n2026-03-01,1\n", "line 1: the header has no column 'start_time'"),
    ("openai-costs", COSTS_HEADER, "has no rows"),
    ("openai-costs", COSTS_HEADER[:-1] + b",line_item\n", "repeats 'line_item'"),
    ("openai-costs", COSTS_HEADER + TIMES + b",1,usd\n", "line 2: has 4 cells, the header 5"),
    ("openai-costs", COSTS_HEADER + TIMES + b',1,usd,"x\n', "line 2: is not CSV"),
    ("openai-costs", COSTS_HEADER + TIMES + b",1,eur,x\n", "line 2, amount_currency: is 'eur'"),
    ("openai-costs", COSTS_HEADER + TIMES + b",1,,x\n", "amount_currency: must not be empty"),
    ("openai-costs", COSTS_HEADER + TIMES + b",NaN,usd,x\n", "line 2, amount_value: 'NaN'"),
    ("openai-costs", COSTS_HEADER + TIMES + b',"1,5",usd,x\n', "amount_value: '1,5' is not"),
    ("openai-costs", COSTS_HEADER + TIMES + b",1e12,usd,x\n", "is not a decimal amount below"),
    ("openai-costs", COSTS_HEADER + TIMES + b",1,usd,x\x1b[31m\n", "line_item: contains control"),
    ("openai-costs", COSTS_HEADER + TIMES + b",1,usd," + b"x" * 300 + b"\n", "over 256"),
    ("openai-costs", COSTS_HEADER + 2 * (TIMES + b",1,usd,x\n"), "line 3: repeats line 2"),
    ("openai-costs", COSTS_HEADER + b"1,2,1,usd,x\n", "start_time: 1970-01-01 is before"),
    ("openai-costs", bucket(cost(1), end_time=MIDNIGHT + 86_401), "must lie within one day"),
    ("openai-costs", bucket(cost(1), end_time=MIDNIGHT), "must lie within one day"),
    ("openai-costs", bucket(cost(1), start_time=1893456000), "2030-01-01 lies in the future"),
    ("openai-costs", bucket(cost(1), start_time=10**14), "is not a time in Unix"),
    ("openai-costs", bucket(cost(1), cost(1, line_item="x")), "line_item: is empty here"),
    ("openai-costs", bucket(cost("0.1", "EUR")), "amount.currency: is 'EUR'"),
    ("openai-costs", bucket(cost(True)), "amount.value: must be a number"),
    ("openai-costs", bucket(cost(1, object="organization.usage.completions.result")), "object"),
    ("openai-costs", bucket(cost(1), cost(1)), ".results[1]: repeats .results[0]"),
    ("openai-costs", bucket(cost(1))[:-5], "is not JSON"),
    ("openai-costs", b'{"data": [{"start_time": 1,\n"start_time": 2}]}', "a name is repeated"),
    ("openai-costs", b'{"data": NaN}', "NaN is not a number"),
    ("openai-costs", b"[" * 100_000, "nested too deeply"),
    ("openai-costs", b'{"data": ' + b"9" * 5_000 + b"}", "must be an array"),
    ("openai-costs", b'{"data": [], "has_more": false}\nnonsense', "line 2, character 1"),
    ("openai-costs", b'{"data": [], "has_more": true}', "the last page is missing"),
    ("openai-costs", b'{"data": []}', "has no rows"),
    ("openai-costs", b"[1]", "[0]: must be an object"),
    ("openai-costs", bucket(cost(1), results=7), "results: must be an array"),
    ("openai-usage", bucket({**USAGE, "input_tokens": -5}), ".results[0], input_tokens: '-5'"),
    ("openai-usage", bucket({**USAGE, "input_tokens": 1.5}), "input_tokens: '1.5'"),
    ("openai-usage", bucket({**USAGE, "input_tokens": 10**16}), "is not a whole number"),
    ("openai-usage", bucket({**USAGE, "input_cached_tokens": 6}), "is less than the parts"),
    ("openai-usage", bucket({**USAGE, "input_text_tokens": 4}), "do not add up to the input"),
    ("openai-usage", bucket({**USAGE, "output_text_tokens": 9}), "do not add up to the output"),
    ("openai-usage", bucket({**USAGE, "output_audio_tokens": 2}), "is less than the parts"),
    ("openai-usage", bucket({**USAGE, "model": None}), "model: must not be empty"),
    ("openai-usage", bucket({"model": "m", "input_tokens": 1}), "num_model_requests: must not be"),
    ("openai-usage", bucket({**USAGE, "object": "organization.usage.images.result"}), "object"),
    ("anthropic-usage", ANTHROPIC.replace(b"2026-03-01", b"03/01/26"), "is not a date"),
    ("anthropic-usage", ANTHROPIC.replace(b"2026-03-01", b"2026-03-11"), "lies in the future"),
    ("anthropic-usage", ANTHROPIC.replace(b"1500", b""), "cache: must not be empty"),
    ("anthropic-usage", ANTHROPIC.replace(b",7,", b",-7,"), "line 3, usage_input_tokens_no_cache"),
    ("anthropic-usage", ANTHROPIC.replace(b"model_version", b"model"), "'model_version'"),
]


@pytest.mark.parametrize(("name", "content", "told"), REFUSED)
def test_a_file_that_is_not_as_it_must_be_is_refused_and_says_where(
    name: str, content: bytes, told: str
) -> None:
    with pytest.raises(ExportRefused) as refused:
        parse(name, content)
    assert told in str(refused.value)


def test_limits_hold() -> None:
    content = bucket(*(cost(number) for number in range(30)))
    with pytest.raises(ExportRefused, match="5 rows are read at most"):
        parse("openai-costs", content, rows_max=5)
    with pytest.raises(ExportRefused, match=f"{len(content)} bytes"):
        parse("openai-costs", content, bytes_max=len(content) - 1)
    assert len(parse("openai-costs", content, bytes_max=len(content), rows_max=30).entries) == 30


def test_every_bad_row_is_counted_and_the_first_are_named() -> None:
    content = COSTS_HEADER + b"".join(TIMES + b",x%d,usd,y\n" % n for n in range(50))
    with pytest.raises(ExportRefused) as refused:
        parse("openai-costs", content)
    assert len(refused.value.problems) == 20
    assert refused.value.more == 30
    assert refused.value.problems[4].place == "line 6"


def test_a_quoted_line_break_does_not_shift_the_numbers_of_lines() -> None:
    content = COSTS_HEADER + TIMES + b',1,usd,"gpt\xe2\x80\x91x"\n' + TIMES + b',1,usd,"a\nb"\n'
    with pytest.raises(ExportRefused, match="line 3, line_item: contains control"):
        parse("openai-costs", content)
    content = ANTHROPIC + b"2026-03-02,m,k,w,s,c,x,0,0,0,1,0,g,\n"
    with pytest.raises(ExportRefused, match="line 5, usage_input_tokens_no_cache"):
        parse("anthropic-usage", content)


def test_today_is_not_the_future_and_blanks_before_json_are_nothing() -> None:
    start = MIDNIGHT + 9 * 86_400
    content = b"\r\n  " + bucket(cost(1), start_time=start, end_time=start + 86_400)
    assert parse("openai-costs", content).last_day == TODAY


def test_repeated_rows_count_when_the_operator_says_so() -> None:
    content = COSTS_HEADER + 2 * (TIMES + b",0.5,usd,x\n")
    export = parse("openai-costs", content, MappingFile(repeated_rows="count"))
    assert [entry.amount_usd for entry in export.entries] == [Decimal("0.5")] * 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"columns": None}, "needs a mapping with `columns`"),
        ({"quantities": {"x": "input"}}, "not both"),
        ({"unit_classes": {"Prompt": "inputs"}}, "'inputs' is no unit class"),
        ({"delimiter": "::"}, "one character"),
        ({"amount_scale": "0"}, "positive decimal"),
        ({"units_scale": "NaN"}, "positive decimal"),
        ({"units_scale": "many"}, "decimal such as"),
        ({"date_format": "%H:%M"}, "does not say year, month and day"),
        ({"date_format": "%Q"}, "date format"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(change: dict[str, object], told: str) -> None:
    mapping = msgspec.structs.replace(mapping_of("narrow.mapping.json"), **change)
    with pytest.raises(MappingRefused, match=told):
        read("generic", "narrow.csv", mapping)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"Prompt", b"Embedding", "line 2, Meter: 'Embedding' is no unit class"),
        (b"1.5;", b"1.0005;", r"line 2, Quantity \(1K\)"),
        (b"1.5;", b"-1.5;", r"line 2, Quantity \(1K\)"),
        (b"usd", b"CNY", "line 3, Currency: is 'CNY'"),
        (b"01.03.2026;gpt-4o;P", b"2026-03-01;gpt-4o;P", "line 2, Date"),
        (b"0.7", b"", "line 4, Cost: must not be empty"),
        (b"Meter", b"Metre", "no column 'Meter'"),
    ],
)
def test_bad_cells_of_a_generic_table_are_named(old: bytes, new: bytes, told: str) -> None:
    content = (FILES / "narrow.csv").read_bytes().replace(old, new)
    with pytest.raises(ExportRefused, match=told):
        parse("generic", content, mapping_of("narrow.mapping.json"))


def was_read_or_refused(name: str, content: bytes) -> bool:
    try:
        return bool(parse(name, content, mapping_of("narrow.mapping.json")).covers)
    except ExportRefused as refusal:
        return bool(refusal.problems)


@given(st.binary(max_size=400), st.sampled_from(sorted(FORMATS)))
def test_no_file_whatever_breaks_a_parser(content: bytes, name: str) -> None:
    assert was_read_or_refused(name, content)


@given(st.data())
def test_no_damaged_file_breaks_a_parser(data: st.DataObject) -> None:
    file, name = data.draw(
        st.sampled_from(
            [
                ("openai_usage.json", "openai-usage"),
                ("openai_costs.csv", "openai-costs"),
                ("narrow.csv", "generic"),
            ]
        )
    )
    content = bytearray((FILES / file).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=6))
    assert was_read_or_refused(name, bytes(content))


@given(st.permutations(range(8)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    lines = [TIMES + b',%d.25,usd,"gpt-%d, input"\n' % (n, n % 3) for n in range(8)]
    straight = parse("openai-costs", COSTS_HEADER + b"".join(lines))
    shuffled = parse("openai-costs", COSTS_HEADER + b"".join(lines[n] for n in order))
    assert sorted(rows(shuffled)) == sorted(rows(straight))
