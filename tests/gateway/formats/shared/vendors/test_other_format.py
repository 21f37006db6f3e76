"""C20: tools beside reasoning go over Responses to the newest of OpenAI's models."""

from typing import Any

import msgspec
import pytest

from gateway.conversation.reasoning_suffixes import read_suffix
from gateway.formats.registry import FORMATS
from gateway.formats.shared.vendors.other_format import format_for
from gateway.formats.values import ChatCall

CHAT, RESPONSES = "openai_chat", "openai_responses"
BOTH = (CHAT, "openai_completions", RESPONSES)
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def call(**members: Any) -> ChatCall:  # noqa: ANN401 - JSON
    document = {"model": "m", "messages": [{"role": "user", "content": "x"}], **members}
    return FORMATS[CHAT].read_request(document, msgspec.json.encode(document))


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        ("gpt-5.4", {"tools": TOOLS, "reasoning_effort": "low"}, RESPONSES),
        ("gpt-5.4-high", {"tools": TOOLS}, RESPONSES),
        ("gpt-5.4", {"tools": TOOLS}, CHAT),
        ("gpt-5.6-terra", {"tools": TOOLS}, RESPONSES),
        ("gpt-5.6-terra", {"tools": TOOLS, "reasoning_effort": "none"}, CHAT),
        ("gpt-5.6-terra", {"reasoning_effort": "high"}, CHAT),
        ("gpt-5.6-terra", {"tools": TOOLS, "n": 2}, CHAT),
        ("gpt-5.1", {"tools": TOOLS, "reasoning_effort": "low"}, CHAT),
    ],
)
def test_c20_only_what_chat_completions_would_refuse_goes_over_responses(
    model: str, members: dict[str, Any], expected: str
) -> None:
    suffix = read_suffix(model, CHAT)
    assert format_for(call(**members), "openai", suffix, CHAT, BOTH) == expected


def test_c20_where_no_responses_are_spoken_it_is_asked_as_it_was() -> None:
    suffix = read_suffix("gpt-5.6", CHAT)
    assert format_for(call(tools=TOOLS), "openai", suffix, CHAT, (CHAT,)) == CHAT
    assert format_for(call(tools=TOOLS), "openrouter", suffix, CHAT, BOTH) == CHAT
