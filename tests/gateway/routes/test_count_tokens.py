"""C17: a count that is asked for is near what the vendor counts, in either format that asks."""

import json
from typing import Any

import pytest

from gateway.call.metering.meter import likely_prompt_tokens
from gateway.call.metering.tokenizer import Tokenizer
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.formats.anthropic_messages.requests import request as messages
from gateway.formats.gemini.requests import request as gemini
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
HI = {"role": "user", "content": "hi"}
ASKED: dict[str, dict[str, Any]] = {
    "anthropic_messages": {"model": "claude-sonnet-4-5", "messages": [HI]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def counted(format_name: str, document: dict[str, Any], model: str) -> int:
    read = {"anthropic_messages": messages.read_counting, "gemini": gemini.read_counting}
    call = read[format_name](document, json.dumps(document).encode())
    asking = Asking(Suffix(model))
    return likely_prompt_tokens(FORMATS[format_name], Tokenizer(), call, format_name, asking)


@pytest.mark.parametrize(
    ("format_name", "model", "vendors_own"),
    [("anthropic_messages", "claude-sonnet-4-5", 8), ("gemini", "gemini-2.5-flash", 2)],
)
def test_c17_hi_is_a_handful_of_tokens(format_name: str, model: str, vendors_own: int) -> None:
    assert abs(counted(format_name, ASKED[format_name], model) - vendors_own) <= 3


def test_c17_a_small_tool_adds_what_the_vendor_adds() -> None:
    """346 tokens come with tools at all: docs.anthropic.com, tool use, pricing."""
    tool = {"name": "weather", "description": "Of a city", "input_schema": SCHEMA}
    document = {**ASKED["anthropic_messages"], "tools": [tool]}
    found = counted("anthropic_messages", document, "claude-sonnet-4-5")
    assert 346 < found < 346 + 70
