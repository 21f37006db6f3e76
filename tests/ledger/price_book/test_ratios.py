"""Ratios into prices and back: exact, or told."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.price_book.difference import difference
from ledger.price_book.exact import read_exact, write_exact
from ledger.price_book.family_ratios import hardcoded_completion_ratio
from ledger.price_book.ratio_view import ratios_of
from ledger.price_book.ratios import MODEL_TABLES, Imported, NotRatios, import_ratios, read_tables
from ledger.pricing import LongContext, Multiplier, Price, Schedule
from ledger.usage import CLASSES, TOOL_CLASSES

USD = 10**9
RATES = st.dictionaries(
    st.sampled_from(CLASSES), st.one_of(st.just(0), st.integers(0, 10**11).map(lambda n: n * 100))
)
NAMES = st.sampled_from(
    ["m", "gpt-4o", "gpt-5", "claude-sonnet-4-5", "gemini-2.0-flash", "vendor/gpt-5", "grok-4"]
)


def imported(**tables: Any) -> Imported:  # noqa: ANN401 - JSON
    return import_ratios(read_tables(json.loads(json.dumps(tables), parse_float=Decimal)))


def rates(**tables: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    """The rates of the one model that the tables price, with nothing left out."""
    found = imported(**tables)
    assert found.problems == ()
    (price,) = found.prices.values()
    return price.rates


def test_a_ratio_of_one_is_two_dollars_and_all_else_a_multiple() -> None:
    assert rates(
        ModelRatio={"m": 1.5},
        CompletionRatio={"m": 5},
        CacheRatio={"m": 0.1},
        CreateCacheRatio={"m": 1.3},
        ImageRatio={"m": 2},
        AudioRatio={"m": 16},
        AudioCompletionRatio={"m": 2},
    ) == {
        "input": 3_000_000_000,
        "output": 15_000_000_000,
        "cache_read": 300_000_000,
        "cache_write_5m": 3_900_000_000,
        "cache_write_1h": 6_240_000_000,
        "image_in": 6_000_000_000,
        "audio_in": 48_000_000_000,
        "audio_out": 96_000_000_000,
    }


def test_what_is_not_given_has_the_familys_defaults() -> None:
    assert rates(ModelRatio={"unheard-of": 1}) == {
        "input": 2_000_000_000,
        "output": 2_000_000_000,
        "cache_write_5m": 2_500_000_000,
        "cache_write_1h": 4_000_000_000,
    }
    assert Price(rates=rates(ModelRatio={"unheard-of": 1})).rate("cache_read") == 2_000_000_000


def test_a_fixed_price_is_per_call_and_goes_first() -> None:
    found = imported(ModelPrice={"dall-e-3": 0.04}, ModelRatio={"dall-e-3": 8})
    assert found.prices["dall-e-3"] == Price(rates={"calls": 40_000_000})
    assert [(note.option, note.name) for note in found.notes] == [("ModelRatio", "dall-e-3")]


@pytest.mark.parametrize(
    ("model", "ratio", "is_locked"),
    [
        ("gpt-4o", 4, False),
        ("gpt-4o-2024-05-13", 3, True),
        ("gpt-4o-2024-08-06", 4, False),
        ("gpt-4o-mini-tts-1", 20, False),
        ("gpt-4o-all", 2, False),
        ("gpt-5", 8, True),
        ("gpt-5-mini", 8, True),
        ("gpt-5.4-nano-x", Fraction(25, 4), True),
        ("gpt-5.4-mini", 6, True),
        ("gpt-5.1", 6, False),
        ("gpt-4.5-preview-2025", 2, True),
        ("gpt-4-turbo", 3, True),
        ("gpt-4-1106", 3, True),
        ("gpt-3.5-turbo", 2, False),
        ("gpt-4.1", 2, False),
        ("o1-mini", 4, True),
        ("o4-mini", 1, False),
        ("chatgpt-4o-latest", 3, True),
        ("claude-3-5-sonnet", 5, True),
        ("anthropic.claude-opus-4-1", 5, True),
        ("mistral-large", 3, True),
        ("gemini-1.5-pro", 4, True),
        ("gemini-2.5-pro", 8, False),
        ("gemini-2.5-flash-preview-05-20-nothinking", 4, False),
        ("gemini-2.5-flash-preview-05-20", Fraction(70, 3), False),
        ("gemini-2.5-flash-lite", 4, False),
        ("gemini-2.5-flash", Fraction(25, 3), False),
        ("gemini-3-pro-image-preview", 60, False),
        ("gemini-3-pro", 6, False),
        ("gemini-9", 4, False),
        ("command-r-plus", 5, True),
        ("command-a", 4, False),
        ("ERNIE-Speed-8K", 2, True),
        ("llama3-70b-8192", Fraction(79, 59), True),
        ("deepseek-chat", 1, False),
        ("grok-4", 1, False),
    ],
)
def test_the_hard_coded_completion_ratios(
    model: str, ratio: Fraction | int, is_locked: bool
) -> None:
    assert hardcoded_completion_ratio(model) == (ratio, is_locked)


def test_a_locked_ratio_goes_before_the_table_but_for_names_with_a_slash() -> None:
    tables = {"ModelRatio": {"gpt-5": 0.625}, "CompletionRatio": {"gpt-5": 3, "x/gpt-5": 3}}
    found = imported(**tables)
    assert found.prices["gpt-5"].rates["output"] == 10_000_000_000
    assert ("CompletionRatio", "gpt-5", "not used: 8 is locked for this name") in found.notes
    assert rates(ModelRatio={"x/gpt-5": 1}, CompletionRatio={"x/gpt-5": 3})["output"] == 6 * 10**9


def test_thirds_that_come_out_whole_are_taken() -> None:
    assert rates(ModelRatio={"gemini-2.5-flash": 0.15})["output"] == 2_500_000_000
    assert rates(ModelRatio={"gemini-2.5-flash": 0.15})["audio_in"] == 1_000_000_000


def test_what_is_no_whole_number_of_nanodollars_is_told_and_left_out() -> None:
    found = imported(ModelRatio={"m": 1.0000000001, "llama3-70b-8192": 1, "fine": 1})
    assert list(found.prices) == ["fine"]
    assert found.problems == (
        (
            "ModelRatio",
            "m",
            "input would be 2.0000000002 USD, no whole number of nanodollars",
        ),
        (
            "ModelRatio",
            "llama3-70b-8192",
            "output would be 158/59 USD, no whole number of nanodollars",
        ),
    )


@pytest.mark.parametrize(
    "value", [-1, -0.5, True, None, [], {}, "", "x", "1/0", "1e3", "1e999999", "NaN", 10**80]
)
def test_what_is_no_ratio_is_told(value: object) -> None:
    found = imported(ModelRatio={"m": value, "fine": 1})
    assert list(found.prices) == ["fine"]
    assert [(each.option, each.name) for each in found.problems] == [("ModelRatio", "m")]


def test_a_number_with_a_bottomless_exponent_is_refused_at_once() -> None:
    tables = read_tables({"ModelRatio": '{"m": 1e999999999, "n": 1e-999999999}'})
    assert len(tables.problems) == 2


def test_a_price_beyond_any_amount_is_told() -> None:
    (problem,) = imported(ModelRatio={"m": 10**15}).problems
    assert "more than any price" in problem.message


def test_names_that_stand_for_many_are_told() -> None:
    (problem,) = imported(ModelRatio={"gpt-4-gizmo-*": 15}).problems
    assert problem.name == "gpt-4-gizmo-*"


def test_entries_that_nothing_uses_are_told() -> None:
    found = imported(ModelRatio={"m": 1}, CacheRatio={"n": 0.5}, AudioCompletionRatio={"m": 2})
    assert [(each.option, each.name) for each in found.notes] == [
        ("AudioCompletionRatio", "m"),
        ("CacheRatio", "n"),
    ]


def test_groups_and_what_members_of_others_pay_in_them() -> None:
    found = imported(
        GroupRatio={"default": 1, "vip": 0.85, "third": "1/3"},
        GroupGroupRatio={"vip": {"default": 0.9}},
    )
    assert found.multipliers == {
        "default": Multiplier(1, 1),
        "vip": Multiplier(17, 20),
        "third": Multiplier(1, 3),
    }
    assert found.for_members == {"vip": {"default": Multiplier(9, 10)}}
    (problem,) = imported(GroupRatio={"x": "1/123456789012345678"}).problems
    assert "digits" in problem.message


def test_tables_are_read_as_they_are_stored_and_as_they_are_served() -> None:
    text = '{"m": 1.5}'
    expected = read_tables({"ModelRatio": {"m": Decimal("1.5")}}).by_model
    assert read_tables({"ModelRatio": text}).by_model == expected
    rows = [{"key": "ModelRatio", "value": text}, {"key": "SystemName", "value": "x"}, 7]
    assert read_tables(rows).by_model == expected
    served = read_tables({"success": True, "data": rows})
    assert (served.by_model, served.ignored) == (expected, ("SystemName",))


@pytest.mark.parametrize(
    "document",
    [None, 7, [], {}, {"Ratio": {}}, {"ModelRatio": []}, {"ModelRatio": "["}, {"ModelRatio": 7},
     {"GroupGroupRatio": {"vip": 0.9}}],
)  # fmt: skip
def test_what_holds_no_tables_is_refused(document: object) -> None:
    with pytest.raises(NotRatios):
        read_tables(document)


# ---------------------------------------------------------------------- and back


def again(model: str, price: Price) -> Price:
    """The price, told as ratios in JSON and imported from them."""
    told = {
        option: {model: write_exact(ratio)}
        for option, ratio in ratios_of(model, price).ratios.items()
    }
    found = imported(**told)
    assert found.problems == ()
    return found.prices[model]


@given(NAMES, RATES)
def test_a_price_that_ratios_can_say_comes_back_exactly(
    model: str, rates_of_it: dict[str, int]
) -> None:
    price = Price(rates=rates_of_it)
    view = ratios_of(model, price)
    if not view.lost:
        assert difference(price, again(model, price)) == ()
        assert ratios_of(model, again(model, price)) == view


RATIOS = st.decimals(0, 100, places=3).map(str)
"""Four of them may multiply, and what comes of it must still be a price."""


@given(
    NAMES,
    st.decimals("0.001", 1000, places=3).map(str),
    st.dictionaries(st.sampled_from(MODEL_TABLES[1:4] + MODEL_TABLES[5:]), RATIOS),
)
def test_ratios_come_back_as_they_were_used(model: str, ratio: str, others: dict[str, str]) -> None:
    tables = {"ModelRatio": {model: ratio}} | {name: {model: one} for name, one in others.items()}
    found = imported(**tables)
    unused = {note.option for note in found.notes}
    assert found.problems == ()
    view = ratios_of(model, found.prices[model])
    price = found.prices[model]
    lost_audio = bool(price.rate("audio_out")) and not price.rate("audio_in")
    assert bool(view.lost) == lost_audio
    assert difference(price, again(model, price)) == () or lost_audio
    for name in ("ModelRatio", "CompletionRatio", "CacheRatio", "CreateCacheRatio", "ImageRatio"):
        if name in tables and name not in unused:
            assert view.ratios[name] == Fraction(tables[name][model]), name


@pytest.mark.parametrize(
    ("model", "price", "lost"),
    [
        ("m", Price(rates={"calls": 5, "input": 1}), "a price per call beside prices per token"),
        ("m", Price(rates={"output": 5}), "prices beside a free input"),
        ("m", Price(rates={"input": 5}), "cache_write_1h at another price"),
        ("gpt-5", Price(rates={"input": 5, "output": 5}), "output at another ratio than 8"),
        ("m", Price(rates={"input": 5, "reasoning": 6}), "reasoning at another price"),
        ("m", Price(rates={"input": 5}, services={"flex": Schedule(rates={})}), "the service flex"),
        (
            "m",
            Price(rates={"input": 5}, long_context=(LongContext(above_tokens=1, rates={}),)),
            "long prompts",
        ),
        ("m*", Price(rates={"input": 5}), "many models"),
    ],
)
def test_what_ratios_cannot_say_is_told(model: str, price: Price, lost: str) -> None:
    assert any(lost in each for each in ratios_of(model, price).lost)


# ---------------------------------------------------------------------- tools

TOOLS = "tool_price_setting.prices"


def tool_rates(model: str, **prices: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
    table = {key.replace("__", ":"): usd for key, usd in prices.items()}
    found = imported(ModelRatio={model: 1}, **{TOOLS: table})
    assert found.problems == ()
    return {kind: rate for kind, rate in found.prices[model].rates.items() if kind in TOOL_CLASSES}


def test_tools_have_the_prices_that_are_shipped_and_those_that_are_given() -> None:
    assert tool_rates("gpt-5") == {"web_search": 10 * USD, "file_search": 5 * USD // 2}
    assert tool_rates("gpt-4o-mini") == {"web_search": 25 * USD, "file_search": 5 * USD // 2}
    assert tool_rates("claude-sonnet-4-5") == {"web_search": 10 * USD}
    assert tool_rates("gemini-3-pro", google_search=12.5) == {"web_search": 25 * USD // 2}
    assert tool_rates("gpt-5", code_interpreter=30)["code_execution"] == 30 * USD
    assert tool_rates("gpt-5", file_search=0)["file_search"] == 0
    assert imported(ModelRatio={"gpt-5": 1}).prices["gpt-5"].rate("web_search") == 0
    fixed = imported(ModelPrice={"sora": 0.1}, **{TOOLS: {}}).prices["sora"]
    assert (fixed.rate("calls"), fixed.rate("web_search")) == (USD // 10, 10 * USD)


def test_the_longest_prefix_of_a_tools_key_wins() -> None:
    table = {
        "web_search": 1, "web_search:claude-*": 2, "web_search:claude-opus*": 3,
        "web_search:claude-opus-9": 4,
    }  # fmt: skip
    models = ("claude-sonnet-4", "claude-opus-4", "claude-opus-9", "a-claude")
    found = imported(ModelRatio=dict.fromkeys(models, 1), **{TOOLS: table})
    assert [found.prices[model].rate("web_search") // USD for model in models] == [2, 3, 4, 1]


def test_what_is_not_said_alike_of_tools_is_noted_and_refused() -> None:
    table = {"web_search": 1, "image_generation": 150, "f": 2}
    found = imported(ModelRatio={"gpt-5": 1}, **{TOOLS: table})
    assert [(note.option, note.name) for note in found.notes] == [
        (TOOLS, "gpt-5"), (TOOLS, "image_generation"), (TOOLS, "f"),
    ]  # fmt: skip
    assert found.prices["gpt-5"].rate("web_search") == 10 * USD  # web_search_preview's
    odd = imported(ModelRatio={"gpt-5": 1}, **{TOOLS: {"web_search": 20, "file_search": "1/3"}})
    assert [(each.name, "file_search" in each.message) for each in odd.problems] == [
        ("gpt-5", True)
    ]


def test_a_tools_price_is_no_ratio() -> None:
    price = Price(rates={"calls": 5 * USD, "web_search": USD})
    view = ratios_of("m", price)
    assert view.ratios == {"ModelPrice": Fraction(5)}
    assert [each.partition(" ")[0] for each in view.lost] == ["web_search"]


# ---------------------------------------------------------------------- exact numbers


@given(st.integers(0, 10**60 - 1), st.integers(1, 10**60 - 1))
@example(1, 2**41)
@example(1, 2**60)
@example(10**60 - 1, 2**61)
@example(10**60 - 1, 10**60 - 1)
def test_a_number_is_read_as_it_was_written(numerator: int, denominator: int) -> None:
    value = Fraction(numerator, denominator)
    assert read_exact(write_exact(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1), "1"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-5, 2), "-2.5"),
        (Fraction(1, 3), "1/3"),
        (Fraction(1, 10**9), "0.000000001"),
        (Fraction(0), "0"),
    ],
)
def test_numbers_are_written_shortest(value: Fraction, text: str) -> None:
    assert write_exact(value) == text


def test_a_float_is_not_exact() -> None:
    with pytest.raises(ValueError, match="not a number"):
        read_exact(0.1)


@pytest.mark.parametrize("as_text", [False, True])
def test_d8_a_model_that_is_charged_by_an_expression_is_named_and_left_out(
    *, as_text: bool
) -> None:
    """Whatever else is said of it, and however the option was stored."""
    modes: Any = {"a": "tiered_expr", "b": "ratio", "c": "tiered_expr", "d": "seconds", "e": ""}
    found = imported(
        **{
            "ModelRatio": {"a": 1, "b": 1, "d": 1, "e": 2},
            "ModelPrice": {"c": 0.1},
            "CompletionRatio": {"a": 4},
            "billing_setting.billing_mode": json.dumps(modes) if as_text else modes,
            "billing_setting.billing_expr": {"a": "tier('x', p * 2 + c * 8)"},
        }
    )
    assert set(found.prices) == {"b", "e"}
    assert {(each.option, each.name) for each in found.problems} == {
        ("billing_setting.billing_mode", name) for name in "acd"
    }
    assert "'tiered_expr'" in found.problems[0].message
    assert found.notes == ()


def test_d8_modes_alone_are_told_of_too() -> None:
    found = imported(**{"billing_setting.billing_mode": {"only": "tiered_expr"}})
    assert (found.prices, [each.name for each in found.problems]) == ({}, ["only"])
    with pytest.raises(NotRatios):
        imported(**{"billing_setting.billing_mode": ["only"]})
