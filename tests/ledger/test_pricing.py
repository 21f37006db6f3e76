"""Charges: exact over disjoint classes, rounded once, never above the worst case."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import UnpricedService
from ledger.pricing import (
    INPUT_CLASSES,
    OUTPUT_CLASSES,
    PARENT,
    LongContext,
    Multiplier,
    Price,
    Schedule,
    charge_nanos,
    cost_nanos,
    dearest_service,
    price_lines,
    prompt_tokens,
    worst_case_nanos,
)
from ledger.usage import CLASSES, COUNT_MAX, TOKEN_CLASSES, TOOL_CLASSES, Usage

RATES = st.dictionaries(st.sampled_from(CLASSES), st.integers(0, 10**15))
PRICES = st.builds(lambda rates: Price(rates=rates), RATES)
LENGTHS = st.lists(st.integers(1, 4 * 10**7), unique=True, max_size=3).map(sorted)
TIERS = LENGTHS.flatmap(
    lambda lengths: st.tuples(
        *(st.builds(LongContext, above_tokens=st.just(each), rates=RATES) for each in lengths)
    )
)
SCHEDULES = st.builds(Schedule, rates=RATES, long_context=TIERS)
SERVICES = st.dictionaries(st.sampled_from(["batch", "flex", "priority"]), SCHEDULES)
TIERED = st.builds(Price, rates=RATES, long_context=TIERS, services=SERVICES)
MULTIPLIERS = st.builds(Multiplier, st.integers(0, 10**6), st.integers(1, 10**6))
COUNTS = st.integers(0, 10**7)
USAGES = st.builds(
    lambda counts: Usage(**counts), st.dictionaries(st.sampled_from(CLASSES), COUNTS)
)


def own_or_inherited_rate(price: Price, kind: str) -> int:
    chain = {
        "cache_write_1h": ("cache_write_1h", "cache_write_5m", "input"),
        "reasoning": ("reasoning", "output"),
        "audio_out": ("audio_out", "output"),
        "image_out": ("image_out", "output"),
        "output": ("output",),
        "calls": ("calls",),
        **{kind: (kind,) for kind in TOOL_CLASSES},
    }.get(kind, (kind, "input"))
    return next((price.rates[name] for name in chain if name in price.rates), 0)


@given(USAGES, PRICES, MULTIPLIERS)
def test_a_charge_is_the_exact_sum_rounded_once(
    usage: Usage, price: Price, multiplier: Multiplier
) -> None:
    exact = Fraction(0)
    for kind, count in usage.classes():
        per = {"calls": 1, **dict.fromkeys(TOOL_CLASSES, 1_000)}.get(kind, 1_000_000)
        exact += Fraction(count * own_or_inherited_rate(price, kind), per)
    exact *= Fraction(multiplier.numerator, multiplier.denominator)
    charged = charge_nanos(price_lines(usage, price), multiplier)
    assert -Fraction(1, 2) < charged - exact <= Fraction(1, 2)


@given(USAGES, PRICES)
def test_lines_show_only_what_was_used_and_costs(usage: Usage, price: Price) -> None:
    lines = price_lines(usage, price)
    assert len({line.kind for line in lines}) == len(lines)
    for line in lines:
        assert line.units == getattr(usage, line.kind) > 0
        assert line.price_nanos == own_or_inherited_rate(price, line.kind) > 0


@given(PRICES, MULTIPLIERS, st.data())
def test_no_charge_within_the_bounds_exceeds_the_worst_case(
    price: Price, multiplier: Multiplier, data: st.DataObject
) -> None:
    counts = {kind: data.draw(COUNTS, kind) for kind in (*INPUT_CLASSES, *OUTPUT_CLASSES)}
    tools = data.draw(st.dictionaries(st.sampled_from(TOOL_CLASSES), COUNTS), "tools")
    bound = worst_case_nanos(
        price,
        multiplier,
        input_tokens=sum(counts[kind] for kind in INPUT_CLASSES),
        output_tokens=sum(counts[kind] for kind in OUTPUT_CLASSES),
        tool_calls=tools,
    )
    usage = Usage(**counts, **tools, calls=data.draw(st.integers(0, 1), "calls"))
    assert charge_nanos(price_lines(usage, price), multiplier) <= bound


def test_every_class_is_input_output_or_the_call() -> None:
    assert {*INPUT_CLASSES, *OUTPUT_CLASSES} == set(TOKEN_CLASSES)
    assert {*TOKEN_CLASSES, "calls", *TOOL_CLASSES} == set(CLASSES)
    assert set(PARENT) == set(TOKEN_CLASSES) - {"input", "output"}


@pytest.mark.parametrize(
    ("kind", "rates", "rate"),
    [
        ("cache_write_1h", {"input": 1, "cache_write_5m": 2, "cache_write_1h": 3}, 3),
        ("cache_write_1h", {"input": 1, "cache_write_5m": 2}, 2),
        ("cache_write_1h", {"input": 1}, 1),
        ("cache_read", {"input": 1, "cache_read": 0}, 0),
        ("reasoning", {"output": 4}, 4),
        ("reasoning", {"input": 1}, 0),
        ("calls", {"input": 1, "output": 2}, 0),
        ("web_search", {"input": 1, "output": 2, "calls": 3}, 0),
    ],
)
def test_a_class_without_a_price_costs_its_parents(
    kind: str, rates: dict[str, int], rate: int
) -> None:
    assert Price(rates=rates).rate(kind) == rate


def test_three_lines_of_a_third_of_a_nanodollar_are_rounded_together() -> None:
    usage = Usage(input=1, output=1, audio_in=1)
    price = Price(rates={"input": 333_333, "output": 333_333, "audio_in": 333_333})
    assert charge_nanos(price_lines(usage, price), Multiplier()) == 1


def test_calls_of_a_tool_are_priced_by_the_thousand_and_rounded_with_the_rest() -> None:
    price = Price(rates={"input": 500_000, "web_search": 10_000_000_000, "file_search": 499})
    usage = Usage(input=1, web_search=3, file_search=1, code_execution=7)
    lines = price_lines(usage, price)
    assert [(line.kind, line.per_units) for line in lines] == [
        ("input", 1_000_000), ("web_search", 1_000), ("file_search", 1_000),
    ]  # fmt: skip
    # 0.5 + 30,000,000 + 0.499: three lines below the half, and one rounding
    assert charge_nanos(lines, Multiplier()) == 30_000_001
    assert charge_nanos(price_lines(Usage(file_search=1), price), Multiplier()) == 0
    two = {"web_search": 2}
    worst = worst_case_nanos(price, Multiplier(), input_tokens=1, output_tokens=0, tool_calls=two)
    assert worst == 20_000_001


@pytest.mark.parametrize(
    ("rates", "multiplier", "worst"),
    [
        ({"calls": 7_000_000}, Multiplier(), 7_000_000),
        ({"input": 1_000_000, "output": 2_000_000, "calls": 5}, Multiplier(), 10 + 40 + 5),
        ({"input": 1_000_000, "calls": 5}, Multiplier(3, 2), 23),  # 15 x 1.5, rounded up
        ({"input": 1_000_000, "calls": 6}, Multiplier(1, 3), 6),  # 16 / 3 is less than a half above
    ],
)
def test_e_what_a_call_costs_is_held_too(
    rates: dict[str, int], multiplier: Multiplier, worst: int
) -> None:
    held = worst_case_nanos(Price(rates=rates), multiplier, input_tokens=10, output_tokens=20)
    assert held == worst


def test_exactly_half_a_nanodollar_is_rounded_up() -> None:
    lines = price_lines(Usage(input=1), Price(rates={"input": 500_000}))
    assert charge_nanos(lines, Multiplier()) == 1
    assert charge_nanos(lines, Multiplier(999_999, 1_000_000)) == 0


@pytest.mark.parametrize("rates", [{"input": -1}, {"tokens": 1}])
def test_a_negative_or_unknown_price_is_refused(rates: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="non-negative rates"):
        Price(rates=rates)


@pytest.mark.parametrize("count", [-1, COUNT_MAX + 1])
def test_an_absurd_count_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="output must lie within"):
        Usage(output=count)


@pytest.mark.parametrize("ratio", [(-1, 1), (1, 0), (1, -1)])
def test_a_multiplier_is_a_non_negative_ratio(ratio: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="a multiplier is"):
        Multiplier(*ratio)


# ---------------------------------------------------------------------- long prompts, services

LONG = Price(
    rates={"input": 10, "cache_read": 1, "output": 50},
    long_context=(
        LongContext(above_tokens=200, rates={"input": 20, "output": 75}),
        LongContext(above_tokens=500, rates={"input": 30}),
    ),
)


@pytest.mark.parametrize(
    ("usage", "prices"),
    [
        (Usage(input=200, output=1), {"input": 10, "output": 50}),
        (Usage(input=201, output=1), {"input": 20, "output": 75}),
        # Every kind of prompt counts towards the length, and the whole call pays.
        (Usage(input=1, cache_read=150, audio_in=50, output=1),
         {"input": 20, "cache_read": 1, "audio_in": 20, "output": 75}),
        (Usage(input=100, output=10_000), {"input": 10, "output": 50}),
        # A longer one keeps nothing of a shorter: what it does not name costs the ordinary rate.
        (Usage(input=501, output=1), {"input": 30, "output": 50}),
    ],
)  # fmt: skip
def test_a_long_prompt_prices_its_whole_call(usage: Usage, prices: dict[str, int]) -> None:
    lines = price_lines(usage, LONG)
    assert {line.kind: line.price_nanos for line in lines} == prices
    assert {line.kind: line.units for line in lines} == {k: getattr(usage, k) for k in prices}


def test_a_class_follows_its_parent_into_the_longer_prompt() -> None:
    price = Price(
        rates={"input": 10}, long_context=(LongContext(above_tokens=1, rates={"input": 20}),)
    )
    assert [line.price_nanos for line in price_lines(Usage(cache_read=2), price)] == [20]


@given(TIERED, MULTIPLIERS, st.data())
def test_no_charge_within_the_bounds_exceeds_the_worst_case_of_its_service(
    price: Price, multiplier: Multiplier, data: st.DataObject
) -> None:
    service = data.draw(st.sampled_from(["", *price.services]), "service")
    counts = {kind: data.draw(COUNTS, kind) for kind in (*INPUT_CLASSES, *OUTPUT_CLASSES)}
    tools = data.draw(st.dictionaries(st.sampled_from(TOOL_CLASSES), COUNTS), "tools")
    usage = Usage(**counts, **tools, calls=data.draw(st.integers(0, 1), "calls"))
    bound = worst_case_nanos(
        price,
        multiplier,
        input_tokens=prompt_tokens(usage) + data.draw(st.integers(0, 10**7), "beyond"),
        output_tokens=sum(counts[kind] for kind in OUTPUT_CLASSES),
        tool_calls=tools,
        service=service,
    )
    assert charge_nanos(price_lines(usage, price, service), multiplier) <= bound


def test_a_tier_is_reached_by_one_token_more_than_it_is_above() -> None:
    tiers = (
        LongContext(above_tokens=10, rates={"input": 2}),
        LongContext(above_tokens=20, rates={"input": 3}),
    )
    price = Price(rates={"input": 1}, long_context=tiers)
    for tokens, rates in ((9, [1]), (10, [1]), (11, [1, 2]), (20, [1, 2]), (21, [1, 2, 3])):
        assert [each.rate("input") for each in price.reachable(tokens)] == rates
        assert price.for_prompt(tokens).rate("input") == rates[-1]


@given(TIERED, COUNTS, COUNTS)
def test_the_worst_case_is_that_of_a_schedule_that_can_apply(
    price: Price, input_tokens: int, output_tokens: int
) -> None:
    reachable = [price.rates] + [
        price.rates | tier.rates for tier in price.long_context if tier.above_tokens < input_tokens
    ]

    def worst(of: Price) -> int:
        return worst_case_nanos(
            of, Multiplier(), input_tokens=input_tokens, output_tokens=output_tokens
        )

    assert worst(price) == max(worst(Price(rates=rates)) for rates in reachable)


@given(TIERED, USAGES)
def test_the_dearest_service_costs_no_less_than_any(price: Price, usage: Usage) -> None:
    dearest = charge_nanos(price_lines(usage, price, dearest_service(usage, price)), Multiplier())
    for service in ("", *price.services):
        assert charge_nanos(price_lines(usage, price, service), Multiplier()) <= dearest


def test_a_service_has_its_own_schedule_and_inherits_nothing() -> None:
    flex = Schedule(
        rates={"input": 5}, long_context=(LongContext(above_tokens=9, rates={"input": 7}),)
    )
    price = Price(rates={"input": 10, "output": 50, "calls": 1}, services={"flex": flex})
    usage = Usage(input=9, output=1, calls=1)
    assert [line.price_nanos for line in price_lines(usage, price, "flex")] == [5]
    assert [line.price_nanos for line in price_lines(Usage(input=10), price, "flex")] == [7]
    assert len(price_lines(usage, price)) == 3


@pytest.mark.parametrize("service", ["flex", "standard", "default", "Batch", " "])
def test_a_service_nobody_priced_is_not_the_standard(service: str) -> None:
    price = Price(rates={"input": 1}, services={"batch": Schedule(rates={"input": 1})})
    with pytest.raises(UnpricedService, match="there is no price for the service"):
        price_lines(Usage(input=1), price, service)
    with pytest.raises(UnpricedService):
        worst_case_nanos(price, Multiplier(), input_tokens=1, output_tokens=1, service=service)


def test_what_a_provider_takes_has_no_multiplier_and_knows_services() -> None:
    batch = Schedule(rates={"input": 500_000})
    price = Price(rates={"input": 1_000_000}, services={"batch": batch})
    assert cost_nanos(Usage(input=3), price) == 3
    assert cost_nanos(Usage(input=3), price, "batch") == 2  # one and a half, rounded half up
    assert cost_nanos(Usage(input=3), price, "flex") == 3


@pytest.mark.parametrize("above", [(1, 1), (2, 1), (0,), (-1,)])
def test_lengths_ascend_and_are_positive(above: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="prompt"):
        Price(rates={}, long_context=tuple(LongContext(above_tokens=n, rates={}) for n in above))


def test_the_standard_service_has_no_second_schedule() -> None:
    with pytest.raises(ValueError, match="no name"):
        Price(rates={"input": 1}, services={"": Schedule(rates={"input": 2})})


def test_a_price_is_stored_as_it_was_before_it_knew_services() -> None:
    assert msgspec.json.encode(Price(rates={"input": 1})) == b'{"rates":{"input":1}}'
    full = Price(
        rates=LONG.rates, long_context=LONG.long_context, services={"flex": Schedule(rates={})}
    )
    assert msgspec.json.decode(msgspec.json.encode(full), type=Price) == full
