"""A chat completions request, checked where it matters for routing, money and memory.

Source: https://platform.openai.com/docs/api-reference/chat/create. Bounds are OpenAI's own where it
documents one and generous otherwise, as other providers take more. What is unknown is not touched.
"""

from typing import Any

import msgspec

from gateway.errors import InvalidRequest
from gateway.formats.openai_chat.requests.messages import check_messages
from gateway.formats.shared.parameters import array, boolean, integer, mapping, number, refuse, text
from gateway.formats.shared.service_tiers import service_of
from gateway.formats.values import ChatCall
from ledger.pricing import STANDARD

OUTPUT_TOKENS_MAX = 10_000_000
CHOICES_MAX = 8
MODEL_MAX_BYTES = 256
STOPS_MAX, STOP_MAX_BYTES = 16, 4_096
TOOLS_MAX, TOOLS_MAX_BYTES = 512, 1_000_000
TOOL_NAME_MAX_BYTES = 256
METADATA_MAX, METADATA_KEY_MAX_BYTES, METADATA_VALUE_MAX_BYTES = 16, 256, 2_048
LOGIT_BIAS_MAX = 1_024
LABEL_MAX_BYTES = 1_024

STRIPPED_FIELDS = frozenset(
    {
        "api_base",
        "api_key",
        "base_url",
        "custom_llm_provider",
        "extra_headers",
        "quota",
        "user_role",
    }
)
"""By these some gateways let a request say where it goes or what it may; never forwarded."""

_LABELS = ("user", "safety_identifier", "prompt_cache_key", "service_tier", "reasoning_effort")
_FLAGS = ("logprobs", "parallel_tool_calls", "store")
_NUMBERS = (
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("presence_penalty", -2, 2),
    ("frequency_penalty", -2, 2),
)


def read_request(document: dict[str, Any], body: bytes) -> ChatCall:
    """The call that `document` asks for. Raises InvalidRequest, naming the parameter."""
    model = text(
        document.get("model"), "model", least_bytes=1, most_bytes=MODEL_MAX_BYTES, plain=True
    )
    if model is None:
        refuse("model", "given")
    stream = boolean(document.get("stream"), "stream") or False
    wants_usage = _wants_usage(document, stream)
    max_output_tokens = _max_output_tokens(document)
    choices = integer(document.get("n"), "n", least=1, most=CHOICES_MAX) or 1
    check_messages(document.get("messages"))
    _check_sampling(document)
    _check_labels(document)
    _check_tools(document)
    return ChatCall(
        model=model,
        stream=stream,
        max_output_tokens=max_output_tokens,
        choices=choices,
        wants_usage=wants_usage,
        document=document,
        body=body,
        service=service_of(document.get("service_tier")) or STANDARD,
        stripped=tuple(sorted(STRIPPED_FIELDS.intersection(document))),
    )


def _wants_usage(document: dict[str, Any], stream: bool) -> bool:
    options = mapping(document.get("stream_options"), "stream_options", most=16)
    if options is None:
        return False
    if not stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    return boolean(options.get("include_usage"), "stream_options.include_usage") or False


def _max_output_tokens(document: dict[str, Any]) -> int | None:
    limits = [
        integer(document.get(name), name, least=1, most=OUTPUT_TOKENS_MAX)
        for name in ("max_completion_tokens", "max_tokens")
    ]
    limit, old_limit = limits
    if limit is None:
        return old_limit
    if old_limit not in (None, limit):
        raise InvalidRequest(
            "'max_tokens' and 'max_completion_tokens' are both given and differ.",
            param="max_tokens",
        )
    return limit


def _check_sampling(document: dict[str, Any]) -> None:
    for name, least, most in _NUMBERS:
        number(document.get(name), name, least=least, most=most)
    integer(document.get("top_logprobs"), "top_logprobs", least=0, most=20)
    integer(document.get("seed"), "seed", least=-(2**63), most=2**63 - 1)
    for name in _FLAGS:
        boolean(document.get(name), name)
    _check_stop(document.get("stop"))
    biases = mapping(document.get("logit_bias"), "logit_bias", most=LOGIT_BIAS_MAX)
    for bias in (biases or {}).values():
        if number(bias, "logit_bias", least=-100, most=100) is None:
            refuse("logit_bias", "an object of numbers")


def _check_stop(stop: object) -> None:
    if stop is None:
        return
    if type(stop) is str:
        text(stop, "stop", least_bytes=1, most_bytes=STOP_MAX_BYTES)
        return
    for position, one in enumerate(array(stop, "stop", most=STOPS_MAX) or []):
        param = f"stop[{position}]"
        if text(one, param, least_bytes=1, most_bytes=STOP_MAX_BYTES) is None:
            refuse(param, "a string")


def _check_labels(document: dict[str, Any]) -> None:
    for name in _LABELS:
        text(document.get(name), name, most_bytes=LABEL_MAX_BYTES, plain=True)
    metadata = mapping(document.get("metadata"), "metadata", most=METADATA_MAX)
    for key, value in (metadata or {}).items():
        text(key, "metadata", most_bytes=METADATA_KEY_MAX_BYTES, plain=True)
        told = text(value, "metadata", most_bytes=METADATA_VALUE_MAX_BYTES)
        if told is None or "\x00" in told:
            refuse("metadata", "an object of strings without NUL")


def _check_tools(document: dict[str, Any]) -> None:
    for name in ("tools", "functions"):
        tools = array(document.get(name), name, most=TOOLS_MAX)
        for position, tool in enumerate(tools or []):
            _check_tool(tool, f"{name}[{position}]")
        _check_size(tools, name)
    _check_choice(document.get("tool_choice"), "tool_choice")
    _check_choice(document.get("function_call"), "function_call")
    response_format = document.get("response_format")
    if response_format is not None:
        if type(response_format) is not dict or type(response_format.get("type")) is not str:
            refuse("response_format", "an object with a type")
        _check_size(response_format, "response_format")


def _check_tool(tool: object, param: str) -> None:
    if type(tool) is not dict:
        refuse(param, "an object")
    function = tool.get("function") if param.startswith("tools") else tool
    if param.startswith("tools") and type(tool.get("type")) is not str:
        refuse(f"{param}.type", "a string")
    if function is None:  # a tool of another type, e.g. custom or a provider's own
        return
    if type(function) is not dict:
        refuse(f"{param}.function", "an object")
    name_param = f"{param}.function.name" if param.startswith("tools") else f"{param}.name"
    name = text(
        function.get("name"), name_param, least_bytes=1, most_bytes=TOOL_NAME_MAX_BYTES, plain=True
    )
    if name is None:
        refuse(name_param, "given")


def _check_choice(choice: object, param: str) -> None:
    if choice is None or type(choice) is str:
        text(choice, param, most_bytes=TOOL_NAME_MAX_BYTES)
    elif type(choice) is not dict:
        refuse(param, "a string or an object")
    else:
        _check_size(choice, param)


def _check_size(value: object, param: str) -> None:
    """Refuse what would be costly to carry around; nested deeper than 64 was refused before."""
    if value and len(msgspec.json.encode(value)) > TOOLS_MAX_BYTES:
        refuse(param, f"at most {TOOLS_MAX_BYTES} bytes of JSON")
