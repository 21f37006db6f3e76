"""What vendors refuse, in their words: stated here from what they say and from what people were
told, and not from the table that the gateway keeps.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.obedient.contract import require

Document = dict[str, Any]

_TOO_LONG = "Invalid '{}': string too long. Expected a string with maximum length {}, but got a string with length {} instead."  # noqa: E501 - its words


def _short(value: str, at: str, most: int) -> None:
    require(len(value) <= most, _TOO_LONG.format(at, most, len(value)))


def _named(name: str, at: str) -> None:
    pattern = "^[a-zA-Z0-9_-]+$"
    otherwise = f"Invalid '{at}': string does not match pattern. Expected a string that matches"
    require(re.match(pattern, name) is not None, f"{otherwise} the pattern '{pattern}'.")
    _short(name, at, 64)


def _schema(schema: Any, name: str) -> None:  # noqa: ANN401 - JSON
    if isinstance(schema, dict) and schema.get("type") == "object":
        otherwise = f"Invalid schema for function '{name}': In context=(), object schema missing"
        require("properties" in schema, f"{otherwise} properties.")


def _unsupported(document: Document, member: str) -> None:
    otherwise = f"Unsupported parameter: '{member}' is not supported with this model."
    require(document.get(member) is None, otherwise)


def _minimum(document: Document, member: str) -> None:
    told = document.get(member)
    otherwise = f"Invalid '{member}': integer below minimum value. Expected a value >= 16, but got"
    require(told is None or told >= 16, f"{otherwise} {told} instead.")


def _does_reason(model: str) -> bool:
    return model.startswith(("o1", "o3", "o4", "gpt-5")) and "chat" not in model


def openai_chat(document: Document) -> None:
    """Raises IllFormed with what https://api.openai.com/v1/chat/completions answers."""
    model = document["model"]
    _short(document.get("user") or "", "user", 64)
    stops = document.get("stop") or []
    if _does_reason(model):
        _unsupported(document, "stop")
        _minimum(document, "max_completion_tokens")
    else:
        _unsupported(document, "reasoning_effort")
    if isinstance(stops, list):
        otherwise = "Invalid 'stop': array too long. Expected an array with maximum length 4, but"
        require(len(stops) <= 4, f"{otherwise} got an array with length {len(stops)} instead.")
    if "search" not in model:
        otherwise = "Web search options not supported with this model."
        require("web_search_options" not in document, otherwise)
    for number, tool in enumerate(document.get("tools") or ()):
        kind = tool["type"]
        if kind == "custom":
            otherwise = "Custom tools are not supported with this model."
            require(model.startswith("gpt-5") and "chat" not in model, otherwise)
        _named(tool[kind]["name"], f"tools[{number}].{kind}.name")
        _schema(tool[kind].get("parameters"), tool[kind]["name"])
    for number, message in enumerate(document["messages"]):
        for place, call in enumerate(message.get("tool_calls") or ()):
            _short(call["id"], f"messages[{number}].tool_calls[{place}].id", 40)
        _short(message.get("tool_call_id") or "", f"messages[{number}].tool_call_id", 40)


def openai_responses(document: Document) -> None:
    """Raises IllFormed with what https://api.openai.com/v1/responses answers."""
    model = document["model"]
    _short(document.get("user") or "", "user", 64)
    _minimum(document, "max_output_tokens")
    if not _does_reason(model):
        effort = (document.get("reasoning") or {}).get("effort")
        otherwise = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
        require(effort is None, otherwise)
        sealed = "reasoning.encrypted_content" in (document.get("include") or ())
        require(not sealed, "Encrypted content is not supported with this model.")
    for number, tool in enumerate(document.get("tools") or ()):
        if tool["type"] == "custom":
            otherwise = "Custom tools are not supported with this model."
            require(model.startswith("gpt-5") and "chat" not in model, otherwise)
        if tool["type"] in ("function", "custom"):
            _named(tool["name"], f"tools[{number}].name")
            _schema(tool.get("parameters"), tool["name"])
    items = document["input"] if isinstance(document["input"], list) else []
    for number, item in enumerate(items):
        _short(item.get("call_id") or "", f"input[{number}].call_id", 64)


def anthropic_messages(document: Document) -> None:
    """Raises IllFormed with what https://api.anthropic.com/v1/messages answers."""
    for number, tool in enumerate(document.get("tools") or ()):
        found = re.fullmatch("[a-zA-Z0-9_-]{1,128}", tool["name"])
        otherwise = "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
        require(found is not None, f"tools.{number}.custom.name: {otherwise}")
        if tool.get("strict"):
            _claude_schema(tool["input_schema"], f"tools.{number}.custom")
    strict = sum(bool(tool.get("strict")) for tool in document.get("tools") or ())
    require(strict <= 20, f"Too many strict tools: {strict}. Maximum of 20 strict tools.")
    output = ((document.get("output_config") or {}).get("format") or {}).get("schema")
    _claude_schema(output, "output_config.format.schema")


_FORBIDDEN = ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "oneOf")


def _claude_schema(schema: Any, at: str) -> None:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        for each in schema:
            _claude_schema(each, at)
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if isinstance(kind, str):
        for name in _FORBIDDEN:
            otherwise = f"{at}: For '{kind}' type, property '{name}' is not supported"
            require(name not in schema, otherwise)
        least = schema.get("minItems", 0)
        otherwise = f"{at}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        require(least in (0, 1), otherwise)
    if kind == "object":
        otherwise = f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to"
        require(schema.get("additionalProperties") is False, f"{otherwise} false")
    for value in schema.values():
        _claude_schema(value, at)


_BUDGETS = {"gemini-2.5-pro": (128, 32_768), "gemini-2.5-flash-lite": (512, 24_576)}


def gemini(document: Document, model: str = "gemini-2.5-flash") -> None:
    """Raises IllFormed with what https://generativelanguage.googleapis.com answers."""
    thinking = (document.get("generationConfig") or {}).get("thinkingConfig") or {}
    budget = thinking.get("thinkingBudget")
    least, most = next((one for name, one in _BUDGETS.items() if name in model), (1, 24_576))
    if budget is not None and "2.5" in model and budget != -1:
        otherwise = f"The thinking budget {budget} is invalid. Please choose a value between"
        is_off = budget == 0 and "pro" not in model
        require(is_off or least <= budget <= most, f"{otherwise} {least} and {most}.")
    if budget == 0 and "pro" in model:
        require(False, "Budget 0 is invalid. This model only works in thinking mode.")
    for content in document["contents"]:
        parts = content["parts"]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if "gemini-3" not in model:
            otherwise = "Function response parts are not supported by this model."
            require(not any("parts" in result for result in results), otherwise)
        shown = any("inlineData" in part for part in parts)
        otherwise = (
            "Please ensure that the number of function response parts is equal to the number"
        )
        require(not (results and shown), f"{otherwise} of function call parts.")
    calling = (document.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("allowedFunctionNames"):
        otherwise = "allowed_function_names should only be set when function calling mode is ANY"
        require(calling.get("mode") in ("ANY", "VALIDATED"), otherwise)
    for name in _declared(document):
        otherwise = "Invalid function name. Must start with a letter or an underscore. Must be"
        found = re.fullmatch("[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", name)
        require(found is not None, f"{otherwise} alphameric (a-z, A-Z, 0-9), _, . or -, max 64.")


def _declared(document: Mapping[str, Any]) -> Iterator[str]:
    for tool in document.get("tools") or ():
        yield from (each["name"] for each in tool.get("functionDeclarations") or ())


def vertex(document: Document) -> None:
    """Raises IllFormed with what https://aiplatform.googleapis.com answers besides."""
    for number, content in enumerate(document["contents"]):
        for place, part in enumerate(content["parts"]):
            for kind in ("functionCall", "functionResponse"):
                otherwise = (
                    f'Invalid JSON payload received. Unknown name "id" at \'contents[{number}]'
                )
                has_id = "id" in part.get(kind, ())
                require(not has_id, f"{otherwise}.parts[{place}].{kind}': Cannot find field.")


def thinking_chat(document: Document) -> None:
    """Raises IllFormed with what DeepSeek and Kimi answer while their models think."""
    for number, message in enumerate(document["messages"]):
        if message["role"] == "assistant" and message.get("tool_calls"):
            otherwise = (
                "Missing `reasoning_content` field in the assistant message at message index"
            )
            require(bool(message.get("reasoning_content")), f"{otherwise} {number}.")


def thinking_messages(document: Document) -> None:
    """The same of their Messages."""
    for message in document["messages"]:
        kinds = [each["type"] for each in message["content"] if isinstance(each, dict)]
        if message["role"] == "assistant" and "tool_use" in kinds:
            otherwise = (
                "The `content[].thinking` in the thinking mode must be passed back to the API."
            )
            require("thinking" in kinds, otherwise)


def groq(document: Document) -> None:
    """Raises IllFormed with what https://api.groq.com/openai/v1/chat/completions answers."""
    for name in ("prompt_cache_key", "verbosity", "logit_bias", "logprobs", "top_logprobs"):
        require(name not in document, f"property '{name}' is unsupported")
    for number, message in enumerate(document.get("messages") or ()):
        at = f"'messages.{number}'"
        otherwise = f"{at} : for 'role:{message['role']}' the following must be satisfied[({at} :"
        said = f"{otherwise} property 'reasoning_content' is unsupported)]"
        require("reasoning_content" not in message, said)
    _no_custom_tools(document)


def mistral(document: Document) -> None:
    """Raises IllFormed with what https://api.mistral.ai/v1/chat/completions answers."""
    forbidden = ("prompt_cache_key", "verbosity", "store", "metadata", "user", "service_tier")
    for name in (*forbidden, "logit_bias", "logprobs", "web_search_options"):
        require(name not in document, f"body.{name}: Extra inputs are not permitted")
    _no_custom_tools(document)


def _no_custom_tools(document: Document) -> None:
    kinds = {tool["type"] for tool in document.get("tools") or ()}
    require(kinds <= {"function"}, "'tools.0.type' : value must be 'function'")


OF_VENDOR: Mapping[str, Callable[[Document], None]] = {"groq": groq, "mistral": mistral}
"""By the type of a channel: what such a vendor refuses besides."""

OF_FORMAT: Mapping[str, Callable[[Document], None]] = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic_messages": anthropic_messages,
    "gemini": gemini,
}
"""By the format: what the vendor who made it refuses."""
