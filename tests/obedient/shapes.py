"""Whether a request is what its format says, by the types of that format's own Python SDK.

A member that a type does not know is dropped by its validation; so what comes out must be what went
in.
"""

from functools import cache
from typing import Any

from anthropic.types import MessageCreateParams
from google.genai import types as google
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses import ResponseCreateParams
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from tests.obedient.contract import IllFormed


class _GenerateContent(BaseModel):
    """The body of generateContent. Source: https://ai.google.dev/api/generate-content"""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    contents: list[google.Content]
    tools: list[google.Tool] | None = None
    tool_config: google.ToolConfig | None = None
    safety_settings: list[google.SafetySetting] | None = None
    system_instruction: google.Content | None = None
    generation_config: google.GenerationConfig | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None


SENT_BACK = {"annotations", "reasoning_content", "parsed", "parsed_arguments"}
"""Members of answers that SDKs send back in the next request, and the APIs take."""

_SHAPES: dict[str, Any] = {
    "openai_chat": CompletionCreateParams,
    "openai_responses": ResponseCreateParams,
    "anthropic_messages": MessageCreateParams,
    "gemini": _GenerateContent,
}


@cache
def _adapter(shape: str) -> TypeAdapter[Any]:
    """It takes a second to make one."""
    return TypeAdapter(_SHAPES[shape])


def check(shape: str, document: dict[str, Any]) -> None:
    """Raises IllFormed."""
    try:
        read = _adapter(shape).validate_python(document)
    except ValidationError as error:
        raise IllFormed(str(error)[:2_000]) from error
    if shape != "gemini":  # whose models refuse what they do not know
        _same(document, read, "")


def _same(told: Any, read: Any, at: str) -> None:  # noqa: ANN401 - JSON
    """Raises IllFormed for a member that the types do not know."""
    if isinstance(told, dict):
        known = read.keys() if isinstance(read, dict) else set()
        if unknown := told.keys() - known - SENT_BACK:
            raise IllFormed(f"unknown at {at or 'the top'}: {unknown}")
        for name in told.keys() & known:
            _same(told[name], read[name], f"{at}.{name}")
    elif isinstance(told, list):
        # Iterables are validated when they are iterated over.
        for number, (one, other) in enumerate(zip(told, list(read), strict=True)):
            _same(one, other, f"{at}[{number}]")
