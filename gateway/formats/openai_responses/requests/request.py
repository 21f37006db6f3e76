"""A Responses request, checked where it matters for routing, money and memory.

Source: https://platform.openai.com/docs/api-reference/responses/create. A call that goes on from
an earlier response, or names items of one by their ids, is for the provider that keeps it.
Conversations and prompts that are kept there are refused, for nobody can have made one here. Work
in the background is refused as well: it would go on after the call, and its charge with it, until
somebody came to look.
"""

from collections import Counter
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.errors import InvalidRequest
from gateway.formats.shared.parameters import array, boolean, integer, mapping, number, refuse, text
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import ChatCall
from ledger.pricing import STANDARD

OUTPUT_TOKENS_MAX = 10_000_000
MODEL_MAX_BYTES = 256
ITEMS_MAX, PARTS_MAX = 10_000, 10_000
TOOLS_MAX, TOOLS_MAX_BYTES = 512, 1_000_000
LABEL_MAX_BYTES = 1_024
ID_MAX_BYTES = 256
METADATA_MAX, METADATA_KEY_MAX_BYTES, METADATA_VALUE_MAX_BYTES = 16, 256, 2_048
TEXT_MAX_BYTES = 1 << 40
"""Texts are bounded by the body's limit alone."""

STRIPPED_FIELDS = frozenset({"api_base", "api_key", "base_url", "extra_headers"})
"""By these some gateways let a request say where it goes; never forwarded."""

_KEPT_ELSEWHERE = {
    "conversation": "it lies in the provider's account, which many share, and its id would open "
    "it to all of them. Send what is meant in 'input', or go on by 'previous_response_id'.",
    "prompt": "what it says, and costs, is known to the provider alone before it is paid. Send "
    "what is meant in 'instructions' and 'input'.",
}
"""What the provider keeps, and why it cannot be asked for by its id."""
_LABELS = ("user", "safety_identifier", "prompt_cache_key", "service_tier", "truncation")


def read_request(document: dict[str, Any], body: bytes) -> ChatCall:
    """The call that `document` asks for. Raises InvalidRequest, naming the parameter."""
    _refuse_what_is_kept(document)
    _check_given(document)
    return _read(document, body)


def read_compaction(document: dict[str, Any], body: bytes, variant: str) -> ChatCall:
    """The compaction that `document` asks for: of its input, of a kept response, or of both.

    Raises InvalidRequest, naming the parameter.
    """
    _refuse_what_is_kept(document)
    _check_given(document)
    call = _read(document, body)
    return replace(call, stream=False, keeps=False, keeps_here=False, variant=variant)


def _read(document: dict[str, Any], body: bytes) -> ChatCall:
    model = text(
        document.get("model"), "model", least_bytes=1, most_bytes=MODEL_MAX_BYTES, plain=True
    )
    if model is None:
        refuse("model", "given")
    text(document.get("instructions"), "instructions", most_bytes=TEXT_MAX_BYTES)
    _check_options(document)
    _check_tools(document)
    return ChatCall(
        model=model,
        stream=boolean(document.get("stream"), "stream") or False,
        max_output_tokens=integer(
            document.get("max_output_tokens"), "max_output_tokens", least=1, most=OUTPUT_TOKENS_MAX
        ),
        choices=1,
        wants_usage=False,
        document=document,
        body=body,
        service=service_of(document.get("service_tier")) or STANDARD,
        stripped=tuple(sorted(STRIPPED_FIELDS.intersection(document))),
        keeps=document.get("store") is not False,
        keeps_here=document.get("store") is not False,
        continues=text(
            document.get("previous_response_id"),
            "previous_response_id",
            least_bytes=1,
            most_bytes=ID_MAX_BYTES,
            plain=True,
        )
        or "",
        refers_to=_referred_to(document.get("input")),
    )


def _referred_to(given: object) -> tuple[str, ...]:
    """The ids of items that stand for the items themselves.

    Raises InvalidRequest where one comes twice, as the provider of all of them would.
    """
    items = given if type(given) is list else []
    named = [item["id"] for item in items if item.get("type") == "item_reference"]
    for item_id, count in Counter(named).items():
        if count > 1:
            raise InvalidRequest(
                f"Duplicate item found with id {item_id}. Remove duplicate items from your input.",
                param="input",
            )
    return tuple(named)


def _refuse_what_is_kept(document: dict[str, Any]) -> None:
    for name, reason in _KEPT_ELSEWHERE.items():
        if document.get(name) is not None:
            raise InvalidRequest(
                f"'{name}' is not supported here: {reason}",
                param=name,
                code="unsupported_parameter",
            )
    if boolean(document.get("background"), "background"):
        raise InvalidRequest(
            "'background' is not supported here.", param="background", code="unsupported_parameter"
        )


def _check_given(document: dict[str, Any]) -> None:
    """What is asked; nothing new where a kept response is gone on from."""
    given = document.get("input")
    if given is None and document.get("previous_response_id") is None:
        raise InvalidRequest(
            "One of 'input' or 'previous_response_id' must be provided.",
            param="input",
            code="missing_required_parameter",
        )
    if type(given) is not str:
        _check_items(given)


def _check_items(given: object) -> None:
    for position, item in enumerate(array(given, "input", least=1, most=ITEMS_MAX) or ()):
        param = f"input[{position}]"
        if type(item) is not dict:
            refuse(param, "an object")
        kind = item.get("type", "message")
        if type(kind) is not str:
            refuse(f"{param}.type", "a string")
        if kind == "message":
            if type(item.get("role")) is not str:
                refuse(f"{param}.role", "a string")
            _check_content(item.get("content"), f"{param}.content")
        if kind == "item_reference":
            text(item.get("id"), f"{param}.id", least_bytes=1, most_bytes=ID_MAX_BYTES, plain=True)
            if item.get("id") is None:
                refuse(f"{param}.id", "given")


def _check_content(content: object, param: str) -> None:
    if type(content) is str:
        return
    parts = array(content, param, most=PARTS_MAX)
    if parts is None:
        refuse(param, "given")
    for position, part in enumerate(parts):
        if type(part) is not dict or type(part.get("type")) is not str:
            refuse(f"{param}[{position}]", "an object with a type")


def _check_options(document: dict[str, Any]) -> None:
    number(document.get("temperature"), "temperature", least=0, most=2)
    number(document.get("top_p"), "top_p", least=0, most=1)
    integer(document.get("top_logprobs"), "top_logprobs", least=0, most=20)
    integer(document.get("max_tool_calls"), "max_tool_calls", least=1, most=100_000)
    for name in ("store", "parallel_tool_calls"):
        boolean(document.get(name), name)
    for name in _LABELS:
        text(document.get(name), name, most_bytes=LABEL_MAX_BYTES, plain=True)
    for name in ("reasoning", "text", "stream_options"):
        mapping(document.get(name), name, most=64)
    _check_words(document.get("reasoning") or {}, "reasoning", "effort", "summary")
    _check_text(document.get("text") or {})
    array(document.get("include"), "include", most=64)
    metadata = mapping(document.get("metadata"), "metadata", most=METADATA_MAX)
    for key, value in (metadata or {}).items():
        text(key, "metadata", most_bytes=METADATA_KEY_MAX_BYTES, plain=True)
        if text(value, "metadata", most_bytes=METADATA_VALUE_MAX_BYTES) is None:
            refuse("metadata", "an object of strings")


def _check_text(told: dict[str, Any]) -> None:
    _check_words(told, "text", "verbosity")
    output = mapping(told.get("format"), "text.format", most=64) or {}
    _check_words(output, "text.format", "type", "name", "description")
    mapping(output.get("schema"), "text.format.schema", most=1_024)
    boolean(output.get("strict"), "text.format.strict")


def _check_words(holder: dict[str, Any], param: str, *names: str) -> None:
    for name in names:
        text(holder.get(name), f"{param}.{name}", most_bytes=TEXT_MAX_BYTES)


def _check_tools(document: dict[str, Any]) -> None:
    tools = array(document.get("tools"), "tools", most=TOOLS_MAX)
    for position, tool in enumerate(tools or ()):
        if type(tool) is not dict or type(tool.get("type")) is not str:
            refuse(f"tools[{position}]", "an object with a type")
        param = f"tools[{position}]"
        _check_words(tool, param, "name", "description", "search_context_size")
        for name in ("parameters", "format", "filters", "user_location"):
            mapping(tool.get(name), f"{param}.{name}", most=1_024)
        if tool["type"] == "function" and not tool.get("name"):
            refuse(f"{param}.name", "given")
    choice = document.get("tool_choice")
    if choice is not None and type(choice) not in (str, dict):
        refuse("tool_choice", "a string or an object")
    if tools and len(msgspec.json.encode(tools)) > TOOLS_MAX_BYTES:
        refuse("tools", f"at most {TOOLS_MAX_BYTES} bytes of JSON")
