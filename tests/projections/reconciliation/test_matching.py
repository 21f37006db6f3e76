"""Comparing: every outcome, exact tolerances, capture rates; and that no figure is ever lost."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.pricing import LongContext, Price, Schedule, cost_nanos
from ledger.usage import CLASSES, TOKEN_CLASSES, Usage
from projections.reconciliation.contract import (
    ALL,
    EVERY_MODEL,
    OTHER,
    REQUESTS,
    TOKENS,
    Entry,
    Export,
)
from projections.reconciliation.exact import plain, total
from projections.reconciliation.matching import Line, Tolerance
from projections.reconciliation.ours import Ours, ours_from
from projections.reconciliation.report import Question, Report, reconcile
from projections.views.upstream_daily import PROMPT_BANDS, UpstreamRow

DAY = date(2026, 3, 1)
NEXT = DAY + timedelta(days=1)
CHANNEL = UUID(int=7)
BOOK = "cost"
# 2, 1 and 6 nanodollars per token; 40 per call.
PRICE = Price(rates={"input": 2_000_000, "cache_read": 1_000_000, "output": 6_000_000, "calls": 40})
UNITS = ("input", "cache_read", "output")
COVERS = (*UNITS, OTHER)
EXACT = Tolerance()


def row(model: str = "m", day: date = DAY, **counts: Any) -> UpstreamRow:  # noqa: ANN401
    """A day of one model under PRICE, one request unless said otherwise."""
    usage = {kind: counts.pop(kind) for kind in CLASSES if kind in counts}
    given = {
        "service": "",
        "cost_book": BOOK,
        "cost_version": 1,
        "above_tokens": 0,
        "requests": 1,
        "cost_nanos": cost_nanos(Usage(**usage), PRICE),
        **counts,
    }
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UpstreamRow(day=midnight, channel_id=CHANNEL, upstream_model=model, **usage, **given)


def ours_of(*rows: UpstreamRow, price: Price = PRICE) -> Ours:
    return ours_from(rows, {(BOOK, each.upstream_model, 1): price for each in rows})


def entry(
    unit: str = "input",
    units: int | str | None = None,
    usd: str | None = None,
    model: str = "m",
    day: date = DAY,
) -> Entry:
    counted = None if units is None else Decimal(units)
    return Entry("line 2", day, model, unit, counted, None if usd is None else Decimal(usd))


def compare(
    entries: Sequence[Entry],
    ours: Ours,
    covers: Sequence[str] = COVERS,
    tolerance: Tolerance = EXACT,
    **aliases: str,
) -> Report:
    export = Export(tuple(entries), tuple(covers), DAY, NEXT)
    question = Question(DAY, NEXT, aliases, tolerance, date(2026, 3, 10))
    return reconcile(export, ours, question)


def outcomes(report: Report) -> list[tuple[str, str, str]]:
    return [(line.model, line.unit, line.outcome) for line in report.lines]


def only(report: Report) -> Line:
    (line,) = report.lines
    return line


# ---------------------------------------------------------------------- each outcome


@pytest.mark.parametrize(
    ("theirs", "outcome"),
    [
        (entry(units=100, usd="0.0000002"), "matched"),
        (entry(units=100), "matched"),
        (entry(usd="0.0000002"), "matched"),
        (entry(units=101, usd="0.0000002"), "usage_differs"),
        (entry(units=101, usd="0.000000202"), "usage_differs"),
        (entry(units=99), "usage_differs"),
        (entry(units=100, usd="0.00000020000000000000001"), "price_differs"),
        (entry(units=100, usd="0.0000004"), "price_differs"),
        (entry(usd="0.0000004"), "amount_differs"),
        (entry(usd="-0.0000002"), "amount_differs"),
        (entry(units=0, usd="0"), "only_ours"),
    ],
)
def test_a_pair_is_told_apart_exactly(theirs: Entry, outcome: str) -> None:
    assert only(compare([theirs], ours_of(row(input=100)))).outcome == outcome


def test_what_one_side_has_alone_is_said() -> None:
    ours = ours_of(row("a", input=1), row("b", input=2))
    report = compare([entry(units=1, model="a"), entry(units=5, model="c")], ours)
    assert outcomes(report) == [
        ("a", "input", "matched"),
        ("b", "input", "only_ours"),
        ("c", "input", "only_theirs"),
    ]
    assert not report.summary.agrees


def test_days_are_apart() -> None:
    report = compare([entry(units=3, day=NEXT)], ours_of(row(input=3)))
    assert [(line.day, line.outcome) for line in report.lines] == [
        (DAY, "only_ours"),
        (NEXT, "only_theirs"),
    ]


@pytest.mark.parametrize(
    ("units", "usd", "tolerance", "outcome"),
    [
        ("10100", None, Tolerance(basis_points=100), "within_tolerance"),
        ("10102", None, Tolerance(basis_points=100), "usage_differs"),
        ("9900", None, Tolerance(basis_points=101), "usage_differs"),  # of their figure
        ("10000", "0.00002", Tolerance(), "matched"),
        ("10000", "0.000020001", Tolerance(usd=Decimal("1e-9")), "within_tolerance"),
        ("10000", "0.0000200010001", Tolerance(usd=Decimal("1e-9")), "price_differs"),
        ("10000", "0.0000202", Tolerance(99, Decimal("2.2e-10")), "within_tolerance"),
        ("10000", "0.0000202", Tolerance(99, Decimal("2e-11")), "within_tolerance"),
        ("10000", "0.0000202", Tolerance(99, Decimal("1.9e-11")), "price_differs"),
    ],
)
def test_tolerances_are_exact(
    units: str, usd: str | None, tolerance: Tolerance, outcome: str
) -> None:
    ours = ours_of(row(input=10_000))
    report = compare([entry(units=units, usd=usd)], ours, tolerance=tolerance)
    assert only(report).outcome == outcome


# ---------------------------------------------------------------------- names of models


def test_a_name_is_taken_exactly_then_by_the_mapping_and_never_guessed() -> None:
    ours = ours_of(row("gpt-4o", input=5), row("gpt-4o-2024-05-13", input=2))
    theirs = [
        entry(units=5, model="gpt-4o-2024-08-06"),
        entry(units=2, model="gpt-4o-2024-05-13"),
    ]
    report = compare(theirs, ours)
    assert outcomes(report) == [
        ("gpt-4o", "input", "only_ours"),
        ("gpt-4o-2024-05-13", "input", "matched"),
        ("gpt-4o-2024-08-06", "input", "only_theirs"),
    ]
    assert report.summary.suggestions == {"gpt-4o-2024-08-06": "gpt-4o"}
    mapping = {"gpt-4o-2024-08-06": "gpt-4o", "gpt-4o-2024-05-13": "gpt-4o"}
    report = compare(theirs, ours, COVERS, EXACT, **mapping)
    assert outcomes(report) == [
        ("gpt-4o", "input", "matched"),
        ("gpt-4o-2024-05-13", "input", "matched"),  # a name we have is never mapped away
    ]
    assert report.lines[0].their_models == ("gpt-4o-2024-08-06",)
    assert report.summary.suggestions == {}


def test_several_names_of_theirs_can_be_one_of_ours() -> None:
    ours = ours_of(row("gpt-4o", input=7))
    theirs = [entry(units=3, model="a"), entry(units=4, model="b")]
    line = only(compare(theirs, ours, a="gpt-4o", b="gpt-4o"))
    assert (line.outcome, line.their_models) == ("matched", ("a", "b"))


# ---------------------------------------------------------------------- what covers what


def test_reasoning_is_compared_within_the_output() -> None:
    ours = ours_of(row(output=3, reasoning=4))
    assert only(compare([entry("output", 7)], ours)).outcome == "matched"


def test_what_the_export_does_not_speak_of_is_not_compared_and_not_lost() -> None:
    report = compare([entry(units=10)], ours_of(row(input=10, audio_in=8)), ("input",))
    assert outcomes(report) == [("m", "input", "matched")]
    assert report.summary.not_compared.tokens == "8"


def test_amounts_of_whole_days() -> None:
    ours = ours_of(row("a", input=100), row("b", output=10, calls=1))
    report = compare([entry(ALL, usd="0.0000003", model=EVERY_MODEL)], ours, (ALL,))
    assert outcomes(report) == [("", ALL, "matched")]
    report = compare([entry(ALL, usd="0.00000031", model=EVERY_MODEL)], ours, (ALL,))
    assert outcomes(report) == [("", ALL, "amount_differs")]


def test_amounts_of_whole_models_beside_units_by_class() -> None:
    ours = ours_of(row(input=100, output=10))
    theirs = [entry("input", 100), entry("output", 11), entry(ALL, usd="0.00000026")]
    report = compare(theirs, ours, ("input", "output", ALL))
    assert outcomes(report) == [
        ("m", "input", "matched"),
        ("m", "output", "usage_differs"),
        ("m", ALL, "matched"),
    ]
    assert report.summary.amount is not None
    assert report.summary.amount.ours == report.summary.recorded == "0.00000026"


def test_requests_are_counted_apart_from_tokens() -> None:
    ours = ours_of(row(input=10, requests=3))
    report = compare([entry("input", 10), entry(REQUESTS, 4)], ours, ("input", REQUESTS))
    assert outcomes(report) == [("m", "input", "matched"), ("m", REQUESTS, "usage_differs")]
    summary = report.summary
    assert summary.tokens is not None
    assert summary.requests is not None
    assert (summary.tokens.rate, summary.requests.ratio) == ("1.000000", "3/4")


def test_a_tier_that_the_read_model_tells_apart_is_split_exactly() -> None:
    price = Price(
        rates={"input": 2_000_000, "output": 6_000_000},
        long_context=(LongContext(above_tokens=200_000, rates={"input": 4_000_000}),),
        services={"flex": Schedule(rates={"input": 1_000_000})},
    )
    rows = (
        row(input=100, cost_nanos=200),
        row(input=300_000, above_tokens=256_000, cost_nanos=1_200_000),
        row(input=50, service="flex", cost_nanos=50),
        row(input=50, service="unheard of", cost_nanos=100),
    )
    theirs = [entry("input", 300_200, "0.00120035")]
    assert only(compare(theirs, ours_of(*rows, price=price))).outcome == "matched"


def test_a_tier_that_it_does_not_tell_apart_is_compared_as_a_whole() -> None:
    tiers = (LongContext(above_tokens=1_000, rates={"input": 4_000_000}),)
    price = Price(rates={"input": 2_000_000, "output": 6_000_000}, long_context=tiers)
    ours = ours_of(row(input=2_500, output=10, cost_nanos=9_060), price=price)
    theirs = [entry("input", 2_500, "0.000009"), entry("output", 10, "0.00000006")]
    report = compare(theirs, ours)
    assert outcomes(report) == [
        ("m", "input", "matched"),
        ("m", "output", "matched"),
        ("m", ALL, "matched"),
    ]
    assert any("split by class" in note for note in report.summary.notes)
    amounts_alone = [each._replace(units=None) for each in theirs]
    assert outcomes(compare(amounts_alone, ours)) == [("m", ALL, "matched")]
    units_alone = [each._replace(amount_usd=None) for each in theirs]
    assert {line.unit for line in compare(units_alone, ours).lines} == {"input", "output"}


@pytest.mark.parametrize("tokens", [0, 1, *PROMPT_BANDS[1:], *(n + 1 for n in PROMPT_BANDS)])
@pytest.mark.parametrize("above", PROMPT_BANDS[1:])
def test_the_bands_choose_the_tier_that_pricing_chooses(tokens: int, above: int) -> None:
    price = Price(
        rates={"input": 2_000_000},
        long_context=(LongContext(above_tokens=above, rates={"input": 3_000_000}),),
    )
    usage = Usage(input=tokens)
    band = max(each for each in PROMPT_BANDS if each < tokens or each == 0)
    ours = ours_of(row(input=tokens, above_tokens=band, cost_nanos=0), price=price)
    nanos = sum(ours.whole_femto.values()) // 10**6
    assert not any(ours.unsplit_nanos.values())
    assert nanos == cost_nanos(usage, price)


def test_calls_without_a_cost_price_are_told() -> None:
    ours = ours_of(row(input=10, cost_book="", cost_version=0, cost_nanos=0, requests=2))
    report = compare([entry("input", 10, "0.00000002")], ours)
    assert only(report).outcome == "price_differs"
    assert report.summary.days[0].uncosted_requests == 2
    assert any("no cost price" in note for note in report.summary.notes)


# ---------------------------------------------------------------------- capture rates


def test_the_daily_capture_rate_is_exact_and_rounded_once() -> None:
    ours = ours_of(row(input=2), row(input=1, day=NEXT), row("x", failed_attempts=3, requests=0))
    theirs = [entry(units=3, usd="0.000000003"), entry(units=1, usd="0", day=NEXT)]
    first, second = compare(theirs, ours).summary.days
    assert first.tokens is not None
    assert (first.tokens.ratio, first.tokens.rate) == ("2/3", "0.666667")
    assert first.amount is not None
    assert (first.amount.ratio, first.amount.rate) == ("4/3", "1.333333")
    assert first.failed_attempts == 3
    assert second.amount is not None
    assert (second.amount.ratio, second.amount.rate) == (None, None)
    assert second.amount.ours == "0.000000002"


def test_a_usage_export_has_no_capture_of_amounts_and_a_cost_export_none_of_tokens() -> None:
    ours = ours_of(row(input=2))
    usage = compare([entry(units=2)], ours).summary
    assert (usage.tokens is None, usage.amount is None) == (False, True)
    costs = compare([entry(usd="1")], ours).summary
    assert (costs.tokens is None, costs.amount is None) == (True, False)


def test_what_lies_outside_of_the_period_is_told() -> None:
    late = entry(units=7, usd="3", day=NEXT + timedelta(days=1))
    summary = compare([entry(units=2), late], ours_of(row(input=2))).summary
    assert (summary.outside.tokens, summary.outside.amount, summary.outside_rows) == ("7", "3", 1)
    assert summary.agrees


def test_the_rounding_of_each_call_is_told() -> None:
    odd = Price(rates={"input": 2_400_000})  # 2.4 nanodollars per token
    calls = [row(input=count, cost_nanos=cost_nanos(Usage(input=count), odd)) for count in (1, 2)]
    report = compare([entry(units=3, usd="0.0000000072")], ours_of(*calls, price=odd))
    assert only(report).outcome == "matched"  # 2.4 + 4.8, and not 2 + 5
    assert report.summary.recorded == "0.000000007"
    assert report.summary.rounding == "-0.0000000002"


def test_digits_beyond_a_nanodollar_are_kept_and_told() -> None:
    theirs = [entry(units=1, usd="0.1234567890123456789"), entry(units=1, usd="0.0000000001")]
    summary = compare(theirs, ours_of(row(input=2))).summary
    assert summary.amount is not None
    assert summary.amount.theirs == "0.1234567891123456789"
    assert summary.residue == "0.0000000001123456789"


# ---------------------------------------------------------------------- properties

models = st.sampled_from(["a", "b", "b-2024-01-01"])
days = st.sampled_from([DAY, NEXT])
amounts = st.decimals("-1", "9", places=14)
theirs_lists = st.lists(
    st.builds(
        Entry,
        st.just("line"),
        days,
        models,
        st.sampled_from(UNITS),
        st.integers(0, 40).map(Decimal),
        amounts,
    ),
    max_size=12,
)
ours_lists = st.lists(
    st.builds(
        lambda model, day, **counts: row(model, day, **counts),
        models,
        days,
        input=st.integers(0, 40),
        cache_read=st.integers(0, 3),
        output=st.integers(0, 9),
        reasoning=st.integers(0, 2),
        audio_in=st.integers(0, 2),
        requests=st.integers(1, 3),
    ),
    max_size=8,
)


@given(theirs_lists, ours_lists, st.randoms(use_true_random=False))
def test_neither_order_nor_cuts_of_rows_change_the_report(
    theirs: list[Entry],
    rows: list[UpstreamRow],
    random: Any,  # noqa: ANN401 - hypothesis' Random
) -> None:
    cut = []
    for each in theirs:
        assert each.units is not None
        part = Decimal(random.randint(0, int(each.units)))
        usd = Decimal(random.randint(-5, 5)).scaleb(-14)
        rest = total([each.units, -part]), total([each.amount_usd or Decimal(0), -usd])
        cut += [
            each._replace(units=part, amount_usd=usd),
            each._replace(units=rest[0], amount_usd=rest[1]),
        ]
    random.shuffle(cut)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert compare(cut, ours_of(*shuffled)) == compare(theirs, ours_of(*rows))


@given(theirs_lists, ours_lists)
def test_the_totals_are_those_of_both_inputs(theirs: list[Entry], rows: list[UpstreamRow]) -> None:
    report = compare(theirs, ours_of(*rows))
    lines, summary = report.lines, report.summary
    their_units = sum(each.units or 0 for each in theirs)
    their_usd = sum(Fraction(each.amount_usd or 0) for each in theirs)
    assert sum(line.theirs.units or 0 for line in lines) == their_units
    assert sum(Fraction(line.theirs.usd or 0) for line in lines) == their_usd
    our_tokens = sum(getattr(each, kind) for each in rows for kind in TOKEN_CLASSES)
    told = sum(line.ours.units or 0 for line in lines if line.unit in TOKENS)
    assert told + Decimal(summary.not_compared.tokens) == our_tokens
    recorded = Fraction(sum(each.cost_nanos for each in rows), 10**9)
    assert Fraction(summary.recorded) == recorded
    if theirs:  # without amounts of theirs, ours are in no line
        in_lines = sum(Fraction(line.ours.usd or 0) for line in lines)
        left = Fraction(summary.not_compared.amount) + Fraction(summary.rounding)
        assert in_lines + left == recorded
    assert sum(summary.outcomes.values()) == len(lines)
    apart = sum(map(Fraction, summary.differences.values()))
    ours_in_lines = sum(Fraction(line.ours.usd or 0) for line in lines)
    assert apart == their_usd - ours_in_lines


@given(theirs_lists, ours_lists)
def test_the_days_add_up_to_the_whole(theirs: list[Entry], rows: list[UpstreamRow]) -> None:
    summary = compare(theirs, ours_of(*rows)).summary
    for name in ("tokens", "amount"):
        whole = getattr(summary, name)
        parts = [getattr(day, name) for day in summary.days]
        if whole is not None:
            for side in ("theirs", "ours"):
                added = sum(Fraction(getattr(part, side)) for part in parts)
                assert added == Fraction(getattr(whole, side))
    assert sum(Fraction(day.recorded) for day in summary.days) == Fraction(summary.recorded)


@given(ours_lists)
def test_our_own_figures_always_match(rows: list[UpstreamRow]) -> None:
    """An export made of what we recorded agrees with it, to the last digit."""
    ours = ours_of(*rows)
    theirs = [
        entry(kind, units, plain(Decimal(ours.femto[place, kind]).scaleb(-15)), *place[::-1])
        for (place, kind), units in ours.units.items()
        if kind in UNITS
    ]
    report = compare(theirs, ours, UNITS)
    reasoning = sum(each.reasoning for each in rows)
    assert reasoning or report.summary.agrees
    assert {line.unit for line in report.lines if line.outcome != "matched"} <= {"output"}


@given(st.decimals("-1e12", "1e12", places=20))
def test_plain_decimals_are_exact(value: Decimal) -> None:
    assert Fraction(plain(value)) == Fraction(value)
    assert "E" not in plain(value).upper()
