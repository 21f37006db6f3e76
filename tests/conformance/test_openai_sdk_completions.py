"""The real OpenAI SDK's legacy completions against the running gateway, over two kinds of
providers: one that speaks them, and ones that are spoken to otherwise."""

import json
import time
from typing import Any

import openai
import pytest
from openai import OpenAI

from ledger.usage import Usage
from tests.bookkeeping import Payer
from tests.fake_provider import EVENT_STREAM, FakeProvider, event_chunk, opened, whole
from tests.running import InProcess

ECHO, OWN, CLAUDE = "echo-l", "legacy-behind", "claude-behind"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "up",
    "choices": [
        {"text": f" a time {index}", "index": index, "logprobs": None, "finish_reason": "stop"}
        for index in range(2)
    ],
    "usage": USAGE,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": [{"type": "text", "text": "a fine answer"}],
    "stop_reason": "max_tokens",
    "usage": {"input_tokens": 6, "output_tokens": 3},
}


@pytest.fixture(scope="module")
def payer(gateway: InProcess, provider: FakeProvider) -> Payer:
    books = gateway.books
    books.channel([ECHO])
    books.channel({OWN: "up"}, type_="openai", base_url=provider.base_url("l"), keys=["k"])
    claude = provider.base_url("m").removesuffix("/v1")
    books.channel({CLAUDE: "up"}, type_="anthropic", base_url=claude, keys=["k"])
    for model in (ECHO, OWN, CLAUDE):
        books.price(model, input=1, output=8)
    provider.scripts["l/fine"] = whole(COMPLETION)
    provider.scripts["m/fine"] = whole(MESSAGE)
    return books.payer(50)


def billed(gateway: InProcess, raw: Any) -> Usage:  # noqa: ANN401 - the SDK's own type
    usage = gateway.books.story(raw.headers["x-request-id"]).settled.usage
    assert isinstance(usage, Usage)
    return usage


def test_a_provider_that_speaks_it_gets_and_gives_the_bytes(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    raw = sdk.completions.with_raw_response.create(
        model=OWN, prompt=["once", "upon"], suffix="the end", echo=True, best_of=3
    )
    received = provider.received[-1]
    assert received.path == "/l/v1/completions"
    sent = received.json()
    assert (sent["model"], sent["prompt"], sent["suffix"]) == ("up", ["once", "upon"], "the end")
    assert [choice.text for choice in raw.parse().choices] == [" a time 0", " a time 1"]
    assert raw.parse().model == "up"
    assert billed(gateway, raw) == Usage(input=5, output=2, calls=1)
    story = gateway.books.story(raw.headers["x-request-id"])
    assert story.opening.output_tokens_max == 3 * 2 * 4_096
    assert story.opening.dialect == "openai_completions"


@pytest.mark.parametrize("asks", [True, False])
def test_a_stream_of_a_provider_that_speaks_it(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider, asks: bool
) -> None:
    frame = {name: COMPLETION[name] for name in ("id", "object", "created", "model")}
    words = [
        {**frame, "choices": [{"text": text, "index": 0, "finish_reason": end}]}
        for text, end in ((" a", None), (" time", "stop"))
    ]
    events = [*words, {**frame, "choices": [], "usage": USAGE}]
    provider.scripts["l/fine"] = (
        opened(EVENT_STREAM),
        *(event_chunk(b"data: " + _json(one) + b"\n\n") for one in events),
        event_chunk(b"data: [DONE]\n\n"),
        b"0\r\n\r\n",
    )
    options: Any = {"stream_options": {"include_usage": True}} if asks else {}
    raw = sdk.completions.with_raw_response.create(
        model=OWN, prompt="once upon", stream=True, **options
    )
    chunks = list(raw.parse())
    provider.scripts["l/fine"] = whole(COMPLETION)
    assert provider.received[-1].json()["stream_options"] == {"include_usage": True}
    assert "".join(c.choices[0].text for c in chunks if c.choices) == " a time"
    assert [chunk.usage is not None for chunk in chunks] == [False, False, True][: 2 + asks]
    assert billed(gateway, raw) == Usage(input=5, output=2, calls=1)


def test_a_provider_of_another_format_answers_a_prompt(
    gateway: InProcess, sdk: OpenAI, provider: FakeProvider
) -> None:
    raw = sdk.completions.with_raw_response.create(model=CLAUDE, prompt="once upon", max_tokens=9)
    answer = raw.parse()
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("a fine answer", "length")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 3)
    assert billed(gateway, raw) == Usage(input=6, output=3, calls=1)
    sent = provider.received[-1].json()
    assert sent["messages"][0]["role"] == "user"
    assert sent["max_tokens"] == 9


def test_a_translated_stream_tells_usage_if_asked(gateway: InProcess, sdk: OpenAI) -> None:
    raw = sdk.completions.with_raw_response.create(
        model=ECHO, prompt="once upon a time", stream=True, stream_options={"include_usage": True}
    )
    chunks = list(raw.parse())
    assert "".join(c.choices[0].text for c in chunks if c.choices) == "once upon a time"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == billed(gateway, raw).output == 4


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"prompt": ["a", "b"]}, "prompt"), ({"prompt": "a", "echo": True}, "echo")],
)
def test_what_cannot_be_translated_is_refused_by_name_and_costs_nothing(
    gateway: InProcess, payer: Payer, sdk: OpenAI, fields: dict[str, Any], param: str
) -> None:
    before = gateway.books.balance(payer.account_id)
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.completions.create(model=ECHO, **fields)
    assert (refusal.value.code, refusal.value.param) == ("not_expressible", param)
    after = gateway.books.balance(payer.account_id)
    assert (after.posted_nanos, after.held_nanos) == (before.posted_nanos, before.held_nanos)


def test_errors_are_the_sdks_own(sdk: OpenAI, provider: FakeProvider) -> None:
    with pytest.raises(openai.NotFoundError):
        sdk.completions.create(model="nobody", prompt="x")
    with pytest.raises(openai.BadRequestError):
        sdk.completions.create(model=OWN, prompt=[])
    provider.scripts["l/fine"] = whole({"error": {"message": "slow"}}, status=429)
    with pytest.raises(openai.RateLimitError):
        sdk.completions.create(model=OWN, prompt="x")
    provider.scripts["l/fine"] = whole(COMPLETION)
    time.sleep(1.1)  # for so long the key is left alone


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
