"""B4: why an answer ended. What came to nothing is a failure, which agents retry and for which the
next channel is asked; a reason that nobody knows is told by its own word, and never as `stop`.
"""

import json
from typing import Any

import pytest
from google.genai import types

from gateway.errors import AnswerFailed, StreamBrokenOff
from gateway.formats.gemini.vocabulary import ENDS
from gateway.formats.registry import FORMATS
from tests.gateway.formats.odd_answers import event_of
from tests.gateway.formats.test_odd_calls import CLIENTS, OTHERS
from tests.gateway.formats.told_turns import (
    failure_of_answer,
    failure_of_events,
    streamed,
    told_of_answer,
    told_of_events,
)

FAILED = {
    "gemini": [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    ],
    "openai_chat": [
        "error",
        "network_error",
        "insufficient_system_resource",
        "malformed_function_call",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
    ],
    "bedrock_converse": ["malformed_tool_use", "malformed_model_output"],
    "openai_completions": ["error"],
}
KNOWN = {
    "gemini": {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"},
    "openai_chat": {"stop": "stop", "eos": "stop", "length": "length", "model_length": "length"},
    "anthropic_messages": {"end_turn": "stop", "max_tokens": "length", "stop": "stop"},
    "bedrock_converse": {"end_turn": "stop", "guardrail_intervened": "content_filter"},
    "openai_completions": {"stop": "stop", "length": "length"},
}
UNKNOWN = {
    "gemini": ["OTHER", "A_NEW_ONE", "IMAGE_OTHER", "FINISH_REASON_UNSPECIFIED"],
    "openai_chat": ["a_new_one", "A NEW ONE"],
    "anthropic_messages": ["a_new_one"],
    "bedrock_converse": ["a_new_one"],
    "openai_completions": ["a_new_one"],
    "openai_responses": ["max_tool_calls"],
}
CLIENTS_OF = {**OTHERS, "openai_completions": CLIENTS}


def each(reasons: dict[str, Any]) -> pytest.MarkDecorator:
    told = [
        pytest.param(provider, client, reason, id=f"{client}<-{provider}-{reason}")
        for provider, all_of_them in reasons.items()
        for reason in all_of_them
        for client in CLIENTS_OF[provider]
    ]
    return pytest.mark.parametrize(("provider", "client", "reason"), told)


def answer(provider: str, reason: str, text: str = "") -> dict[str, Any]:
    match provider:
        case "gemini":
            content = {"parts": [{"text": text}]} if text else {}
            return {"candidates": [{"content": content, "finishReason": reason}]}
        case "openai_chat":
            message = {"role": "assistant", "content": text}
            return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}
        case "openai_completions":
            return {"choices": [{"index": 0, "text": text, "finish_reason": reason}]}
        case "anthropic_messages":
            blocks = [{"type": "text", "text": text}] if text else []
            return {"content": blocks, "stop_reason": reason}
        case "openai_responses":
            said = {"type": "output_text", "text": text, "annotations": []}
            item = {"type": "message", "role": "assistant", "content": [said]}
            cut = {"status": "incomplete", "incomplete_details": {"reason": reason}}
            return {"id": "resp_1", "output": [item], **cut}
        case _:
            blocks = [{"text": text}] if text else []
            return {"output": {"message": {"content": blocks}}, "stopReason": reason}


def events(provider: str, reason: str, text: str = "") -> list[dict[str, Any]]:
    match provider:
        case "gemini":
            first: dict[str, Any] = {"candidates": [{"content": {"parts": [{"text": text}]}}]}
            return [*([first] if text else []), answer(provider, reason)]
        case "openai_chat":
            said: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": text}}
            end = {"index": 0, "delta": {}, "finish_reason": reason}
            return [{"choices": [said]}, {"choices": [end]}]
        case "openai_completions":
            return [answer(provider, "", text), answer(provider, reason)]
        case "anthropic_messages":
            block = {"type": "text", "text": text}
            start = [{"type": "content_block_start", "index": 0, "content_block": block}]
            stopped = {"type": "message_delta", "delta": {"stop_reason": reason}}
            return [*(start if text else []), stopped, {"type": "message_stop"}]
        case "openai_responses":
            return [{"type": "response.incomplete", "response": answer(provider, reason, text)}]
        case _:
            delta = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}}
            return [*([delta] if text else []), {"messageStop": {"stopReason": reason}}]


@each(FAILED)
def test_b4_what_came_to_nothing_is_a_failure(provider: str, client: str, reason: str) -> None:
    for text in ("", "so"):
        for told in (
            failure_of_answer(provider, client, answer(provider, reason, text)),
            failure_of_events(provider, client, events(provider, reason, text)),
        ):
            assert isinstance(told, AnswerFailed), told
            assert not isinstance(told, StreamBrokenOff)
            assert reason.lower() in told.message
            assert FORMATS[client].error_body(told, "r")[0] == 502


@each(UNKNOWN)
def test_b4_a_reason_that_nobody_knows_is_told(provider: str, client: str, reason: str) -> None:
    word = reason.lower()
    for text in ("", "so"):
        for told in (
            told_of_answer(provider, client, answer(provider, reason, text)),
            told_of_events(provider, client, events(provider, reason, text)),
        ):
            assert told.words == text
            assert told.stop.stop == "other"
            assert json.dumps(word).encode() in told.raw
            if client != "gemini":  # it has a word of its own for others
                assert told.stop.stop_word == word


@each(KNOWN)
def test_b4_a_reason_that_is_known_has_the_formats_word(
    provider: str, client: str, reason: str
) -> None:
    stop = KNOWN[provider][reason]
    if client == "anthropic_messages" and stop == "content_filter":
        stop = "refusal"
    for told in (
        told_of_answer(provider, client, answer(provider, reason, "so")),
        told_of_events(provider, client, events(provider, reason, "so")),
    ):
        assert (told.words, told.stop.stop) == ("so", stop)


def test_b4_every_reason_of_googles_own_list_is_stop_alone_or_something_else() -> None:
    for reason in types.FinishReason:
        word = reason.value.lower()
        stop = None if word in ENDS.failed else ENDS.read(reason.value, has_calls=False)[0]
        assert (stop == "stop") == (reason.value == "STOP"), reason


@pytest.mark.parametrize("client", OTHERS["gemini"])
def test_b4_no_candidate_for_no_reason_is_a_failure(client: str) -> None:
    failed = failure_of_answer("gemini", client, {"candidates": [], "usageMetadata": {}})
    assert isinstance(failed, AnswerFailed)
    blocked = {"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}}
    stop = told_of_answer("gemini", client, blocked).stop.stop
    assert stop == ("refusal" if client == "anthropic_messages" else "content_filter")


def test_b4_where_bytes_pass_the_vendors_own_word_does() -> None:
    body = b"".join(event_of(one) for one in events("gemini", "MALFORMED_FUNCTION_CALL"))
    assert streamed("gemini", "gemini", body) == body
