"""The real OpenAI SDK against the running gateway: answers, usage, money and errors."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import openai
import psycopg
import pytest
from openai import OpenAI

from ledger.pricing import Multiplier
from ledger.streams import account, api_key
from ledger.streams.charge.events import UsageSettled
from tests.bookkeeping import Payer
from tests.fake_provider import FakeProvider, completion, error, stream, whole
from tests.recomputed import cost_by_price_nanos, cost_nanos
from tests.running import InProcess

ECHO = "echo"
FAKE = "vendor/fake-model:2"
FREE = "free"
DETAILED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 500,
    "total_tokens": 1_500,
    "prompt_tokens_details": {"cached_tokens": 300, "audio_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 123},
}
MESSAGES: Any = [{"role": "user", "content": "hello brave new world"}]


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    books.channel([ECHO, FREE])
    books.channel({FAKE: "fake-model"}, type_="openai", base_url=provider.base_url(), keys=["k-1"])
    books.price(ECHO, input=0.15, output=0.6, calls=0.000_000_7)
    books.price(FAKE, input=1.25, cache_read=0.125, output=10, reasoning=12.5, calls=0.01)
    books.price(FREE, input=0)
    provider.scripts["detailed"] = whole(completion(usage=DETAILED))
    provider.scripts["detailed_stream"] = stream(usage=DETAILED)
    return books.payer(5)


@pytest.fixture
def sdk(gateway: InProcess, payer: Payer) -> Iterator[OpenAI]:
    with sdk_of(gateway, payer.key) as client:
        yield client


def sdk_of(gateway: InProcess, key: str) -> OpenAI:
    return OpenAI(api_key=key, base_url=f"{gateway.base_url}/v1", max_retries=0, timeout=20)


def test_a_whole_answer_is_billed_as_it_tells_its_usage(
    gateway: InProcess, payer: Payer, sdk: OpenAI
) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model=ECHO, messages=MESSAGES)
    answer = raw.parse()
    assert answer.choices[0].message.content == "hello brave new world"
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 4)
    assert told(settled) == (4, 4, 8)
    assert (settled.basis, settled.ending, settled.account_id) == (
        "measured",
        "complete",
        payer.account_id,
    )
    assert recomputed(gateway, raw.headers["x-request-id"]) == settled.charged_nanos


def test_a_stream_is_billed_as_it_tells_its_usage(gateway: InProcess, sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model=ECHO, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(raw.parse())
    content = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert content == "hello brave new world"
    usage = chunks[-1].usage
    assert usage is not None
    assert chunks[-1].choices == []
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    assert told(settled) == (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    assert recomputed(gateway, raw.headers["x-request-id"]) == settled.charged_nanos


def test_a_stream_that_was_not_asked_for_usage_shows_none_and_is_billed_by_it(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model=FAKE, messages=MESSAGES, stream=True, metadata={"script": "detailed_stream"}
    )
    chunks = list(raw.parse())
    assert all(chunk.usage is None for chunk in chunks)
    assert provider.received[-1].json()["stream_options"] == {"include_usage": True}
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    assert settled.basis == "measured"
    assert told(settled) == (1_000, 500, 1_500)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_every_usage_class_is_priced_once_and_the_amount_follows_from_the_event_alone(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider, is_stream: bool
) -> None:
    script = "detailed_stream" if is_stream else "detailed"
    raw: Any = sdk.chat.completions.with_raw_response.create(
        model=FAKE, messages=MESSAGES, stream=is_stream, metadata={"script": script}
    )
    if is_stream:
        list(raw.parse())
    settled = gateway.books.story(raw.headers["x-request-id"]).settled
    used = {name: count for name, count in settled.usage.classes() if count}
    assert used == {
        "input": 660,
        "cache_read": 300,
        "audio_in": 40,
        "output": 377,
        "reasoning": 123,
        "calls": 1,
    }
    rates = {
        "input": 1_250_000_000,
        "cache_read": 125_000_000,
        "output": 10_000_000_000,
        "reasoning": 12_500_000_000,
        "calls": 10_000_000,
    }
    assert settled.charged_nanos == cost_by_price_nanos(used, rates, Fraction(1))
    assert recomputed(gateway, raw.headers["x-request-id"]) == settled.charged_nanos
    sent = provider.received[-1]
    assert sent.headers["authorization"] == "Bearer k-1"
    assert sent.json()["model"] == "fake-model"


def test_a_group_pays_its_exact_multiple(gateway: InProcess, payer: Payer) -> None:
    books = gateway.books
    books.group("thirds", Multiplier(1, 3))
    books.channel([ECHO], groups=("thirds",))
    key = books.key(payer.account_id, api_key.KeyTerms(group="thirds"))
    with sdk_of(gateway, key) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model=ECHO, messages=MESSAGES)
    settled = books.story(raw.headers["x-request-id"]).settled
    used = {name: count for name, count in settled.usage.classes() if count}
    rates = {"input": 150_000_000, "output": 600_000_000, "calls": 700}
    assert settled.charged_nanos == cost_by_price_nanos(used, rates, Fraction(1, 3)) == 1_233
    assert recomputed(gateway, raw.headers["x-request-id"]) == settled.charged_nanos


def test_max_tokens_is_honoured_and_the_finish_reason_says_so(sdk: OpenAI) -> None:
    answer = sdk.chat.completions.create(model=ECHO, messages=MESSAGES, max_tokens=2)
    assert answer.choices[0].message.content == "hello brave"
    assert answer.choices[0].finish_reason == "length"


def test_models_are_listed_and_retrieved_with_slashes_in_their_names(
    sdk: OpenAI,
) -> None:
    assert [model.id for model in sdk.models.list()] == sorted([ECHO, FAKE, FREE])
    assert sdk.models.retrieve(FAKE).id == FAKE
    assert sdk.models.retrieve(ECHO).owned_by == "tollgate"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("vendor/unknown")


def test_a_model_name_is_decoded_once(gateway: InProcess, payer: Payer) -> None:
    name = "odd%2Fname"
    gateway.books.channel([name])
    gateway.books.price(name, input=1)
    with sdk_of(gateway, payer.key) as sdk:
        assert sdk.models.retrieve(name).id == name
    answer = gateway.client(payer.key).get("/v1/models/odd%252Fname")
    assert answer.status == 200
    assert gateway.client(payer.key).get("/v1/models/odd%2Fname").status == 404


def test_each_refusal_raises_the_exception_the_sdk_has_for_it(
    gateway: InProcess, payer: Payer, provider: FakeProvider
) -> None:
    books = gateway.books
    provider.scripts["broken"] = whole(error(), status=500)
    provider.scripts["limited"] = whole(error(), status=429, headers={"retry-after": "7"})
    provider.scripts["unwell"] = whole(error("no such thing", param="messages"), status=400)
    books.channel(["limited"], type_="openai", base_url=provider.base_url(), keys=["k"])
    books.price("limited", input=1, output=2)
    limited_model = scripted("limited") | {"model": "limited"}
    poor = books.payer(0.000_001)
    limited = books.key(payer.account_id, api_key.KeyTerms(models=(FREE,)))
    elsewhere = books.key(payer.account_id, api_key.KeyTerms(allowed_ips=("192.0.2.0/24",)))
    rows: list[tuple[str, dict[str, Any], type[openai.APIStatusError], str]] = [
        ("sk-none", {}, openai.AuthenticationError, "invalid_api_key"),
        (payer.key, {"model": "unknown"}, openai.NotFoundError, "model_not_found"),
        (payer.key, {"max_tokens": -1}, openai.BadRequestError, "integer_below_min_value"),
        (poor.key, {}, openai.RateLimitError, "insufficient_quota"),
        (limited, {}, openai.PermissionDeniedError, "model_not_allowed"),
        (elsewhere, {}, openai.PermissionDeniedError, "ip_not_allowed"),
        (payer.key, scripted("broken"), openai.InternalServerError, "upstream_error"),
        (payer.key, limited_model, openai.RateLimitError, "rate_limit_exceeded"),
        (payer.key, scripted("unwell"), openai.BadRequestError, "invalid_value"),
    ]
    for key, fields, exception, code in rows:
        with sdk_of(gateway, key) as sdk, pytest.raises(exception) as caught:
            sdk.chat.completions.create(**{"model": ECHO, "messages": MESSAGES, **fields})
        assert caught.value.code == code, fields
        assert caught.value.request_id


def test_an_error_in_the_middle_of_a_stream_is_raised_by_the_sdk(sdk: OpenAI) -> None:
    chunks = []
    with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - the stream is what is tested
        for chunk in sdk.chat.completions.create(
            model=ECHO, messages=MESSAGES, stream=True, metadata={"echo": "error_after=2"}
        ):
            chunks.append(chunk)  # noqa: PERF402 - what came before the error is wanted
    assert caught.value.code == "upstream_error"
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "hello", " brave"]


def test_a_suspended_account_may_not_call(gateway: InProcess) -> None:
    payer = gateway.books.payer(5)
    gateway.books.command(account.STREAM, payer.account_id, account.Suspend("test"), seen=True)
    with sdk_of(gateway, payer.key) as sdk, pytest.raises(openai.PermissionDeniedError) as caught:
        sdk.chat.completions.create(model=ECHO, messages=MESSAGES)
    assert caught.value.code == "account_suspended"


def scripted(name: str) -> dict[str, Any]:
    return {"model": FAKE, "metadata": {"script": name}}


def told(settled: UsageSettled) -> tuple[int, int, int]:
    """Usage as OpenAI tells it: the classes of each side together."""
    used = dict(settled.usage.classes())
    into = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in")
    out = ("output", "reasoning", "audio_out", "image_out")
    prompt, completed = sum(used[kind] for kind in into), sum(used[kind] for kind in out)
    return prompt, completed, prompt + completed


def recomputed(gateway: InProcess, request_id: str) -> int:
    """The cost by the bytes of the stored event and nothing else."""
    with psycopg.connect(gateway.app_dsn) as connection:
        found = connection.execute(
            "select state from ledger.event where originator_id = %s and topic like %s",
            (request_id, "charge.UsageSettled%"),
        ).fetchone()
    assert found is not None
    return cost_nanos(found[0])
