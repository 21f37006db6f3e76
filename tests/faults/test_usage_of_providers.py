"""What is charged where a provider's usage cannot be right: every format, whole and streamed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from ledger.fsck import check_ledger
from ledger.money import MEMO_NANOS_MAX
from ledger.usage import Usage
from tests.bookkeeping import ChargeStory
from tests.calling import CHAT, chat_request
from tests.fake_provider import DONE, Script, event_chunk, opened, whole
from tests.faults.conftest import IN_NANOS, OUT_NANOS, PROVIDER_KEY, Stage
from tests.gateway.call.test_sent_prompt import HI
from tests.gateway.providers.event_streams import converse_frame, on_the_wire

WORDS = "a fine answer"
AWS_KEY = "AKIDEXAMPLE|wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY|eu-west-1"


@dataclass(frozen=True)
class Speaks:
    """A provider of a format: its channel, and how it tells a prompt and an output."""

    type_: str
    key: str
    usage_of: Mapping[str, str]

    def usage(self, prompt: int, output: int) -> dict[str, int]:
        counts = {"prompt": prompt, "output": output, "total": prompt + output}
        return {name: counts[kind] for name, kind in self.usage_of.items()}


OPENAI = {"prompt_tokens": "prompt", "completion_tokens": "output", "total_tokens": "total"}
SPEAKS = {
    "openai_chat": Speaks("openai", PROVIDER_KEY, OPENAI),
    "openai_responses": Speaks(
        "openai_responses", PROVIDER_KEY, {"input_tokens": "prompt", "output_tokens": "output"}
    ),
    "anthropic_messages": Speaks(
        "anthropic", PROVIDER_KEY, {"input_tokens": "prompt", "output_tokens": "output"}
    ),
    "gemini": Speaks(
        "gemini",
        PROVIDER_KEY,
        {"promptTokenCount": "prompt", "candidatesTokenCount": "output"},
    ),
    "bedrock_converse": Speaks(
        "bedrock", AWS_KEY, {"inputTokens": "prompt", "outputTokens": "output"}
    ),
}


def whole_answer(name: str, usage: object) -> dict[str, Any]:
    match name:
        case "openai_chat":
            message = {"role": "assistant", "content": WORDS}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return {"id": "1", "choices": [choice], "usage": usage}
        case "openai_responses":
            content = [{"type": "output_text", "text": WORDS, "annotations": []}]
            item = {"type": "message", "id": "m", "role": "assistant", "content": content}
            return {"id": "r", "status": "completed", "output": [item], "usage": usage}
        case "anthropic_messages":
            content = [{"type": "text", "text": WORDS}]
            head = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
            return {**head, "content": content, "stop_reason": "end_turn", "usage": usage}
        case "gemini":
            content_ = {"role": "model", "parts": [{"text": WORDS}]}
            candidate = {"content": content_, "finishReason": "STOP"}
            return {"candidates": [candidate], "usageMetadata": usage}
        case _:
            message = {"role": "assistant", "content": [{"text": WORDS}]}  # type: ignore[dict-item]
            return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}


def streamed_answer(name: str, usage: object) -> Script:
    match name:
        case "openai_chat":
            delta = {"choices": [{"index": 0, "delta": {"content": WORDS}}]}
            last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            return sse(delta, last | {"usage": usage}, end=DONE)
        case "openai_responses":
            item = {"type": "message", "id": "m", "role": "assistant", "content": []}
            part = {"type": "output_text", "text": "", "annotations": []}
            return sse(
                {"type": "response.output_item.added", "output_index": 0, "item": item},
                {"type": "response.content_part.added", "output_index": 0, "part": part},
                {"type": "response.output_text.delta", "output_index": 0, "delta": WORDS},
                {"type": "response.completed", "response": whole_answer(name, usage)},
            )
        case "anthropic_messages":
            block = {"type": "text", "text": ""}
            said = {"type": "text_delta", "text": WORDS}
            return sse(
                {"type": "message_start", "message": {"id": "m", "usage": usage}},
                {"type": "content_block_start", "index": 0, "content_block": block},
                {"type": "content_block_delta", "index": 0, "delta": said},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
                {"type": "message_stop"},
            )
        case "gemini":
            return sse(whole_answer(name, usage))
        case _:
            return on_the_wire(
                converse_frame("messageStart", {"role": "assistant"}),
                converse_frame(
                    "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": WORDS}}
                ),
                converse_frame("messageStop", {"stopReason": "end_turn"}),
                converse_frame("metadata", {"usage": usage}),
            )


def sse(*events: object, end: bytes = b"") -> Script:
    sent = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    return (opened(), event_chunk(sent + end), b"0\r\n\r\n")


def asked(
    stage: Stage,
    name: str,
    usage: object,
    *,
    is_streamed: bool,
    payer_key: str = "",
    **fields: object,
) -> ChargeStory:
    """A chat completion of a provider that tells this usage."""
    script = streamed_answer(name, usage) if is_streamed else whole(whole_answer(name, usage))
    return told(stage, name, script, payer_key, stream=is_streamed, **fields)


def told(
    stage: Stage, name: str, script: Script, payer_key: str = "", **fields: object
) -> ChargeStory:
    speaks, model = SPEAKS[name], f"tells-{name}"
    stage.provider.scripts[f"{name}/fine"] = script
    if model not in stage.sold:
        upstream = {model: "amazon.nova-lite-v1:0" if speaks.type_ == "bedrock" else "gpt-5"}
        base_url = stage.provider.base_url(name)
        base_url = base_url.removesuffix("/v1") if speaks.type_ == "bedrock" else base_url
        stage.books.channel(upstream, type_=speaks.type_, base_url=base_url, keys=[speaks.key])
        stage.books.price(model, input=1, output=2)
        stage.sold.add(model)
    client = stage.gateway.client(payer_key or stage.payer.key)
    answer = client.call("POST", CHAT, chat_request(model, None, fields))
    assert answer.status == 200, answer.body
    assert WORDS in answer.body.decode()
    return stage.books.story(answer.request_id)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("name", SPEAKS)
def test_a5_a_usage_of_nothing_with_text_delivered_is_estimated(
    stage: Stage, name: str, is_streamed: bool
) -> None:
    story = asked(stage, name, SPEAKS[name].usage(0, 0), is_streamed=is_streamed)
    settled = story.settled
    assert (settled.basis, settled.anomaly) == ("estimated", "usage_contradicted")
    assert settled.usage.output == 3
    assert 0 < settled.usage.input <= story.opening.input_tokens_estimated
    assert settled.charged_nanos == settled.usage.input * IN_NANOS + 3 * OUT_NANOS


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("name", SPEAKS)
def test_a5_an_output_of_nothing_beside_content_is_counted_and_the_prompt_believed(
    stage: Stage, name: str, is_streamed: bool
) -> None:
    settled = asked(stage, name, SPEAKS[name].usage(11, 0), is_streamed=is_streamed).settled
    assert (settled.basis, settled.anomaly) == ("estimated", "usage_contradicted")
    assert settled.usage == Usage(input=11, output=3, calls=1)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("name", SPEAKS)
def test_a5_a_usage_that_nothing_contradicts_is_measured(
    stage: Stage, name: str, is_streamed: bool
) -> None:
    settled = asked(stage, name, SPEAKS[name].usage(11, 7), is_streamed=is_streamed).settled
    assert (settled.basis, settled.anomaly) == ("measured", "")
    assert settled.usage == Usage(input=11, output=7, calls=1)


BILLION = 1_000_000_000
CALLS_BEHIND = [{"type": "message", "input_tokens": BILLION, "output_tokens": BILLION}] * 1_001
WRITTEN = [{"ttl": "5m", "inputTokens": BILLION}] * 1_001
IMPLAUSIBLE = {
    "anthropic_messages": {"input_tokens": 1, "output_tokens": 1, "iterations": CALLS_BEHIND},
    "bedrock_converse": {"inputTokens": 1, "outputTokens": 1, "cacheDetails": WRITTEN},
}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("name", IMPLAUSIBLE)
def test_a6_sums_beyond_plausibility_cost_the_hold_and_no_more(
    stage: Stage, name: str, is_streamed: bool
) -> None:
    rich = stage.books.payer(900_000_000)
    story = asked(stage, name, IMPLAUSIBLE[name], is_streamed=is_streamed, payer_key=rich.key)
    check_held_alone(stage, story, rich.account_id, "usage_implausible")


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("name", SPEAKS)
def test_a6_a_cost_beyond_the_ledgers_range_is_the_hold_and_a_memo(
    stage: Stage, name: str, is_streamed: bool
) -> None:
    asked(stage, name, SPEAKS[name].usage(1, 1), is_streamed=is_streamed)  # so it is on sale
    stage.books.price(f"tells-{name}", input=9_000_000, output=9_000_000)
    try:
        rich = stage.books.payer(900_000_000)
        told_usage = SPEAKS[name].usage(BILLION // 2, BILLION // 2)
        story = asked(
            stage,
            name,
            told_usage,
            is_streamed=is_streamed,
            payer_key=rich.key,
            max_tokens=9,
        )
        check_held_alone(stage, story, rich.account_id, "cost_beyond_range")
        assert story.settled.shortfall_nanos == MEMO_NANOS_MAX
    finally:
        stage.books.price(f"tells-{name}", input=1, output=2)


def check_held_alone(stage: Stage, story: ChargeStory, account_id: UUID, anomaly: str) -> None:
    settled = story.settled
    assert story.names == ["QuotaReserved", "UsageSettled"]
    assert settled.basis == "measured"
    assert anomaly in settled.anomaly.split(",")
    assert settled.charged_nanos == settled.released_nanos == story.opening.hold_nanos > 0
    assert MEMO_NANOS_MAX // 2 < settled.shortfall_nanos <= MEMO_NANOS_MAX
    assert stage.books.balance(account_id).held_nanos == 0
    assert list(check_ledger(stage.gateway.app_dsn)) == []


DIALECTS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}


@pytest.mark.parametrize("name", SPEAKS)
def test_a4_an_estimate_does_not_depend_on_the_dialect_of_the_client(
    stage: Stage, name: str
) -> None:
    told(stage, name, whole(whole_answer(name, None)))  # so it is on sale
    found = {}
    for dialect, path in DIALECTS.items():
        document = {**HI[dialect], "model": f"tells-{name}"}
        answer = stage.client.call("POST", path, document)
        assert answer.status == 200, answer.body
        settled = stage.books.story(answer.request_id).settled
        assert settled.basis == "estimated"
        found[dialect] = settled.usage.input
    assert len(set(found.values())) == 1, found
    assert 12 <= found["openai_chat"] <= 60


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a4_groqs_place_is_read_where_the_client_speaks_another_dialect(
    stage: Stage, is_streamed: bool
) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 24, "total_tokens": 36}
    document = whole_answer("openai_chat", None) | {"x_groq": {"id": "r", "usage": usage}}
    delta = {"choices": [{"index": 0, "delta": {"content": WORDS}}]}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    script = sse(delta, last | {"x_groq": {"usage": usage}}, end=DONE)
    told(stage, "openai_chat", script if is_streamed else whole(document), stream=is_streamed)
    asked_so = {**HI["anthropic_messages"], "model": "tells-openai_chat", "stream": is_streamed}
    answer = stage.client.call("POST", "/v1/messages", asked_so)
    settled = stage.books.story(answer.request_id).settled
    assert (settled.basis, settled.usage) == ("measured", Usage(input=12, output=24, calls=1))
