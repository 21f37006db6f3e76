"""Prices as ratios again, the way operators of new-api read them; and what ratios cannot say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ledger.money import NANOS_PER_USD
from ledger.price_book.exact import write_exact
from ledger.price_book.family_ratios import hardcoded_audio_nanos, hardcoded_completion_ratio
from ledger.price_book.ratios import HOUR_CACHE_FACTOR, RATIO_ONE_NANOS
from ledger.pricing import Price
from ledger.usage import TOOL_CLASSES


@dataclass(frozen=True, slots=True)
class RatioView:
    """A model's entry in each table, by the table's name.

    With no `lost`, importing them gives a price that charges exactly the same.
    """

    ratios: Mapping[str, Fraction]
    lost: tuple[str, ...]


def ratios_of(model: str, price: Price) -> RatioView:
    """A price as ratios."""
    lost = [*_beyond(price)]
    if "*" in model:
        lost.append("a name with * stands for many models there")
    rates = {kind: rate for kind, rate in price.rates.items() if kind not in TOOL_CLASSES}
    if not any(rate for kind, rate in rates.items() if kind != "calls") and "calls" in rates:
        return RatioView({"ModelPrice": Fraction(rates["calls"], NANOS_PER_USD)}, tuple(lost))
    if rates.get("calls"):
        lost.append("a price per call beside prices per token")
    if not price.rate("input"):
        if any(price.rate(kind) for kind in rates if kind != "calls") or _is_heard(model):
            lost.append("prices beside a free input: ratios are multiples of it")
        return RatioView({"ModelRatio": Fraction(0)}, tuple(lost))
    lost += _unlike(model, price)
    return RatioView(_ratios(model, price), tuple(lost))


def _ratios(model: str, price: Price) -> dict[str, Fraction]:
    rates, of_input = price.rates, price.rate("input")
    ratios = {
        "ModelRatio": Fraction(of_input, RATIO_ONE_NANOS),
        "CompletionRatio": Fraction(price.rate("output"), of_input),
        "CreateCacheRatio": Fraction(price.rate("cache_write_5m"), of_input),
    }
    if "cache_read" in rates:
        ratios["CacheRatio"] = Fraction(rates["cache_read"], of_input)
    if "image_in" in rates:
        ratios["ImageRatio"] = Fraction(rates["image_in"], of_input)
    if _has_audio_ratio(model, price):
        heard = price.rate("audio_in")
        ratios["AudioRatio"] = Fraction(heard, of_input)
        if heard:
            ratios["AudioCompletionRatio"] = Fraction(price.rate("audio_out"), heard)
    return ratios


def _has_audio_ratio(model: str, price: Price) -> bool:
    """Whether audio needs ratios of its own, or comes out right without them."""
    hardcoded = hardcoded_audio_nanos(model)
    heard_without = price.rate("input") if hardcoded is None else hardcoded
    return (price.rate("audio_in"), price.rate("audio_out")) != (
        heard_without,
        price.rate("output"),
    )


def _beyond(price: Price) -> Iterator[str]:
    """What no table has a place for."""
    if price.long_context:
        yield "other prices for long prompts"
    for service in price.services:
        yield f"the service {service}"
    for kind in ("reasoning", "image_out"):
        if price.rate(kind) != price.rate("output"):
            yield f"{kind} at another price than output"
    for kind in TOOL_CLASSES:
        if price.rate(kind):
            yield f"{kind} at a price of its own: there it is the tool's, not the model's"


def _unlike(model: str, price: Price) -> Iterator[str]:
    """Where new-api would charge something else, whatever the tables say."""
    written = price.rate("cache_write_5m") * HOUR_CACHE_FACTOR
    if price.rate("cache_write_1h") != written:
        yield f"cache_write_1h at another price than {write_exact(HOUR_CACHE_FACTOR)} of 5m"
    ratio, is_locked = hardcoded_completion_ratio(model)
    if is_locked and "/" not in model and price.rate("output") != ratio * price.rate("input"):
        yield f"output at another ratio than {write_exact(ratio)}, which is locked for this name"
    if price.rate("audio_out") and not price.rate("audio_in"):
        yield "audio answered beside audio heard for nothing"


def _is_heard(model: str) -> bool:
    return hardcoded_audio_nanos(model) is not None
