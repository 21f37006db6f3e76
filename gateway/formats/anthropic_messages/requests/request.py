"""A Messages request, checked where it matters for routing, money and memory.

Source: https://docs.anthropic.com/en/api/messages. Bounds are Anthropic's own where it documents
one and generous otherwise. What is unknown is not touched.
"""

from typing import Any

import msgspec

from gateway.formats.shared.parameters import array, boolean, integer, mapping, number, refuse, text
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import ChatCall
from ledger.pricing import STANDARD

OUTPUT_TOKENS_MAX = 10_000_000
MODEL_MAX_BYTES = 256
MESSAGES_MAX = 100_000
BLOCKS_MAX = 10_000
TOOLS_MAX, TOOLS_MAX_BYTES = 512, 1_000_000
NAME_MAX_BYTES = 256
STOPS_MAX, STOP_MAX_BYTES = 8_192, 4_096
LABEL_MAX_BYTES = 1_024
TEXT_MAX_BYTES = 1 << 40
"""Texts are bounded by the body's limit alone."""

ROLES = ("user", "assistant", "system")


def read_request(document: dict[str, Any], body: bytes) -> ChatCall:
    """The call that `document` asks for. Raises InvalidRequest, naming the parameter."""
    model = text(
        document.get("model"), "model", least_bytes=1, most_bytes=MODEL_MAX_BYTES, plain=True
    )
    if model is None:
        refuse("model", "given")
    max_tokens = integer(document.get("max_tokens"), "max_tokens", least=0, most=OUTPUT_TOKENS_MAX)
    if max_tokens is None:
        refuse("max_tokens", "given")
    _check_messages(document.get("messages"))
    check_content(document.get("system"), "system")
    _check_sampling(document)
    _check_tools(document)
    return ChatCall(
        model=model,
        stream=boolean(document.get("stream"), "stream") or False,
        max_output_tokens=max_tokens,
        choices=1,
        wants_usage=False,
        document=document,
        body=body,
        service=service_of(document.get("service_tier")) or STANDARD,
    )


def read_counting(document: dict[str, Any], body: bytes) -> ChatCall:
    """The prompt that `document` asks to count. Raises InvalidRequest."""
    return read_request({**document, "max_tokens": 1}, body)


def check_content(content: object, param: str) -> None:
    """Refuse what is neither a text nor a list of typed blocks."""
    if content is None or type(content) is str:
        return
    blocks = array(content, param, most=BLOCKS_MAX)
    for position, block in enumerate(blocks or ()):
        place = f"{param}[{position}]"
        if type(block) is not dict:
            refuse(place, "an object")
        if type(block.get("type")) is not str:
            refuse(f"{place}.type", "a string")
        if block["type"] == "text" and type(block.get("text")) is not str:
            refuse(f"{place}.text", "a string")
        if block["type"] == "tool_result":
            check_content(block.get("content"), f"{place}.content")


def _check_messages(messages: object) -> None:
    conversation = array(messages, "messages", least=1, most=MESSAGES_MAX)
    if conversation is None:
        refuse("messages", "given")
    for position, message in enumerate(conversation):
        param = f"messages[{position}]"
        if type(message) is not dict:
            refuse(param, "an object")
        if message.get("role") not in ROLES:
            refuse(f"{param}.role", "one of " + ", ".join(ROLES))
        if message.get("content") is None:
            refuse(f"{param}.content", "given")
        check_content(message["content"], f"{param}.content")


def _check_sampling(document: dict[str, Any]) -> None:
    number(document.get("temperature"), "temperature", least=0, most=2)
    number(document.get("top_p"), "top_p", least=0, most=1)
    integer(document.get("top_k"), "top_k", least=0, most=1_000_000)
    stops = array(document.get("stop_sequences"), "stop_sequences", most=STOPS_MAX)
    for position, stop in enumerate(stops or ()):
        param = f"stop_sequences[{position}]"
        if text(stop, param, most_bytes=STOP_MAX_BYTES) is None:
            refuse(param, "a string")
    for name in ("thinking", "metadata", "tool_choice", "output_config"):
        mapping(document.get(name), name, most=64)
    thinking = document.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    integer(budget, "thinking.budget_tokens", least=0, most=OUTPUT_TOKENS_MAX)
    text(document.get("service_tier"), "service_tier", most_bytes=LABEL_MAX_BYTES, plain=True)


def _check_tools(document: dict[str, Any]) -> None:
    tools = array(document.get("tools"), "tools", most=TOOLS_MAX)
    for position, tool in enumerate(tools or ()):
        param = f"tools[{position}]"
        if type(tool) is not dict:
            refuse(param, "an object")
        text(tool.get("name"), f"{param}.name", most_bytes=NAME_MAX_BYTES, plain=True)
        text(tool.get("type"), f"{param}.type", most_bytes=NAME_MAX_BYTES, plain=True)
    if tools and len(msgspec.json.encode(tools)) > TOOLS_MAX_BYTES:
        refuse("tools", f"at most {TOOLS_MAX_BYTES} bytes of JSON")
