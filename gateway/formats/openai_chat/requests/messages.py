"""The messages of a chat request: who may say what, in which shape."""

from typing import Any

from gateway.formats.shared.parameters import array, mapping, refuse, text

MESSAGES_MAX = 2_048
PARTS_MAX = 2_048
MEDIA_PARTS_MAX = 512
"""Images, audio and files in one request."""
TOOL_CALLS_MAX = 512
NAME_MAX_BYTES = 256
TOOL_CALL_ID_MAX_BYTES = 65_536
"""Far above OpenAI's own ids: some gateways carry thought signatures in them."""
BODY_MAX_BYTES = 1 << 40
"""Texts are bounded by the body's limit alone."""

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_INSTEAD_OF_CONTENT = ("tool_calls", "function_call", "refusal", "audio")


def check_messages(messages: object) -> None:
    """Refuse a conversation that no provider could read."""
    conversation = array(messages, "messages", least=1, most=MESSAGES_MAX)
    if conversation is None:
        refuse("messages", "given")
    media_parts = 0
    for position, message in enumerate(conversation):
        media_parts += _check_message(message, f"messages[{position}]")
    if media_parts > MEDIA_PARTS_MAX:
        refuse("messages", f"with at most {MEDIA_PARTS_MAX} images, audio parts and files")


def _check_message(message: object, param: str) -> int:
    """Check one message; answer how many of its parts are not text."""
    if type(message) is not dict:
        refuse(param, "an object")
    if message.get("role") not in ROLES:
        refuse(f"{param}.role", "one of " + ", ".join(ROLES))
    text(message.get("name"), f"{param}.name", most_bytes=NAME_MAX_BYTES, plain=True)
    text(
        message.get("tool_call_id"),
        f"{param}.tool_call_id",
        most_bytes=TOOL_CALL_ID_MAX_BYTES,
        plain=True,
    )
    text(message.get("refusal"), f"{param}.refusal", most_bytes=BODY_MAX_BYTES)
    _check_tool_calls(message, param)
    return _check_content(message, f"{param}.content")


def _check_content(message: dict[str, Any], param: str) -> int:
    content = message.get("content")
    if content is None:
        instead = any(message.get(name) for name in _INSTEAD_OF_CONTENT)
        if message["role"] != "assistant" or not instead:
            refuse(param, "a string or a list of parts")
        return 0
    if type(content) is str:
        return 0
    if type(content) is not list:
        refuse(param, "a string or a list of parts")
    parts = array(content, param, most=PARTS_MAX) or []
    return sum(_check_part(part, f"{param}[{place}]") for place, part in enumerate(parts))


def _check_part(part: object, param: str) -> int:
    if type(part) is not dict:
        refuse(param, "an object")
    kind = text(part.get("type"), f"{param}.type", least_bytes=1, most_bytes=64, plain=True)
    if kind is None:
        refuse(f"{param}.type", "given")
    if kind in ("text", "refusal"):
        if type(part.get(kind)) is not str:
            refuse(f"{param}.{kind}", "a string")
        return 0
    if kind == "image_url":
        _check_image(part.get("image_url"), f"{param}.image_url")
    elif kind in ("input_audio", "file"):
        _check_data(part.get(kind), f"{param}.{kind}")
    return 1


def _check_image(image: object, param: str) -> None:
    url = image.get("url") if type(image) is dict else image  # some clients send the bare string
    if type(url) is not str or not url:
        refuse(f"{param}.url" if type(image) is dict else param, "a URL")


def _check_data(value: object, param: str) -> None:
    if type(value) is not dict:
        refuse(param, "an object")
    text(value.get("format"), f"{param}.format", most_bytes=64, plain=True)
    field = "data" if param.endswith("input_audio") else "file_data"
    data = text(value.get(field), f"{param}.{field}", most_bytes=BODY_MAX_BYTES)
    if data is None and field == "data":
        refuse(f"{param}.data", "a string")


def _check_tool_calls(message: dict[str, Any], param: str) -> None:
    calls = array(message.get("tool_calls"), f"{param}.tool_calls", most=TOOL_CALLS_MAX)
    for position, call in enumerate(calls or []):
        place = f"{param}.tool_calls[{position}]"
        if type(call) is not dict:
            refuse(place, "an object")
        text(call.get("id"), f"{place}.id", most_bytes=TOOL_CALL_ID_MAX_BYTES, plain=True)
        _check_function_call(call.get("function"), f"{place}.function")
    _check_function_call(message.get("function_call"), f"{param}.function_call")


def _check_function_call(function: object, param: str) -> None:
    called = mapping(function, param, most=16)
    if called is None:
        return
    name = text(called.get("name"), f"{param}.name", most_bytes=NAME_MAX_BYTES, plain=True)
    if name is None:
        refuse(f"{param}.name", "a string")
    text(called.get("arguments"), f"{param}.arguments", most_bytes=BODY_MAX_BYTES)
