"""The catalogue says what `genai-prices` says: at every length, day and service, or it says not."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import Provider as TheirProvider

from ledger.money import NANOS_PER_USD
from ledger.price_book.catalogue import CLASS_OF_KEY, Dated, Entry, convert_model, load
from ledger.pricing import LongContext, Price, Schedule, price_lines
from ledger.usage import Usage


def moment(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


def us(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


def converted(*conditional: ConditionalPrice, variants: list[PriceVariant] | None = None) -> Entry:
    """The entry of a made-up model."""
    model = ModelInfo(
        id="m", match=ClauseEquals("m"), prices=list(conditional), price_variants=variants
    )
    maker = TheirProvider(id="p", name="P", api_pattern="", pricing_urls=["https://p"])
    return convert_model(maker, model)


def always(**prices: Decimal | TieredPrices) -> ConditionalPrice:
    return ConditionalPrice(prices=ModelPrice(**prices))


def since(day: date, **prices: Decimal | TieredPrices) -> ConditionalPrice:
    return ConditionalPrice(StartDateConstraint(day), prices=ModelPrice(**prices))


def their_models() -> Iterator[tuple[TheirProvider, ModelInfo]]:
    return ((provider, model) for provider in providers for model in provider.models)


# ---------------------------------------------------------------------- all of the package


def test_every_model_is_there_and_says_either_its_price_or_why_not() -> None:
    entries = load().entries
    assert {(each.provider, each.model) for each in entries} == {
        (provider.id, model.id) for provider, model in their_models()
    }
    for entry in entries:
        assert entry.prices[0].effective_from_us == 0
        begins = [dated.effective_from_us for dated in entry.prices]
        assert begins == sorted(set(begins))
        for dated in entry.prices:
            assert (dated.price is None) == bool(dated.refusal), entry
    assert sum(entry.prices[-1].price is not None for entry in entries) > 2_000


@pytest.mark.parametrize("year", [2024, 2026, 2027])
@pytest.mark.parametrize("prompt", [100, 200_000, 200_001, 300_000])
def test_every_price_charges_what_the_package_computes(year: int, prompt: int) -> None:
    """Tokens of every kind, in every service: the sums are equal as fractions."""
    at = moment(year, 11, 24)
    entries = {(each.provider, each.model): each for each in load().entries}
    compared = 0
    for provider, model in their_models():
        price = entries[provider.id, model.id].at(us(at)).price
        if price is None:
            continue
        ours = Usage(
            input=prompt - 60,
            cache_read=30,
            cache_write_5m=20,
            cache_write_1h=10,
            output=7,
            calls=1,
            web_search=3,
            file_search=2,
        )
        theirs = TheirUsage(
            input_tokens=prompt, cache_read_tokens=30, cache_write_tokens=30,
            cache_write_1h_tokens=10, output_tokens=7, web_searches=3, storage_searches=2,
        )  # fmt: skip
        for service in ("", *price.services):
            context = {"processing": "batch"} if service == "batch" else {"service_tier": service}
            told = model.get_prices(at, context if service else None).calc_price(theirs)
            lines = price_lines(ours, price, service)
            exact = sum(Fraction(line.units * line.price_nanos, line.per_units) for line in lines)
            assert exact == Fraction(told["total_price"]) * NANOS_PER_USD, (model.id, service)
            compared += 1
    assert compared > 2_000


def test_nothing_of_it_asks_the_network() -> None:
    code = (
        "import socket; socket.getaddrinfo = socket.socket.connect = None\n"
        "from ledger.price_book.catalogue import convert\n"
        "print(len(convert().entries))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(load().entries)


# ---------------------------------------------------------------------- made-up models


def test_a_price_that_begins_on_a_day_is_a_version_of_that_day() -> None:
    entry = converted(
        always(input_mtok=Decimal(2)),
        since(date(2026, 2, 1), input_mtok=Decimal(9)),
        since(date(2026, 3, 1), input_mtok=Decimal("1.5")),
    )
    february, march = (us(datetime(2026, month, 1, tzinfo=UTC)) for month in (2, 3))
    assert [(dated.effective_from_us, dated.price) for dated in entry.prices] == [
        (0, Price(rates={"input": 2 * 10**9})),
        (february, Price(rates={"input": 9 * 10**9})),
        (march, Price(rates={"input": 15 * 10**8})),
    ]
    assert entry.at(march - 1) == entry.prices[1]
    assert entry.at(march) == entry.prices[2]
    assert entry.after(february) == entry.prices[2:]


def test_of_prices_that_have_begun_the_last_in_the_packages_list_counts() -> None:
    entry = converted(
        always(input_mtok=Decimal(2)),
        since(date(2026, 3, 1), input_mtok=Decimal(3)),
        since(date(2026, 2, 1), input_mtok=Decimal(9)),
    )
    assert [dated.price for dated in entry.prices] == [
        Price(rates={"input": 2 * 10**9}),
        Price(rates={"input": 9 * 10**9}),
    ]


def test_a_price_by_the_hour_is_refused() -> None:
    night = TimeOfDateConstraint(time(16, 30), time(0, 30))
    cheap = ConditionalPrice(night, prices=ModelPrice(input_mtok=Decimal(1)))
    entry = converted(always(input_mtok=Decimal(2)), cheap)
    assert entry.prices == (Dated(refusal="the price depends on the time of day"),)


def test_long_prompts_of_several_classes_become_one_ladder() -> None:
    entry = converted(
        always(
            input_mtok=TieredPrices(Decimal(1), [Tier(200, Decimal(2)), Tier(500, Decimal(3))]),
            output_mtok=TieredPrices(Decimal(5), [Tier(500, Decimal(9))]),
            cache_read_mtok=Decimal("0.1"),
        )
    )
    (dated,) = entry.prices
    assert dated.price == Price(
        rates={"input": 10**9, "output": 5 * 10**9, "cache_read": 10**8},
        long_context=(
            LongContext(above_tokens=200, rates={"input": 2 * 10**9, "output": 5 * 10**9}),
            LongContext(above_tokens=500, rates={"input": 3 * 10**9, "output": 9 * 10**9}),
        ),
    )


def test_variants_are_services_with_what_they_do_not_name_from_the_standard() -> None:
    half = ModelPrice(input_mtok=Decimal("0.5"))
    entry = converted(
        always(input_mtok=Decimal(1), output_mtok=Decimal(4), input_video_mtok=Decimal(10)),
        variants=[
            PriceVariant({"service_tier": "default"}, ModelPrice()),
            PriceVariant({"service_tier": "flex"}, half, StartDateConstraint(date(2026, 5, 1))),
            PriceVariant({"processing": "batch"}, half),
            PriceVariant({"speed": "fast"}, half),
            PriceVariant({"service_tier": "flex", "region": "eu"}, half),
        ],
    )
    batch = Schedule(rates={"input": 5 * 10**8, "output": 4 * 10**9})
    told = ("input_video_mtok=10", "speed=fast", "service_tier=flex region=eu")
    assert entry.prices == (
        Dated(
            price=Price(rates={"input": 10**9, "output": 4 * 10**9}, services={"batch": batch}),
            not_expressed=told,
        ),
        Dated(
            effective_from_us=us(datetime(2026, 5, 1, tzinfo=UTC)),
            price=Price(
                rates={"input": 10**9, "output": 4 * 10**9},
                services={"flex": batch, "batch": batch},
            ),
            not_expressed=told,
        ),
    )


@pytest.mark.parametrize(
    ("entry", "refusal"),
    [
        (
            converted(always(input_mtok=Decimal("0.041666666666666664"))),
            "input: 0.041666666666666664 USD is no whole number of nanodollars",
        ),
        (converted(always()), "no price per input token or call; it names nothing"),
        (
            converted(always(audio_hours=Decimal("0.36"))),
            "no price per input token or call; it names audio_hours=0.36",
        ),
    ],
)
def test_what_cannot_be_said_exactly_is_refused(entry: Entry, refusal: str) -> None:
    assert entry.prices == (Dated(refusal=refusal),)


def test_a_price_per_call_is_per_one_call() -> None:
    (dated,) = converted(always(requests_kcount=Decimal(5), input_mtok=Decimal(1))).prices
    assert dated.price == Price(rates={"calls": 5_000_000, "input": 10**9})


def test_where_a_price_comes_from_names_what_it_leaves_out() -> None:
    entry = converted(always(input_mtok=Decimal(1), input_video_mtok=Decimal(10)))
    told = entry.provenance(entry.prices[0], "1.2.3")
    assert told == "genai-prices 1.2.3 p/m https://p without input_video_mtok=10"


def test_our_classes_have_one_name_each_there() -> None:
    assert len(set(CLASS_OF_KEY.values())) == len(CLASS_OF_KEY)
