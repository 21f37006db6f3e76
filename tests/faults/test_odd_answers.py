"""Answers that no provider should give, through the whole gateway: every call is answered in the
client's own format, no stream is cut without a word, every charge is closed and nothing stays held.

The cases are those of `tests.gateway.formats.odd_answers`; `--long` tries many more.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.call.opened import Opened
from gateway.formats.values import Piece
from gateway.http.lenient_json import NODES_MAX
from gateway.http.sse import SSEParser
from ledger.fsck import check_ledger
from tests.bookkeeping import Payer
from tests.calling import CHAT, MESSAGES, Answer
from tests.fake_provider import (
    DONE,
    Script,
    chunk,
    completion,
    event_chunk,
    head,
    opened,
    stream,
    whole,
)
from tests.faults.conftest import MODEL, Stage
from tests.faults.test_usage_of_providers import SPEAKS
from tests.gateway.formats.odd_answers import EVENTS, WHOLE, streamed_answer, whole_answer

SHORT_CASES, LONG_CASES = 160, 4_000
PROVIDERS = [name for name in SPEAKS if name != "bedrock_converse"]
"""Converse comes in frames of its own; its events are tried without a wire."""
EVENT_STREAM, JSON = "text/event-stream", "application/json"


def model_of(stage: Stage, provider: str) -> str:
    """A model that a provider of this format sells."""
    speaks, model = SPEAKS[provider], f"odd-{provider}"
    if model not in stage.sold:
        base_url = stage.provider.base_url(f"odd-{provider}")
        stage.books.channel({model: "gpt-5"}, type_=speaks.type_, base_url=base_url, keys=["k"])
        stage.books.price(model, input=1, output=2)
        stage.sold.add(model)
    return model


def request(client: str, model: str, is_stream: bool) -> tuple[str, dict[str, Any]]:
    streamed = {"stream": True} if is_stream else {}
    match client:
        case "openai_chat":
            return CHAT, {"model": model, "messages": MESSAGES, **streamed}
        case "openai_responses":
            return "/v1/responses", {"model": model, "input": "one", **streamed}
        case "anthropic_messages":
            told = {"model": model, "messages": MESSAGES, "max_tokens": 4_000}
            return "/v1/messages", told | streamed
        case _:
            action = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
            contents = [{"role": "user", "parts": [{"text": "one"}]}]
            return f"/v1beta/models/{model}:{action}", {"contents": contents}


def asked(
    stage: Stage, provider: str, client: str, script: Script, is_stream: bool, payer: Payer
) -> Answer:
    stage.provider.scripts[f"odd-{provider}/fine"] = script
    path, document = request(client, model_of(stage, provider), is_stream)
    return stage.gateway.client(payer.key).call("POST", path, document)


def labelled(body: bytes, content_type: str) -> Script:
    return (opened({"content-type": content_type}), event_chunk(body or b" "), b"0\r\n\r\n")


# ---------------------------------------------------------------------- at random


def test_b8_no_odd_answer_breaks_a_call(stage: Stage, is_long: bool) -> None:
    payer = stage.books.payer(1_000_000)
    told = set()
    for case in range(LONG_CASES if is_long else SHORT_CASES):
        chance = random.Random(f"a call {case}")
        provider, client = chance.choice(PROVIDERS), chance.choice(PROVIDERS)
        is_stream = chance.random() < 0.6
        is_streamed = is_stream and chance.random() < 0.8
        odd = streamed_answer if is_streamed else whole_answer
        kinds = (EVENT_STREAM, JSON) if is_streamed else (JSON, EVENT_STREAM)
        content_type = chance.choice((*kinds[:1] * 3, kinds[1]))
        script = labelled(odd(provider, case), content_type)
        answer = asked(stage, provider, client, script, is_stream, payer)
        place = (case, provider, client, answer.status, answer.body[-300:])
        assert b"internal_error" not in answer.body, place
        assert answer.status != 500, place
        if answer.status == 200 and is_stream:
            is_passed = provider == client == "gemini"  # it has no mark of its end
            assert is_passed or has_ended(client, answer), place
        elif answer.status == 200 and provider != client:
            assert isinstance(answer.json(), dict), place
        told.add(answer.status)
    assert told >= {200, 502}
    stories = stage.books.stories(payer.account_id)
    assert all(story.closing for story in stories)
    assert stage.books.balance(payer.account_id).held_nanos == 0
    assert list(check_ledger(stage.gateway.app_dsn)) == []


def frames(answer: Answer) -> list[bytes]:
    return [event.data for event in SSEParser().feed(answer.body) if event.data]


def has_ended(client: str, answer: Answer) -> bool:
    """Whether a stream ends as its format does, or with an error in its format."""
    told = frames(answer)
    if not told:
        return False
    if client == "openai_chat" and told[-1] == b"[DONE]":
        return True
    last = json.loads(told[-1])
    if client == "openai_chat":
        return "error" in last
    if client == "gemini":  # finish reasons of several candidates may come one by one
        ends = ("finishReason", "promptFeedback", "blockReason")
        return "error" in last or any(end in answer.body.decode() for end in ends)
    return last.get("type") in (
        "message_stop", "error", "response.completed", "response.incomplete",
    )  # fmt: skip


# ---------------------------------------------------------------------- told by what it is


@pytest.mark.parametrize("client", PROVIDERS)
@pytest.mark.parametrize("format_name", PROVIDERS)
@pytest.mark.parametrize(
    "before", [b"", b"\xef\xbb\xbf", b": here\n\n"], ids=["at once", "a mark", "a comment"]
)
def test_b7_events_that_are_labelled_as_json_are_events(
    stage: Stage, format_name: str, client: str, before: bytes
) -> None:
    body = b"".join(
        b"data: %s\n\n" % json.dumps(event).encode() for event in EVENTS[format_name][0]
    )
    body = before + body + (DONE if format_name == "openai_chat" else b"")
    script = labelled(body, JSON)
    answer = asked(stage, format_name, client, script, True, stage.payer)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith(EVENT_STREAM)
    assert has_ended(client, answer)
    assert b'"so"' in answer.body
    assert stage.books.story(answer.request_id).settled.basis == "measured"


@pytest.mark.parametrize("client", PROVIDERS)
@pytest.mark.parametrize("format_name", PROVIDERS)
def test_b7_json_that_is_labelled_as_events_is_a_whole_answer(
    stage: Stage, format_name: str, client: str
) -> None:
    script = labelled(b"\n " + json.dumps(WHOLE[format_name][0]).encode(), EVENT_STREAM)
    answer = asked(stage, format_name, client, script, True, stage.payer)
    assert answer.status == 200, answer.body
    assert has_ended(client, answer)
    assert stage.books.story(answer.request_id).settled.basis == "measured"


def test_b7_an_error_that_is_labelled_as_events_is_that_error(stage: Stage) -> None:
    error = {"error": {"message": "too long", "type": "invalid_request_error", "code": "x"}}
    script = labelled(json.dumps(error).encode(), EVENT_STREAM)
    answer = asked(stage, "openai_chat", "openai_chat", script, True, stage.payer)
    assert (answer.status, answer.code) == (400, "x")


# ---------------------------------------------------------------------- what came to nothing

CAME_TO_NOTHING = {
    "candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}],
    "usageMetadata": {"promptTokenCount": 11, "totalTokenCount": 11},
}


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("client", ["openai_chat", "anthropic_messages", "openai_responses"])
def test_b4_for_a_call_that_is_none_the_next_channel_is_asked(
    stage: Stage, client: str, is_stream: bool
) -> None:
    model, told = "odd-two", json.dumps(CAME_TO_NOTHING).encode()
    script = labelled(b"data: " + told + b"\n\n", EVENT_STREAM) if is_stream else whole(told)
    stage.provider.scripts["odd-two/fine"] = script
    stage.provider.scripts["odd-then/fine"] = stream() if is_stream else whole()
    if model not in stage.sold:
        for name, type_, priority in (("odd-two", "gemini", 1), ("odd-then", "openai", 0)):
            base_url = stage.provider.base_url(name)
            stage.books.channel(
                [model], type_=type_, base_url=base_url, keys=["k"], priority=priority
            )
        stage.books.price(model, input=1, output=2)
        stage.sold.add(model)
    path, document = request(client, model, is_stream)
    answer = stage.client.call("POST", path, document)
    assert answer.status == 200, answer.body
    assert b"fine" in answer.body
    settled = stage.books.story(answer.request_id).settled
    assert [one.outcome for one in settled.attempts] == ["failed", "answered"]
    assert (settled.usage.input, settled.usage.output) == (11, 7)


@pytest.mark.parametrize("is_stream", [False, True])
def test_b4_where_there_is_no_other_it_is_an_error_that_agents_retry(
    stage: Stage, is_stream: bool
) -> None:
    told = json.dumps(CAME_TO_NOTHING).encode()
    script = labelled(b"data: " + told + b"\n\n", EVENT_STREAM) if is_stream else whole(told)
    answer = asked(stage, "gemini", "openai_chat", script, is_stream, stage.payer)
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert "malformed_function_call" in answer.json()["error"]["message"]
    assert answer.headers.get("x-should-retry") != "false"
    settled = stage.books.story(answer.request_id).settled
    assert (settled.ending, settled.usage.input) == ("provider_error", 11)


# ---------------------------------------------------------------------- too much of it

NOTHING_MUCH = b'{"a":[' + b"[]," * (60_000_000 // 3) + b"[]]}"


@pytest.mark.parametrize("is_stream", [False, True])
def test_b9_an_answer_of_too_many_values_is_not_built_and_nobody_waits_for_it(
    stage: Stage, is_stream: bool
) -> None:
    longest_s: list[float] = []
    with_others(stage, longest_s, lambda: refused(stage, (head_of(NOTHING_MUCH),), is_stream))
    assert max(longest_s) < 3


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"choices":[{"message":{"tool_calls":' + b'[{"a":' * 500 + b"1" + b"}]" * 500 + b"}}]}",
        b'{"choices":[],"a":"' + b"x" * (64 * 1024 * 1024) + b'"}',
    ],
    ids=["deep", "deeper", "large"],
)
def test_b9_what_is_too_deep_or_too_large_is_refused(stage: Stage, body: bytes) -> None:
    refused(stage, (head_of(body),), is_stream=False)


def test_b9_an_event_of_too_many_values_breaks_the_stream_off(stage: Stage) -> None:
    event = b'data: {"choices":[' + b"{}," * NODES_MAX + b"{}]}\n\n"
    script = (opened(), event_chunk(chunk({"content": "one"})), event_chunk(event), b"0\r\n\r\n")
    answer = asked(stage, "openai_chat", "anthropic_messages", script, True, stage.payer)
    assert json.loads(frames(answer)[-1])["type"] == "error"
    assert stage.books.story(answer.request_id).settled.usage.output == 1


def test_b9_as_many_values_as_an_answer_may_have_are_read(stage: Stage) -> None:
    top = [{"token": "a", "logprob": -1.0}] * 20
    probable = [{"token": "a", "logprob": -1.0, "top_logprobs": top}] * 4_000
    document = completion()
    document["choices"][0]["logprobs"] = {"content": probable}
    answer = asked(stage, "openai_chat", "openai_chat", whole(document), False, stage.payer)
    assert answer.status == 200


def head_of(body: bytes) -> bytes:
    return head(200, {"content-type": JSON, "content-length": str(len(body))}) + body


def refused(stage: Stage, script: Script, is_stream: bool) -> None:
    answer = asked(stage, "openai_chat", "openai_responses", script, is_stream, stage.payer)
    assert (answer.status, answer.code) == (502, "upstream_error")
    story = stage.books.story(answer.request_id)
    assert story.refunded.reason == "upstream_error"


def with_others(stage: Stage, longest_s: list[float], what: Callable[[], None]) -> None:
    """Do something while others ask whether the gateway is there."""
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            started_s = time.monotonic()
            assert stage.client.get("/readyz").status == 200
            longest_s.append(time.monotonic() - started_s)

    other = threading.Thread(target=ask)
    other.start()
    try:
        what()
    finally:
        is_over.set()
        other.join()


ROLE_ONLY = chunk({"role": "assistant", "content": "", "padding": "x" * 300_000})
WAITS_S = 0.7


def test_b10_what_is_held_before_the_first_word_is_bounded_in_bytes(stage: Stage) -> None:
    """One large event without a word passes on, however long the first word is in coming."""
    beginning = (opened(), event_chunk(ROLE_ONLY))
    stage.provider.scripts["odd_begun"] = (*beginning, WAITS_S, *stream()[1:])
    started_s = time.monotonic()
    with stage.client.stream(MODEL, metadata={"script": "odd_begun"}) as live:
        live.read_until(b"padding")
        assert time.monotonic() - started_s < WAITS_S
        assert live.read_all().endswith(DONE)
    assert stage.books.story(live.request_id).settled.usage.output == 7


def test_b10_small_events_without_a_word_are_held_and_the_next_channel_is_asked(
    stage: Stage,
) -> None:
    """Until somebody is committed a failure costs nothing."""
    small = chunk({"role": "assistant", "content": "", "padding": "x" * 1_000})
    script = (opened(), *[event_chunk(small)] * 100, b"0\r\n\r\n")
    answer = asked(stage, "openai_chat", "openai_chat", script, True, stage.payer)
    assert answer.status == 502


def test_b10_the_first_pieces_are_given_back_when_they_pass_on() -> None:
    opened = Opened.__new__(Opened)
    opened.first = pieces = [Piece("comment", b"x")]
    assert opened.take_first() is pieces
    assert opened.first == []
