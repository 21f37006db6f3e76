"""Messages and their order as vendors take them.

Each test is named after the fault that it keeps out.
"""

import json
from typing import Any

import pytest

from gateway.conversation.reasoning_suffixes import Suffix
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from tests.gateway.formats.shared.vendors.asking import SAID, call_of, sent
from tests.obedient import refusals
from tests.obedient.contract import IllFormed

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


TWO_CALLS = {
    "max_tokens": 32_000,
    "messages": [
        SAID,
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 1}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {"n": 2}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t2", "content": "second"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [PICTURE]},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
    "tools": [
        {"name": name, "input_schema": {"type": "object", "properties": {}}} for name in "fgh"
    ],
}


def test_c1_vertex_is_sent_no_ids_and_results_in_the_order_of_their_calls() -> None:
    document, losses = sent(
        "anthropic_messages", "gemini", TWO_CALLS, "gemini-3-pro-preview", "vertex"
    )
    refusals.vertex(document)
    results = [
        part["functionResponse"]["name"]
        for content in document["contents"]
        for part in content["parts"]
        if "functionResponse" in part
    ]
    assert results == ["f", "g"]
    assert losses == ()


def test_c1_the_gemini_api_is_sent_them() -> None:
    document, _ = sent("anthropic_messages", "gemini", TWO_CALLS, "gemini-2.5-pro", "gemini")
    assert [part["functionCall"]["id"] for part in document["contents"][1]["parts"]] == ["t1", "t2"]


def test_c1_a_client_of_the_same_format_may_send_them_to_vertex() -> None:
    parts = [{"functionCall": {"id": "t1", "name": "f", "args": {"id": "own"}}}]
    answer = [{"function_response": {"id": "t1", "name": "f", "response": {"id": "own"}}}]
    request = {"contents": [{"role": "model", "parts": parts}, {"role": "user", "parts": answer}]}
    for vendor, is_kept in (("vertex", False), ("gemini", True)):
        out = (
            Translators(FORMATS["gemini"], FORMATS)
            .to("gemini")
            .outgoing(call_of("gemini", request), Asking(Suffix("gemini-2.5-pro"), vendor=vendor))
        )
        called, answered_ = json.loads(out.body)["contents"]
        assert ("id" in called["parts"][0]["functionCall"]) is is_kept
        assert ("id" in answered_["parts"][0]["function_response"]) is is_kept
        assert called["parts"][0]["functionCall"]["args"] == {"id": "own"}


CODEX_BETWEEN: dict[str, Any] = {
    "input": [
        {"role": "user", "content": "both"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"role": "developer", "content": "mind the gap"},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
        {"role": "user", "content": "and now"},
    ]
}


def test_c6_results_of_parallel_calls_follow_their_calls() -> None:
    document, losses = sent("openai_responses", "openai_chat", CODEX_BETWEEN)
    roles = [message["role"] for message in document["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "developer", "user"]
    assert losses == ()


def test_c6_a_text_beside_the_first_result_waits_for_the_second() -> None:
    request: dict[str, Any] = json.loads(json.dumps(TWO_CALLS))
    second, first, text = request["messages"][2]["content"]
    request["messages"][2:] = [
        {"role": "user", "content": [second, text]},
        {"role": "user", "content": [first]},
    ]
    document, _ = sent("anthropic_messages", "openai_chat", request)
    roles = [message["role"] for message in document["messages"]]
    assert roles[:4] == ["user", "assistant", "tool", "tool"]
    assert "go on" in json.dumps(document["messages"][4:])


def test_c6_calls_that_were_never_answered_hold_nothing_back() -> None:
    items = CODEX_BETWEEN["input"]
    request = {"input": [*items[:4], items[4], items[6], {"role": "assistant", "content": "so"}]}
    document, _ = sent("openai_responses", "openai_chat", request)
    roles = [message["role"] for message in document["messages"]]
    assert roles == ["user", "assistant", "tool", "developer", "user", "assistant"]


def test_c8_an_image_of_a_result_is_shown_in_the_next_turn_of_the_user() -> None:
    document, _ = sent("anthropic_messages", "gemini", TWO_CALLS, "gemini-2.5-pro")
    *_, results, shown = document["contents"]
    assert all("functionResponse" in part or "text" in part for part in results["parts"])
    assert [part["inlineData"]["data"] for part in shown["parts"] if "inlineData" in part] == [PNG]
    document, _ = sent("anthropic_messages", "gemini", TWO_CALLS, "gemini-3-pro-preview")
    told = json.dumps(document["contents"][2]["parts"][1]["functionResponse"]["parts"])
    assert PNG in told


LINE = "x-anthropic-billing-header: cc_version=2.1.177; cc_entrypoint=cli; cch={};"


def system_of(nonce: str) -> list[list[dict[str, Any]] | str]:
    """How claude-code says it, in blocks, and how others who carry it on do."""
    own = {"type": "text", "text": "You are Claude Code"}
    return [[{"type": "text", "text": LINE.format(nonce)}, own], f"{LINE.format(nonce)}\nYou are"]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("provider", "vendor"),
    [("openai_chat", "groq"), ("openai_responses", "openai"), ("gemini", "gemini"),
     ("anthropic_messages", "deepseek")],
)  # fmt: skip
def test_c11_no_other_vendor_is_told_the_billing_line(
    provider: str, vendor: str, place: int
) -> None:
    sent_ = [
        sent(
            "anthropic_messages", provider,
            {"max_tokens": 99, "messages": [SAID], "system": system_of(nonce)[place]}, "", vendor,
        )
        for nonce in ("aaaaa", "bbbbb")
    ]  # fmt: skip
    (first, losses), (second, _) = sent_
    assert first == second
    assert "You are" in json.dumps(first)
    assert losses == ("x-anthropic-billing-header",)


@pytest.mark.parametrize("place", [0, 1])
def test_c11_anthropic_is(place: int) -> None:
    request = {"max_tokens": 99, "messages": [SAID], "system": system_of("ccccc")[place]}
    document, losses = sent("anthropic_messages", "anthropic_messages", request, "", "anthropic")
    assert document["system"] == system_of("ccccc")[place]
    assert losses == ()


def test_c11_a_line_that_only_speaks_of_it_stays() -> None:
    request = {"max_tokens": 99, "messages": [SAID], "system": "Never say " + LINE}
    document, losses = sent("anthropic_messages", "openai_chat", request)
    assert document["messages"][0]["content"] == "Never say " + LINE
    assert losses == ()


THOUGHT_OF = {
    "input": [
        {"role": "user", "content": "look"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hmm"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
    ]
}


VENDORS_THAT_WANT_THOUGHTS = [
    ("deepseek-v4-pro", "deepseek"),
    ("kimi-k2.5", "moonshot"),
    ("deepseek-ai/DeepSeek-V3.2", "siliconflow"),
    ("glm-4.7", "zhipu"),
    ("MiniMax-M2.1", "minimax"),
]


@pytest.mark.parametrize(("model", "vendor"), VENDORS_THAT_WANT_THOUGHTS)
def test_c7_thoughts_go_back_to_vendors_that_want_them(model: str, vendor: str) -> None:
    document, losses = sent("openai_responses", "openai_chat", THOUGHT_OF, model, vendor)
    refusals.thinking_chat(document)
    assert document["messages"][1]["reasoning_content"] == "hmm"
    assert losses == ()
    document, _ = sent("openai_responses", "anthropic_messages", THOUGHT_OF, model, vendor)
    refusals.thinking_messages(document)
    assert document["messages"][1]["content"][0]["thinking"] == "hmm"


def test_c7_a_thought_that_another_signed_goes_as_its_words() -> None:
    for signature in ("tollgate-signed:gemini:c2ln", "EqQBCkYI"):
        thought = {"type": "thinking", "thinking": "hmm", "signature": signature}
        request: dict[str, Any] = json.loads(json.dumps(TWO_CALLS))
        request["messages"][1]["content"].insert(0, thought)
        document, _ = sent(
            "anthropic_messages", "openai_chat", request, "deepseek-v4-pro", "deepseek"
        )
        assert document["messages"][1]["reasoning_content"] == "hmm"


def test_c7_a_turn_whose_thoughts_nobody_kept_has_a_blank() -> None:
    document, _ = sent("anthropic_messages", "openai_chat", TWO_CALLS, "kimi-k2.5", "moonshot")
    refusals.thinking_chat(document)
    assert document["messages"][1]["reasoning_content"] == " "


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("qwen3.7-max", "ali"),
        ("qwen-plus", "ali"),
        ("qwq-32b", "custom"),
        ("Qwen/Qwen3-235B-A22B", "siliconflow"),
    ],
)
def test_c7_qwen_is_sent_the_thoughts_there_are_and_no_blanks(model: str, vendor: str) -> None:
    document, losses = sent("openai_responses", "openai_chat", THOUGHT_OF, model, vendor)
    assert document["messages"][1]["reasoning_content"] == "hmm"
    assert losses == ()
    document, _ = sent("anthropic_messages", "openai_chat", TWO_CALLS, model, vendor)
    assert "reasoning_content" not in document["messages"][1]


@pytest.mark.parametrize(
    "model", ["qwen/qwen3-32b", "deepseek-r1-distill-llama-70b", "moonshotai/kimi-k2.5"]
)
def test_c7_groq_refuses_thoughts_of_whosever_model(model: str) -> None:
    document, losses = sent("openai_responses", "openai_chat", THOUGHT_OF, model, "groq")
    assert "reasoning_content" not in document["messages"][1]
    assert losses == ("thinking",)
    document, _ = sent("anthropic_messages", "openai_chat", TWO_CALLS, model, "groq")
    assert "reasoning_content" not in document["messages"][1]


def test_c7_groq_says_so_in_its_words() -> None:
    said = {"role": "assistant", "content": "x", "reasoning_content": "hmm"}
    with pytest.raises(IllFormed, match="property 'reasoning_content' is unsupported"):
        refusals.OF_VENDOR["groq"]({"messages": [SAID, said]})


def test_c7_nobody_else_is_sent_thoughts() -> None:
    document, losses = sent("openai_responses", "openai_chat", THOUGHT_OF, "gpt-4.1", "openai")
    assert "reasoning_content" not in document["messages"][1]
    assert losses == ("thinking",)


@pytest.mark.parametrize(("model", "vendor"), VENDORS_THAT_WANT_THOUGHTS)
def test_c7_nor_are_they_taken_out_where_bytes_pass(model: str, vendor: str) -> None:
    """They were told by another vendor in an earlier turn, and are marked as its own."""
    thought = {"type": "thinking", "thinking": "hmm", "signature": "tollgate-signed::"}
    request: dict[str, Any] = json.loads(json.dumps(TWO_CALLS))
    request["messages"][1]["content"].insert(0, thought)
    document, _ = sent("anthropic_messages", "anthropic_messages", request, model, vendor)
    refusals.thinking_messages(document)
    assert document["messages"][1]["content"][0] == {**thought, "signature": ""}
    document, _ = sent("anthropic_messages", "anthropic_messages", request, "", "anthropic")
    assert document["messages"][1]["content"][0]["type"] == "tool_use"
