"""What we charge for the recorded exchanges is what `genai-prices` computes by itself.

Two ways from the provider's bytes to an amount that share nothing but the figures: our formats'
reading of usage, the catalogue's conversion and the ledger's arithmetic, against the package's own
extraction and calculation.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import genai_prices
import msgspec
import pytest
from genai_prices.types import ExtractedUsage

from gateway.formats.registry import FORMATS
from gateway.formats.values import ChatCall
from ledger.money import NANOS_PER_USD
from ledger.price_book.catalogue import Entry, load
from ledger.pricing import Multiplier, charge_nanos, price_lines
from ledger.usage import Usage
from tests.recorded import FOLDER, Recording, recordings

MOMENT = datetime(2026, 11, 24, tzinfo=UTC)
"""Prices are dated; the calendar of whoever runs the tests does not matter."""

FLAVORS = {
    "openai-chat": ("openai_chat", "chat"),
    "openai-responses": ("openai_responses", "responses"),
    "anthropic-messages": ("anthropic_messages", "default"),
    "gemini-generate": ("gemini", "default"),
}
"""By the beginning of a recording's name: our format, and the package's flavor."""

UNPRICED = {
    "gemini-generate-gemini-model-armor-block": "blocked before the model: it tells no usage",
    "openai-chat-chat-logprobs": "a model of Snowflake's, whose prices the package lacks",
    "openai-chat-chat-reasoning-content-dialect-deepseek-etc": "a price by the time of day",
}
SUMMED = {
    "anthropic-messages-anthropic-usage-iterations-compaction-advisor": (
        "the package leaves out the model calls behind the message, which are charged"
    )
}
ANSWERED = [
    one
    for prefix, (form, _) in FLAVORS.items()
    if form in FORMATS
    for one in recordings(prefix)
    if one.status == 200 and one.name not in UNPRICED
]


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda one: one.name)
def test_the_charge_is_the_packages_to_the_nanodollar(recording: Recording) -> None:
    theirs = their_usage(recording)
    exact_usd = theirs.calc_price(
        genai_request_timestamp=MOMENT, price_context=context(recording)
    ).total_price
    entry = entry_of(theirs)
    dated = entry.at(int(MOMENT.timestamp()) * 1_000_000)
    assert dated.price is not None
    usage, service, tools = our_usage(recording)
    assert theirs.usage.reported_value("web_searches") in (0, tools.web_search)
    usage = msgspec.structs.replace(usage, web_search=tools.web_search)
    lines = price_lines(usage, dated.price, service)
    ours = sum(Fraction(line.units * line.price_nanos, line.per_units) for line in lines)
    expected = Fraction(exact_usd) * NANOS_PER_USD + unseen_searches_nanos(theirs, tools)
    if recording.name in SUMMED:
        assert ours > expected
        return
    assert ours == expected
    assert charge_nanos(lines, Multiplier()) == (2 * expected + 1) // 2


def test_something_of_every_format_and_every_kind_of_token_is_compared() -> None:
    compared = [our_usage(one)[0] for one in ANSWERED]
    for kind in ("input", "cache_read", "cache_write_5m", "output", "reasoning"):
        assert any(getattr(usage, kind) for usage in compared), kind
    assert len(compared) >= 28


def test_a_price_by_the_time_of_day_is_refused_and_not_guessed() -> None:
    entry = next(
        each
        for each in load().entries
        if (each.provider, each.model) == ("deepseek", "deepseek-reasoner")
    )
    assert [dated.refusal for dated in entry.prices] == ["the price depends on the time of day"]


def their_usage(recording: Recording) -> ExtractedUsage:
    """The package's reading; of a stream it is given the usage that the recording tells."""
    told = document(recording)
    body: Any
    if recording.name.startswith("gemini"):
        body = last_of(recording) | {"modelVersion": told["model"]}
    elif recording.is_stream:
        body = {"usage": nested(recording.usage)}
    else:
        body = json.loads(recording.response)
    body["model"] = told["model"]
    provider = {"gemini": "google", "vertex": "google"}.get(told["provider"], told["provider"])
    prefix = next(prefix for prefix in FLAVORS if recording.name.startswith(prefix))
    return genai_prices.extract_usage(body, provider_id=provider, api_flavor=FLAVORS[prefix][1])


def last_of(recording: Recording) -> dict[str, Any]:
    """A whole answer, or the last chunk of a stream: in Gemini's every one tells all so far."""
    if not recording.is_stream:
        loaded: dict[str, Any] = json.loads(recording.response)
        return loaded
    chunks = [line for line in recording.response.splitlines() if line.startswith(b"data:")]
    last: dict[str, Any] = json.loads(chunks[-1].removeprefix(b"data:"))
    return last


def our_usage(recording: Recording) -> tuple[Usage, str, Usage]:
    """What our format reads, the service that answered, and the tools it ran."""
    prefix = next(prefix for prefix in FLAVORS if recording.name.startswith(prefix))
    asked_format = FORMATS[FLAVORS[prefix][0]]
    if recording.is_stream:
        call = ChatCall(
            model="m", stream=True, max_output_tokens=None, choices=1, wants_usage=True,
            document={}, body=b"",
        )  # fmt: skip
        reader = asked_format.stream(call, len)
        reader.feed(recording.response)
        assert reader.usage is not None
        return reader.usage, reader.service or "", reader.tools
    answer = asked_format.read_answer(recording.response)
    assert answer.usage is not None
    return answer.usage, answer.service or "", answer.tools


def entry_of(theirs: ExtractedUsage) -> Entry:
    """The catalogue's entry for the model that the package found."""
    assert theirs.model is not None
    model = theirs.model
    return next(
        each
        for each in load().entries
        if each.model == model.id and _owns(each.provider, theirs.provider.id)
    )


def _owns(provider: str, asked: str) -> bool:
    """Azure sells OpenAI's models, at OpenAI's prices where it has none of its own."""
    return provider in (asked, {"azure": "openai"}.get(asked))


def context(recording: Recording) -> dict[str, str] | None:
    service = our_usage(recording)[1]
    return {"service_tier": service} if service else None


def unseen_searches_nanos(theirs: ExtractedUsage, tools: Usage) -> Fraction:
    """Searches in the output of a response: the package looks at the usage alone."""
    searches = tools.web_search - theirs.usage.reported_value("web_searches")
    assert theirs.model is not None
    prices = theirs.model.get_prices(MOMENT)
    per_thousand = prices.web_searches_kcount or Decimal(0)
    assert isinstance(per_thousand, Decimal)
    return Fraction(per_thousand) * NANOS_PER_USD * Fraction(searches) / 1_000


def document(recording: Recording) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{recording.name}.json").read_text())
    return loaded


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """A usage whose dotted names are objects again."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        holder = found
        for part in path:
            holder = holder.setdefault(part, {})
        holder[last] = value
    return found
