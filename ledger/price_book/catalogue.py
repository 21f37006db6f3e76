"""What providers ask, as our prices: the `genai-prices` package, its pinned data, no network.

Source: https://github.com/pydantic/genai-prices. Its figures are decimals in USD per million
tokens; every one is taken exactly or not at all. A model may cost something else from a day on,
for long prompts, or in another service: all three become ours. What a price here cannot say is
named: `not_expressed` beside a price that is right for everything else, `refusal` in its place.

The package takes a hundred megabytes to load. `python -m ledger.price_book` prints what `convert`
gives, so that a server that asks once does not carry it for ever.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import msgspec

from ledger.money import NANOS_PER_USD
from ledger.pricing import LongContext, Price, Schedule

PACKAGE = "genai-prices"

CLASS_OF_KEY: Mapping[str, str] = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_in",
    "input_image_mtok": "image_in",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_out",
    "output_image_mtok": "image_out",
    "requests_kcount": "calls",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
}
"""The package's names of what is priced, and our classes. All others are not expressed."""

_CALLS_PER_PRICE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model costs from a moment on; None, with the reason, where that cannot be said."""

    effective_from_us: int = 0
    price: Price | None = None
    not_expressed: tuple[str, ...] = ()
    refusal: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model of one provider; `prices` in the order in which they begin, the first always."""

    provider: str
    model: str
    name: str
    source: str
    prices: tuple[Dated, ...]

    def at(self, moment_us: int) -> Dated:
        """What it costs at a moment."""
        return [each for each in self.prices if each.effective_from_us <= moment_us][-1]

    def after(self, moment_us: int) -> tuple[Dated, ...]:
        """What it will cost later, as far as that is announced."""
        return tuple(each for each in self.prices if each.effective_from_us > moment_us)

    def provenance(self, dated: Dated, package_version: str) -> str:
        """Where the figures of one of its prices come from."""
        told = f"{PACKAGE} {package_version} {self.provider}/{self.model} {self.source}".strip()
        return f"{told} without {', '.join(dated.not_expressed)}" if dated.not_expressed else told


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Every model of every provider, under the version of the package that says so."""

    package_version: str
    entries: tuple[Entry, ...]


class _Inexpressible(Exception):
    """There is no price of ours that says the same."""


def convert() -> Catalogue:
    """Everything the installed package knows. Takes a second and a hundred megabytes."""
    data = import_module("genai_prices.data")
    return Catalogue(
        package_version=version(PACKAGE),
        entries=tuple(
            convert_model(provider, model)
            for provider in data.providers
            for model in provider.models
        ),
    )


def convert_model(provider: Any, model: Any) -> Entry:  # noqa: ANN401 - the package's own classes
    """One model of the package's own classes `Provider` and `ModelInfo`."""
    urls = provider.pricing_urls or ()
    return Entry(
        provider=provider.id,
        model=model.id,
        name=model.name or model.id,
        source=urls[0] if urls else "",
        prices=tuple(_dated(model)),
    )


def _dated(model: Any) -> Iterator[Dated]:  # noqa: ANN401 - the package's own class
    constraints = [each.constraint for each in _conditional(model) if each.constraint is not None]
    if any(not hasattr(constraint, "start_date") for constraint in constraints):
        yield Dated(refusal="the price depends on the time of day")
        return
    before: Dated | None = None
    for day in [None, *sorted({constraint.start_date for constraint in constraints})]:
        since = _EPOCH if day is None else _midnight(day)
        found = _at(model, since)
        if (
            before is None
            or msgspec.structs.replace(before, effective_from_us=found.effective_from_us) != found
        ):
            yield found
            before = found


def _at(model: Any, moment: datetime) -> Dated:  # noqa: ANN401 - the package's own class
    """The price in force at a moment, with every service it is sold in then."""
    from_us = (moment - _EPOCH) // timedelta(microseconds=1)
    contexts, not_expressed = _services(model, moment)
    try:
        standard, left = _schedule(model.get_prices(moment))
        services = {}
        for service, context in contexts.items():
            services[service], left_in_service = _schedule(model.get_prices(moment, context))
            left += [each for each in left_in_service if each not in left]
    except _Inexpressible as reason:
        return Dated(effective_from_us=from_us, refusal=str(reason))
    return Dated(
        effective_from_us=from_us,
        price=Price(rates=standard.rates, long_context=standard.long_context, services=services),
        not_expressed=(*left, *not_expressed),
    )


def _services(model: Any, moment: datetime) -> tuple[dict[str, dict[str, str]], list[str]]:  # noqa: ANN401 - the package's own class
    """The services a model is sold in, and the variants that are no service."""
    contexts: dict[str, dict[str, str]] = {}
    others: list[str] = []
    for variant in model.price_variants or ():
        if variant.constraint is not None and not variant.constraint.active(moment):
            continue
        match variant.when:
            case {"service_tier": "default"}:
                continue
            case {"service_tier": name} | {"processing": "batch" as name} if len(variant.when) == 1:
                contexts[name] = dict(variant.when)
            case _:
                others.append(" ".join(f"{key}={value}" for key, value in variant.when.items()))
    return contexts, others


def _schedule(prices: Any) -> tuple[Schedule, list[str]]:  # noqa: ANN401 - the package's own class
    """One schedule, and the figures it leaves out. Raises _Inexpressible."""
    told = {key: value for key, value in vars(prices).items() if value is not None}
    priced = {CLASS_OF_KEY[key]: value for key, value in told.items() if key in CLASS_OF_KEY}
    left = [f"{key}={_written(value)}" for key, value in told.items() if key not in CLASS_OF_KEY]
    if not {"input", "calls"} & set(priced):
        named = ", ".join(left) or "nothing"
        raise _Inexpressible(f"no price per input token or call; it names {named}")
    rates = {kind: _nanos(kind, _base(value)) for kind, value in priced.items()}
    lengths = sorted({tier.start for value in priced.values() for tier in _tiers(value)})
    if lengths and lengths[0] < 1:
        raise _Inexpressible("its long prompts begin at no length")
    long_context = tuple(
        LongContext(
            above_tokens=length,
            rates={
                kind: _nanos(kind, _above(value, length))
                for kind, value in priced.items()
                if _tiers(value)
            },
        )
        for length in lengths
    )
    return Schedule(rates=rates, long_context=long_context), left


def _nanos(kind: str, usd: Decimal) -> int:
    """Nanodollars for as many units as the class is priced by; the package prices tools by the
    thousand, as we do. Raises _Inexpressible where none are exact.
    """
    exact = Fraction(usd) * NANOS_PER_USD
    if kind == "calls":
        exact /= _CALLS_PER_PRICE
    if exact.denominator != 1:
        raise _Inexpressible(f"{kind}: {usd} USD is no whole number of nanodollars")
    return exact.numerator


def _tiers(value: Any) -> Sequence[Any]:  # noqa: ANN401 - a decimal, or tiers of them
    return () if isinstance(value, Decimal) else value.tiers


def _base(value: Any) -> Decimal:  # noqa: ANN401 - a decimal, or tiers of them
    base: Decimal = value if isinstance(value, Decimal) else value.base
    return base


def _above(value: Any, length: int) -> Decimal:  # noqa: ANN401 - tiers of decimals
    """The price of the longest tier that begins at `length` or before."""
    price = _base(value)
    for tier in value.tiers:
        if tier.start <= length:
            price = tier.price
    return price


def _written(value: Any) -> str:  # noqa: ANN401 - a decimal, or tiers of them
    return f"{_base(value)}" + "".join(f",>{tier.start}:{tier.price}" for tier in _tiers(value))


def _conditional(model: Any) -> Iterable[Any]:  # noqa: ANN401 - the package's own classes
    prices = model.prices if isinstance(model.prices, list) else ()
    return (*prices, *(model.price_variants or ()))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@cache
def load() -> Catalogue:
    """Everything the installed package knows, converted in a process of its own, once."""
    command = [sys.executable, "-m", "ledger.price_book"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own module
    return msgspec.json.decode(told.stdout, type=Catalogue)
